//! `nemesis [MINUTES] [--seed N] [--only N1,N2] [--logs FOLDER]`.

use std::path::PathBuf;

use wardmesh_common::clock;

/// What CI runs.
const MINUTES: u64 = 3;

/// What a run was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Arguments {
    /// How long faults go on, the calm before included; twice as long at most, where the first round of
    /// them takes longer.
    pub(crate) minutes: u64,
    /// Decides the order of faults and their targets.
    pub(crate) seed: u64,
    /// The faults to run, by id; all where it is empty.
    pub(crate) only: Vec<String>,
    /// Where logs and ledgers are copied to at the end.
    pub(crate) logs: Option<PathBuf>,
}

impl Arguments {
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let seed = clock::now().as_nanos() % 1_000_000_007;
        let mut arguments = Self { minutes: MINUTES, seed, only: Vec::new(), logs: None };
        let usage = "usage: nemesis [MINUTES] [--seed N] [--only N1,N2] [--logs FOLDER]";
        while let Some(word) = words.next() {
            let number = |text: Option<String>| {
                text.and_then(|text| text.parse().ok()).ok_or_else(|| usage.to_owned())
            };
            match word.as_str() {
                "--seed" => arguments.seed = number(words.next())?,
                "--only" => {
                    let list = words.next().ok_or(usage)?;
                    arguments.only = list.split(',').map(str::to_owned).collect();
                }
                "--logs" => arguments.logs = Some(words.next().ok_or(usage)?.into()),
                _ => arguments.minutes = number(Some(word))?.max(1),
            }
        }
        Ok(arguments)
    }

    /// Whether a fault is to be run.
    pub(crate) fn wants(&self, id: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == id)
    }
}
