//! What happened, in its order: a hash over all of it, and the last lines in words.

use std::collections::VecDeque;
use std::fmt;
use std::hash::Hasher;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use siphasher::sip::SipHasher13;

/// Lines that are kept for a report.
const KEPT: usize = 120;

/// Everything that two runs of one seed must have in common.
#[derive(Default)]
pub(crate) struct Trace {
    hash: SipHasher13,
    count: u64,
    last: VecDeque<String>,
    /// All lines go to standard error too.
    loud: bool,
}

/// The trace, as all parts of a run hold it.
pub(crate) type Shared = Arc<Mutex<Trace>>;

impl Trace {
    pub(crate) fn new(loud: bool) -> Shared {
        Arc::new(Mutex::new(Self { loud, ..Self::default() }))
    }

    pub(crate) fn note(&mut self, at: Duration, what: fmt::Arguments<'_>) {
        let line = format!("{:>9.3} {what}", at.as_secs_f64());
        self.hash.write(line.as_bytes());
        self.count += 1;
        if self.loud {
            eprintln!("{line}");
        }
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    /// The hash over all lines so far.
    pub(crate) fn hash(&self) -> u64 {
        self.hash.finish()
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn last(&self) -> String {
        self.last.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
    }
}

/// A short name for bytes.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(bytes);
    hasher.finish()
}
