//! What a node does by itself: the leader's ticks, snapshots, and purges of the log.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::metrics::WaitError;
use openraft::{Instant as _, RaftMetrics};
use tokio::time::{Instant, MissedTickBehavior};
use wardmesh_common::clock;
use wardmesh_common::space::Level;
use wardmesh_common::time::Timestamp;

use super::STATUS_PATIENCE;
use super::node::{Node, index, peer};
use super::settings::Compaction;
use crate::raft::clock::{Look, STEP_MAX};
use crate::raft::log_store::LogStore;
use crate::raft::proposer::Unavailable;
use crate::raft::rpc::{Reply, Request};
use crate::raft::types::TypeConfig;
use crate::state::command::{Action, ReportClock};

/// Between two ticks of the replicated time.
const TICK: Duration = Duration::from_secs(1);

/// Between two looks at the log's size.
const COMPACT: Duration = Duration::from_secs(1);

/// A follower that acknowledged nothing for so long does not hold up a purge.
const REACHABLE: Duration = Duration::from_secs(10);

/// How long a snapshot that was asked for may take.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(120);

/// Between two askings for it.
const SNAPSHOT_POLL: Duration = Duration::from_secs(1);

/// Clocks of members that differ by less agree, for a step of the wall clock.
const CLOCKS_AGREE: Duration = Duration::from_secs(2);

/// Proposes a tick a second while this node leads; on every node, tells when its clock is wrong.
pub(super) async fn tick(node: Arc<Node>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reported = false;
    loop {
        ticks.tick().await;
        report_clock(&node, &mut reported).await;
        if !node.leads() {
            continue;
        }
        follow_wall_clock(&node).await;
        if let Err(cause) = node.propose_here(Action::Tick).await {
            tracing::debug!(%cause, "a tick was not applied");
        }
    }
}

/// Has it agreed on that this node's clock is wrong, or right again.
async fn report_clock(node: &Node, reported: &mut bool) {
    let look = node.clock.look();
    if look.wrong == *reported || node.propose_clock(look).await.is_err() {
        return;
    }
    *reported = look.wrong;
    let seconds = look.offset / 1_000_000_000;
    if look.wrong {
        tracing::error!(seconds, "this node's clock differs from what the cluster agreed on");
    } else {
        tracing::info!(seconds, "this node's clock is right again");
    }
}

impl Node {
    async fn propose_clock(&self, look: Look) -> Result<(), Unavailable> {
        let membership = self.membership();
        let name = membership.get_node(&self.id).map(|member| member.name.clone());
        let (node, name) = (self.id, name.unwrap_or_default());
        let report = ReportClock { node, name, offset: look.offset, off: look.wrong };
        let proposed = self.propose(Action::ReportClock(report));
        // The ticks of a leader must not wait for long.
        match tokio::time::timeout(TICK, proposed).await {
            Ok(outcome) => outcome.map(drop),
            Err(_) => Err(Unavailable::no_leader()),
        }
    }
}

/// After an outage of the whole cluster the commands' clock is hours behind. It may step only where
/// a majority of the members' clocks agrees with this one's.
async fn follow_wall_clock(node: &Node) {
    let wall = clock::now();
    let behind = node.clock.read().last().map_or(Duration::ZERO, |last| wall.since(last));
    if behind <= TICK + STEP_MAX {
        return;
    }
    let membership = node.membership();
    let voters: Vec<_> = membership.voter_ids().collect();
    let others = voters.iter().filter(|id| **id != node.id);
    let asking = others.filter_map(|id| Some((*id, membership.get_node(id)?))).map(
        |(id, member)| async move {
            let peer = peer(id, member);
            let asked = node.peers.call(&peer, &Request::Status, STATUS_PATIENCE).await;
            matches!(asked, Ok(Reply::Status(status)) if agree(status.clock, clock::now()))
        },
    );
    let agreeing = futures::future::join_all(asking).await;
    let agreeing = 1 + agreeing.into_iter().filter(|agrees| *agrees).count();
    if agreeing * 2 > voters.len() {
        tracing::info!(?behind, agreeing, "the commands' clock follows the members' clocks");
        node.clock.observe(clock::now());
    } else {
        tracing::warn!(?behind, agreeing, "this node's clock is ahead of the others'");
    }
}

fn agree(one: Timestamp, other: Timestamp) -> bool {
    one.since(other).max(other.since(one)) <= CLOCKS_AGREE
}

/// Builds snapshots and purges the log as the settings say.
pub(super) async fn compact(node: Arc<Node>, log: LogStore) {
    let mut looks = tokio::time::interval(COMPACT);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut logged_before = 0;
    loop {
        looks.tick().await;
        let logged = node.gate.logged.load(Ordering::Relaxed);
        let (applied, snapshot) = progress(&node);
        let Compaction { snapshot_entries, snapshot_bytes, .. } = node.settings.compaction;
        let grown = logged.saturating_sub(logged_before);
        let due = applied > snapshot
            && (applied - snapshot >= snapshot_entries || grown >= snapshot_bytes);
        if due && node.room_for_a_snapshot().is_ok() {
            logged_before = logged;
            build(&node, applied).await;
        }
        purge(&node, &log).await;
    }
}

/// Builds a snapshot of what is applied now where there is room for it, then purges.
pub(super) async fn snapshot_and_purge(node: &Node, log: &LogStore) -> Result<(), Unavailable> {
    let (applied, _) = progress(node);
    let room = node.room_for_a_snapshot();
    if room.is_ok() {
        build(node, applied).await;
    }
    purge(node, log).await;
    room
}

/// Indexes of the last applied entry and the last one in a snapshot.
fn progress(node: &Node) -> (u64, u64) {
    let metrics = node.raft.metrics();
    let metrics = metrics.borrow_watched();
    (index(metrics.last_applied.as_ref()), index(metrics.snapshot.as_ref()))
}

/// Asks until it is there: openraft ignores what is asked for while it builds an earlier one.
async fn build(node: &Node, applied: u64) {
    let deadline = Instant::now() + SNAPSHOT_PATIENCE;
    while Instant::now() < deadline {
        if node.raft.trigger().snapshot().await.is_err() {
            return;
        }
        let wait = node.raft.wait(Some(SNAPSHOT_POLL));
        let reached =
            |metrics: &RaftMetrics<TypeConfig>| index(metrics.snapshot.as_ref()) >= applied;
        match wait.metrics(reached, "a snapshot is built").await {
            Ok(_) | Err(WaitError::ShuttingDown) => return,
            Err(WaitError::Timeout(..)) => {}
        }
    }
    tracing::warn!(applied, "no snapshot was built within {SNAPSHOT_PATIENCE:?}");
}

async fn purge(node: &Node, log: &LogStore) {
    // It frees whole files, but is itself written down first.
    if node.settings.space.level() == Level::Spent {
        return;
    }
    let archived = (node.settings.archived_through)();
    let kept = log.kept();
    let entry_bytes = log.size_on_disk() / kept.end.saturating_sub(kept.start).max(1);
    let upto = {
        let metrics = node.raft.metrics();
        let metrics = metrics.borrow_watched();
        let upto = purgeable(&metrics, archived, entry_bytes, &node.settings.compaction);
        upto.filter(|upto| *upto > index(metrics.purged.as_ref()))
    };
    if let Some(upto) = upto
        && let Err(cause) = node.raft.trigger().purge_log(upto).await
    {
        tracing::warn!(%cause, upto, "the log was not purged");
    }
}

/// The last index that no one needs from the log: it is in a snapshot and in the archive, and no
/// follower that can be served from the log is behind it. `entry_bytes` is what an entry takes.
fn purgeable(
    metrics: &RaftMetrics<TypeConfig>,
    archived: u64,
    entry_bytes: u64,
    compaction: &Compaction,
) -> Option<u64> {
    let snapshot = metrics.snapshot.as_ref()?.index;
    let bounded = |entries: u64| entries.min(compaction.laggard_bytes / entry_bytes.max(1));
    let keep = bounded(compaction.keep_entries);
    let kept = index(metrics.last_applied.as_ref()).checked_sub(keep)?;
    let upto = snapshot.min(archived).min(kept);
    let laggard = bounded(compaction.laggard_entries);
    let laggard = metrics.last_log_index.unwrap_or(0).saturating_sub(laggard);
    let reachable = |id| {
        let heartbeat = metrics.heartbeat.as_ref()?.get(id)?.as_ref()?;
        Some(heartbeat.into_inner().elapsed() <= REACHABLE)
    };
    let followers = metrics.replication.iter().flatten();
    let needed = followers
        .filter(|(id, _)| **id != metrics.id && reachable(id).unwrap_or(false))
        .map(|(_, matched)| index(matched.as_ref()))
        .filter(|matched| *matched >= laggard);
    Some(needed.fold(upto, u64::min))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::collections::BTreeMap;

    use super::*;
    use crate::raft::testing::log_id;
    use crate::raft::types::TypeConfig;

    const COMPACTION: Compaction = Compaction {
        snapshot_entries: 0,
        snapshot_bytes: 0,
        keep_entries: 10,
        laggard_entries: 50,
        laggard_bytes: 50_000,
    };

    /// A leader of three at entry 100 with a snapshot of entry 95; both followers are reachable and
    /// have so much.
    fn leader(matched: [u64; 2]) -> RaftMetrics<TypeConfig> {
        let at = |index| Some(log_id(1, index));
        let now = openraft::metrics::SerdeInstant::new(openraft::Instant::now());
        let [second, third] = matched;
        RaftMetrics {
            last_log_index: Some(100),
            last_applied: at(100),
            snapshot: at(95),
            replication: Some(BTreeMap::from([(1, at(100)), (2, at(second)), (3, at(third))])),
            heartbeat: Some(BTreeMap::from([(2, Some(now)), (3, Some(now))])),
            ..RaftMetrics::new_initial(1)
        }
    }

    #[test]
    fn a_purge_leaves_what_someone_needs() {
        // (what the followers have, what is archived) → up to where
        let cases = [
            (([100, 100], u64::MAX), 90),
            (([100, 100], 42), 42),
            (([100, 70], u64::MAX), 70),
            (([60, 70], u64::MAX), 60),
            // Too far behind: it gets a snapshot.
            (([100, 49], u64::MAX), 90),
        ];
        for ((matched, archived), upto) in cases {
            let metrics = leader(matched);
            let purged = purgeable(&metrics, archived, 1_000, &COMPACTION);
            assert_eq!(purged, Some(upto), "{matched:?} {archived}");
        }
    }

    /// As one that answers heartbeats and has no room for entries.
    #[test]
    fn a_laggard_holds_up_so_many_bytes_at_most() {
        // (bytes of an entry, what the laggard has) → up to where
        let cases = [
            ((1_000, 60), 60),
            ((1_250, 60), 60),
            ((1_300, 60), 90),
            ((1_300, 70), 70),
            ((10_000, 70), 95),
            ((u64::MAX, 99), 95),
            ((0, 60), 60),
        ];
        for ((entry_bytes, matched), upto) in cases {
            let purged = purgeable(&leader([100, matched]), u64::MAX, entry_bytes, &COMPACTION);
            assert_eq!(purged, Some(upto), "{entry_bytes} {matched}");
        }
    }

    #[test]
    fn who_is_gone_holds_up_nothing() {
        let mut metrics = leader([100, 70]);
        metrics.heartbeat = Some(BTreeMap::from([(3, None)]));
        assert_eq!(purgeable(&metrics, u64::MAX, 1_000, &COMPACTION), Some(90));
        metrics.snapshot = None;
        assert_eq!(purgeable(&metrics, u64::MAX, 1_000, &COMPACTION), None);
    }

    #[test]
    fn clocks_agree_within_two_seconds_either_way() {
        let at = |seconds| Timestamp::from_parts(seconds, 0);
        assert!(agree(at(10), at(12)) && agree(at(12), at(10)));
        assert!(!agree(at(10), at(13)) && !agree(at(13), at(10)));
    }
}
