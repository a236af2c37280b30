//! `wardmesh status`: one screen over everything. What one part cannot say is named; the other parts
//! are shown still.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::access::{Access, note};
use crate::api::{Client, Page};
use crate::failure::Failure;
use crate::list::caveats;
use crate::output::{self, Format, at};

mod screen;
#[cfg(test)]
mod tests;

/// What `status --help` ends with.
pub(crate) const EXAMPLES: &str = "Examples:\n  wardmesh status\n  \
    wardmesh status --wait 60 && wardmesh devices list\n  \
    wardmesh status --consistency local -o json | jq .devices.by_class";

/// Devices and findings counted at most: the API has no totals yet, and a screen may take seconds.
const COUNTED_MAX: usize = 100_000;

/// How often a cluster that is waited for is asked.
const WAIT_STEP: Duration = Duration::from_millis(500);

/// See [`crate::cli::Command::Status`].
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Wait until the cluster has a leader, this many seconds at most
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    wait: Option<u64>,
    #[command(flatten)]
    access: Access,
}

/// What was asked, and what could not be answered.
#[derive(Default)]
struct Gathered {
    parts: serde_json::Map<String, Value>,
    missing: Vec<(&'static str, Failure)>,
    meta: Value,
}

impl Gathered {
    fn add(&mut self, name: &'static str, answer: Result<Value, Failure>) {
        let value = answer.unwrap_or_else(|failure| {
            self.missing.push((name, failure));
            Value::Null
        });
        self.parts.insert(name.to_owned(), value);
    }

    /// Adds what is made of a list.
    fn list(
        &mut self,
        name: &'static str,
        page: Result<Page, Failure>,
        make: impl FnOnce(Vec<Value>) -> Value,
    ) {
        let made = page.map(|page| {
            self.meta = page.meta;
            make(page.items)
        });
        self.add(name, made);
    }
}

/// Carries the command out.
///
/// # Errors
/// The first part's [`Failure`] where no part can be got; [`Failure::Partial`] where only some can.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let client = args.access.client();
    if let Some(seconds) = args.wait {
        await_leader(&client, Duration::from_secs(seconds))?;
    }
    let mut gathered = gather(&client);
    if gathered.parts.values().all(Value::is_null) && !gathered.missing.is_empty() {
        return Err(gathered.missing.swap_remove(0).1);
    }
    let status = Value::Object(std::mem::take(&mut gathered.parts));
    match args.access.output {
        Format::Table => screen::write(&status, out)?,
        format => output::json(&status, format, out)?,
    }
    caveats(&gathered.meta);
    partial(&gathered.missing)
}

fn gather(client: &Client) -> Gathered {
    let mut gathered = Gathered::default();
    let list = |path: &str, query| client.pages(path, query, COUNTED_MAX).collect_items();
    gathered.add("cluster", client.get("/api/v1/cluster", &[]));
    if matches!(gathered.missing.as_slice(), [(_, Failure::Unreachable { .. })]) {
        return gathered;
    }
    gathered.list("members", client.whole("/api/v1/cluster/members"), Value::Array);
    gathered.list("sites", list("/api/v1/sites", Vec::new()), Value::Array);
    gathered.list("sensors", list("/api/v1/sensors", Vec::new()), Value::Array);
    let devices = list("/api/v1/devices", Vec::new());
    gathered.list("devices", devices, |devices| counts(&devices, "/class", "by_class"));
    let open = vec![("status", "open".to_owned())];
    let findings = list("/api/v1/findings", open);
    gathered.list("findings_open", findings, |open| counts(&open, "/severity", "by_severity"));
    gathered
}

/// How many there are, and how many of each kind, the most frequent first.
fn counts(items: &[Value], pointer: &str, name: &str) -> Value {
    let mut by: BTreeMap<String, usize> = BTreeMap::new();
    for item in items {
        let kind = at(item, pointer);
        *by.entry(if kind.is_empty() { "unknown".to_owned() } else { kind }).or_default() += 1;
    }
    let mut by: Vec<_> = by.into_iter().collect();
    by.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let by: serde_json::Map<_, _> = by.into_iter().map(|(kind, n)| (kind, n.into())).collect();
    let mut counted = json!({"total": items.len(), "complete": items.len() < COUNTED_MAX});
    counted[name] = Value::Object(by);
    counted
}

/// Asks until a leader is known or the time is over.
fn await_leader(client: &Client, wait: Duration) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        let answer = client.get("/api/v1/cluster", &[]);
        let left = wait.saturating_sub(begun.elapsed());
        match answer {
            Ok(cluster) if !cluster["leader"].is_null() => return Ok(()),
            Ok(_) if left.is_zero() => {
                let cause = format!("no leader within {} s", wait.as_secs());
                let server = "the cluster".to_owned();
                return Err(Failure::Broken { server, cause, write: false });
            }
            Err(failure) if left.is_zero() || !may_pass(&failure) => return Err(failure),
            Ok(_) | Err(_) => std::thread::sleep(WAIT_STEP.min(left)),
        }
    }
}

fn may_pass(failure: &Failure) -> bool {
    failure.exit() == crate::failure::Exit::Unavailable
}

fn partial(missing: &[(&'static str, Failure)]) -> Result<(), Failure> {
    if missing.is_empty() {
        return Ok(());
    }
    for (name, failure) in missing {
        note(&format!("{name}: {failure}"));
    }
    let names: Vec<_> = missing.iter().map(|(name, _)| *name).collect();
    Err(Failure::Partial(format!("not all is known: {} cannot be read now", names.join(", "))))
}
