//! How soon all must be well again after what is done to a mesh. Pure: what was measured in, a
//! complaint out.
//!
//! The limits leave a machine with fewer cores than processes its time; what hangs is far above them.

use std::time::Duration;

use serde_json::Value;

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

/// A node, by place, has the whole history and shows all of it, by the `meta` of a page of its events:
/// runs are too short for the retention to remove any.
///
/// # Errors
/// The complaint.
pub fn whole(node: usize, meta: &Value) -> Result<(), String> {
    let node = node + 1;
    match meta["history_from"].as_u64() {
        Some(from) if from > HISTORY_BEGIN => {
            Err(format!("node {node} has its history from {from}"))
        }
        Some(_) if meta["missing"].is_null() => Ok(()),
        Some(_) => Err(format!("node {node} leaves out {}", meta["missing"])),
        None => Err(format!("node {node} does not say from where it has its history")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_late_or_missing_is_complained_of() {
        let second = Duration::from_secs(1);
        assert!(resumed(GAP_MAX).is_ok() && resumed(GAP_MAX + second).is_err());
        assert!(ready(READY_MAX).is_ok() && ready(READY_MAX + second).is_err());
        for (meta, is_whole) in [
            (json!({ "history_from": 0 }), true),
            (json!({ "history_from": 1 }), true),
            (json!({ "history_from": 2 }), false),
            (json!({ "history_from": 1, "missing": { "from": 7, "through": 9 } }), false),
            (Value::Null, false),
        ] {
            assert_eq!(whole(0, &meta).is_ok(), is_whole, "{meta}");
        }
    }
}
