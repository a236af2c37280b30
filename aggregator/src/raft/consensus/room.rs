//! What a node does about a volume that runs full: refuses before it writes, hands leadership to who
//! has room, and has it reported.
//!
//! A write that finds no room may leave half of itself behind and ends the process; so nothing is
//! begun that could get that far.

use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::raft::AppendEntriesRequest;
use tokio::time::Instant;
use tokio::time::MissedTickBehavior;
use wardmesh_common::id::NodeId;
use wardmesh_common::offload;
use wardmesh_common::space::Level;

use super::STATUS_PATIENCE;
use super::node::{Node, index, peer};
use crate::raft::proposer::Unavailable;
use crate::raft::rpc::{Failure, Reply, Request};
use crate::raft::types::{TypeConfig, Vote};
use crate::state::command::{Action, ReportNode};

/// Between two looks at the volume.
const LOOK: Duration = Duration::from_millis(250);

/// Between two tries to hand leadership over: an election and a few heartbeats.
const HAND_OVER_AGAIN: Duration = Duration::from_secs(3);

/// Between two tries to have the volume reported, and how long it must have room before that is said.
const REPORT_AGAIN: Duration = Duration::from_secs(2);

/// After its start a node says once that it has room: an earlier life may have ended for want of it.
const FIRST_REPORT: Duration = Duration::from_secs(10);

/// The smallest room a snapshot is begun in, bytes: small states, and sums around them.
const SNAPSHOT_ROOM_MIN: u64 = 4 * 1024 * 1024;

/// What lies in the data folder from when a node ends that could not report that its volume ran short
/// until its next life has.
const MARK: &str = "ran-short";

impl Node {
    /// Has the next life report what this one did not get to. Blocking.
    pub(super) fn remember_shortage(&self) {
        let mark = self.settings.data.join(MARK);
        if let Err(cause) = std::fs::write(&mark, b"") {
            tracing::warn!(path = %mark.display(), %cause, "that the volume ran full is not noted");
        }
    }

    /// That entries can be appended above the reserve.
    pub(super) fn room_for_entries(&self) -> Result<(), Failure> {
        self.room_from(Level::Low)
    }

    /// That votes and other marks can be written.
    pub(super) fn room_for_marks(&self) -> Result<(), Failure> {
        self.room_from(Level::Critical)
    }

    /// That what an append would write can be written: its entries, or the term of a new leader, which
    /// is kept in mind where it cannot.
    pub(super) fn room_for(
        &self,
        append: &AppendEntriesRequest<TypeConfig>,
    ) -> Result<(), Failure> {
        let newer = append.vote > self.own_vote();
        let room = match append.entries.is_empty() {
            true if newer => self.room_for_marks(),
            true => Ok(()),
            false => self.room_for_entries(),
        };
        let leader = append.vote.leader_id.node_id;
        *self.unrecorded.lock() = (newer && room.is_err()).then(|| (leader, Instant::now()));
        room
    }

    /// A newer leader that was heard of within two elections and could not be written down.
    pub(super) fn unrecorded_leader(&self) -> Option<NodeId> {
        let (leader, at) = (*self.unrecorded.lock())?;
        (at.elapsed() < 2 * self.settings.timing.election_max).then_some(leader)
    }

    fn room_from(&self, least: Level) -> Result<(), Failure> {
        if self.settings.space.level() < least { Err(self.disk_full()) } else { Ok(()) }
    }

    pub(super) fn disk_full(&self) -> Failure {
        let space = &self.settings.space;
        let (folder, free) = (space.folder().display(), space.room().free);
        Failure::DiskFull(format!("node {}: {folder} has {free} bytes left", self.id))
    }

    /// The vote that it has written down last.
    pub(super) fn own_vote(&self) -> Vote {
        self.raft.metrics().borrow_watched().vote
    }

    /// That a snapshot like the last one, half as large again, fits above the reserve, and what is
    /// archived before it.
    pub(super) fn room_for_a_snapshot(&self) -> Result<(), Unavailable> {
        let last = self.snapshots.current().map_or(0, |current| current.snapshot.length());
        let own = last.saturating_add(last / 2).max(SNAPSHOT_ROOM_MIN);
        let bytes = own.saturating_add((self.settings.unarchived_bytes)());
        let space = &self.settings.space;
        if space.fits(bytes) {
            return Ok(());
        }
        let (folder, free, reserve) =
            (space.folder().display(), space.room().free, space.limits().reserve);
        Err(Unavailable::disk_full(format!(
            "node {}: {folder} has {free} bytes left, a snapshot and what is archived before it \
             need {bytes} above the reserve of {reserve}",
            self.id
        )))
    }

    /// Another voter with room, the one that has most of the log.
    async fn roomy_successor(&self) -> Option<NodeId> {
        let membership = self.membership();
        let others = membership.voter_ids().filter(|id| *id != self.id);
        let others = others.filter_map(|id| Some((id, membership.get_node(&id)?)));
        let asking = others.map(|(id, member)| async move {
            let asked = peer(id, member);
            let reply = self.peers.call(&asked, &Request::Room, STATUS_PATIENCE).await;
            matches!(reply, Ok(Reply::Room(true))).then_some(id)
        });
        let roomy = futures::future::join_all(asking).await;
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let matched = metrics.replication.as_ref();
        let matched = |id| matched.and_then(|all| all.get(&id)?.as_ref());
        roomy.into_iter().flatten().max_by_key(|id| index(matched(*id)))
    }
}

/// What a watch remembers.
struct Watch {
    node: Arc<Node>,
    level: Level,
    /// It has run short since the last report.
    short: bool,
    /// Whether the last report said that there is enough; `None` before the first.
    reported: Option<bool>,
    report_at: Instant,
    hand_over_at: Instant,
}

/// Watches the volume until the node ends.
pub(super) async fn watch(node: Arc<Node>) {
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let now = Instant::now();
    let (report_at, hand_over_at) = (now + FIRST_REPORT, now);
    let mark = node.settings.data.join(MARK);
    let marked = offload::run(move || mark.exists()).await.unwrap_or(false);
    let (level, short, reported) = (Level::Ample, marked, None);
    let mut watch = Watch { node, level, short, reported, report_at, hand_over_at };
    loop {
        looks.tick().await;
        watch.look().await;
    }
}

impl Watch {
    async fn look(&mut self) {
        let level = self.node.settings.space.level();
        if level != self.level {
            self.turn(level);
        }
        if level < Level::Ample && self.node.leads() && Instant::now() >= self.hand_over_at {
            self.hand_over_at = Instant::now() + HAND_OVER_AGAIN;
            self.hand_over().await;
        }
        let enough = level == Level::Ample;
        if (self.short || self.reported != Some(enough)) && Instant::now() >= self.report_at {
            self.report_at = Instant::now() + REPORT_AGAIN;
            self.report(enough).await;
        }
    }

    fn turn(&mut self, level: Level) {
        let space = &self.node.settings.space;
        let (path, free) = (space.folder().display(), space.room().free);
        let was = self.level.as_str();
        if level == Level::Ample {
            tracing::info!(%path, free, was, "the volume has room again");
        } else {
            let level = level.as_str();
            tracing::error!(%path, free, was, level, "the volume runs full: free space or enlarge it");
        }
        // Who cannot write a vote down must not ask for one.
        self.node.raft.runtime_config().elect(level > Level::Spent);
        if level < Level::Ample && self.level == Level::Ample {
            (self.short, self.report_at) = (true, Instant::now());
        } else {
            self.report_at = self.report_at.max(Instant::now() + REPORT_AGAIN);
        }
        self.level = level;
    }

    async fn hand_over(&self) {
        let Some(next) = self.node.roomy_successor().await else { return };
        tracing::warn!(next, "the volume runs full: handing leadership over");
        if self.node.hand_over(Some(next)).await.is_none() {
            tracing::warn!(next, "leadership was not handed over");
        }
    }

    async fn report(&mut self, enough: bool) {
        let space = &self.node.settings.space;
        let report = ReportNode {
            node: self.node.id,
            name: self.node.settings.member.name.clone(),
            path: space.folder().display().to_string(),
            free: space.room().free,
            enough,
            short: self.short,
        };
        match self.node.propose(Action::ReportNode(report)).await {
            Ok(_) => {
                (self.short, self.reported) = (false, Some(enough));
                let mark = self.node.settings.data.join(MARK);
                // Where it stays, the next life reports it once more.
                let _ = offload::run(move || std::fs::remove_file(mark)).await;
            }
            Err(cause) => tracing::debug!(%cause, "the volume's state was not reported"),
        }
    }
}
