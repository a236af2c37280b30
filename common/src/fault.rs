//! Faults that are planted on purpose, so that the tests themselves are tested: each must turn them
//! red.
//!
//! Only with the feature `planted-faults`, which no release has, and one at a time, named by
//! `WARDMESH_PLANTED_FAULT`. Without the feature [`planted`] is `false` when the code is compiled, and
//! neither the names nor what stands behind them are in the binary.

/// A batch: its sensor, start, lane and place.
pub type Batch = ([u8; 16], u64, u8, u64);

/// Something that is done wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The Raft log is written, but not synced.
    SyncSkipped,
    /// A batch is acknowledged before anything was agreed on.
    AckBeforeCommit,
    /// A vote is given without being written down.
    VoteNotSaved,
    /// A batch that comes again is applied again.
    DedupeOff,
    /// What came before is known to one process only, and to none after its end.
    DedupeInMemory,
    /// A linearizable read is answered with what this node happens to know.
    LocalReadAsLinearizable,
    /// A damaged log is cut off before the damage, and the node goes on.
    DamageSkipped,
    /// A batch is taken for that of the sensor that it names, whoever sent it.
    SiteCheckRemoved,
}

#[cfg(not(feature = "planted-faults"))]
mod choice {
    use super::{Batch, Fault};

    /// Whether this fault is planted: never.
    #[must_use]
    pub const fn planted(_: Fault) -> bool {
        false
    }

    /// Whether a batch came to this process before: not remembered.
    #[must_use]
    pub const fn met_before(_: Batch) -> bool {
        false
    }
}

#[cfg(feature = "planted-faults")]
mod choice {
    use std::collections::BTreeSet;
    use std::sync::{Mutex, OnceLock, PoisonError};

    use super::{Batch, Fault};

    /// What names the fault.
    const VARIABLE: &str = "WARDMESH_PLANTED_FAULT";

    const NAMES: [(&str, Fault); 8] = [
        ("sync-skipped", Fault::SyncSkipped),
        ("ack-before-commit", Fault::AckBeforeCommit),
        ("vote-not-saved", Fault::VoteNotSaved),
        ("dedupe-off", Fault::DedupeOff),
        ("dedupe-in-memory", Fault::DedupeInMemory),
        ("local-read-as-linearizable", Fault::LocalReadAsLinearizable),
        ("damage-skipped", Fault::DamageSkipped),
        ("site-check-removed", Fault::SiteCheckRemoved),
    ];

    static CHOSEN: OnceLock<Option<Fault>> = OnceLock::new();

    static MET: Mutex<BTreeSet<Batch>> = Mutex::new(BTreeSet::new());

    /// Whether this fault is planted.
    #[must_use]
    pub fn planted(fault: Fault) -> bool {
        *CHOSEN.get_or_init(choose) == Some(fault)
    }

    /// A name that is not known ends the process: a test of nothing would be green.
    #[expect(
        clippy::print_stderr,
        clippy::disallowed_methods,
        reason = "only in a build for tests, which no configuration may ask for"
    )]
    fn choose() -> Option<Fault> {
        let name = std::env::var(VARIABLE).ok()?;
        let known = NAMES.iter().find(|(known, _)| *known == name);
        let Some((_, fault)) = known else {
            eprintln!("{VARIABLE}: there is no fault '{name}'");
            std::process::exit(2);
        };
        Some(*fault)
    }

    /// Whether a batch came to this process before; from now on it did.
    #[must_use]
    pub fn met_before(batch: Batch) -> bool {
        !MET.lock().unwrap_or_else(PoisonError::into_inner).insert(batch)
    }
}

pub use choice::{met_before, planted};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_planted_where_nobody_asked() {
        assert!(!planted(Fault::SyncSkipped));
        assert!(!met_before(([1; 16], 1, 1, 1)));
    }
}
