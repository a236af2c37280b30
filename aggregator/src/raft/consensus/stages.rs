//! Where the time of the latest entries went on the leader, by openraft's own clocks. Only in builds with
//! the feature `runtime-stats`: it costs a look at the clock for each entry and stage.

use std::sync::Arc;
use std::time::Duration;

use super::node::Node;

/// Between two reports: openraft keeps the times of the latest 1,024 entries.
const PERIOD: Duration = Duration::from_secs(2);

/// Reports until the node stops.
pub(super) async fn report(node: Arc<Node>) {
    loop {
        tokio::time::sleep(PERIOD).await;
        if !node.raft.is_leader() {
            continue;
        }
        let Ok(mut stats) = node.raft.runtime_stats().await else { return };
        stats.build_log_stage_histograms();
        for stage in stats.log_stage_histograms.to_string().lines() {
            tracing::info!(stage = stage.trim(), "entries");
        }
    }
}
