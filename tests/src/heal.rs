//! How soon all must be well again after what is done to a mesh. Pure: what was measured in, a
//! complaint out.
//!
//! The limits leave a machine with fewer cores than processes its time; what hangs is far above them.

use std::time::Duration;

/// Without an acknowledgement after a kill of the leader alone: twice what the design allows (N1).
pub const GAP_MAX: Duration = Duration::from_secs(10);

/// Until all nodes are ready after all of them ended at once: twice what the design allows after a
/// power cut (N5), thrice what it allows after a kill (N3).
pub const READY_MAX: Duration = Duration::from_secs(30);

/// A node with this log index or one below it as the beginning of its history has all of it.
pub const HISTORY_BEGIN: u64 = 1;

/// Acknowledgements came again soon enough after the leader alone was killed.
///
/// # Errors
/// The complaint.
pub fn resumed(gap: Duration) -> Result<(), String> {
    let late = gap > GAP_MAX;
    let what = || format!("no acknowledgement for {gap:.1?} after a kill of the leader alone");
    if late { Err(what()) } else { Ok(()) }
}

/// All nodes were ready soon enough after all of them had ended.
///
/// # Errors
/// The complaint.
pub fn ready(took: Duration) -> Result<(), String> {
    let late = took > READY_MAX;
    let what = || format!("all nodes were ready only {took:.1?} after they were started");
    if late { Err(what()) } else { Ok(()) }
}

/// A node, by place, has the whole history: runs are too short for the retention to remove any of it.
///
/// # Errors
/// The complaint.
pub fn whole(node: usize, history_from: Option<u64>) -> Result<(), String> {
    match history_from {
        Some(from) if from <= HISTORY_BEGIN => Ok(()),
        Some(from) => Err(format!("node {} has its history from index {from} only", node + 1)),
        None => Err(format!("node {} does not say from where it has its history", node + 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_late_or_missing_is_complained_of() {
        let second = Duration::from_secs(1);
        assert!(resumed(GAP_MAX).is_ok() && resumed(GAP_MAX + second).is_err());
        assert!(ready(READY_MAX).is_ok() && ready(READY_MAX + second).is_err());
        let whole = |from| whole(0, from).is_ok();
        assert_eq!([Some(0), Some(1), Some(2), None].map(whole), [true, true, false, false]);
    }
}
