//! What a node's tasks share, and what can be read from it without waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::{Instant as _, RaftMetrics};
use tokio::time::Instant;
use wardmesh_common::clock;
use wardmesh_common::id::NodeId;

use super::Status;
use super::settings::Settings;
use crate::raft::network::{CallError, Peer, Peers};
use crate::raft::proposer::gate::{Gate, StampClock};
use crate::raft::proposer::{OUTCOME_PATIENCE, Queue};
use crate::raft::rpc::{NodeStatus, Reply, Request};
use crate::raft::snapshot::Snapshots;
use crate::raft::standing::Standing;
use crate::raft::types::{LogId, Member, Raft, StoredMembership, TypeConfig};

/// Between two looks for a leader.
pub(super) const LEADER_POLL: Duration = Duration::from_millis(50);

/// Leases without an answer after which a leader is taken for cut off.
const LEASES_UNTIL_ALONE: u32 = 2;

/// What a node's tasks share.
pub(in crate::raft) struct Node {
    pub(in crate::raft) id: NodeId,
    pub(in crate::raft) raft: Raft,
    pub(in crate::raft) peers: Arc<Peers>,
    pub(in crate::raft) gate: Gate,
    pub(in crate::raft) clock: Arc<StampClock>,
    pub(in crate::raft) queue: Queue,
    pub(in crate::raft) snapshots: Arc<Snapshots>,
    pub(in crate::raft) settings: Settings,
    pub(in crate::raft) standing: Arc<Standing>,
    /// The membership is changed by one at a time.
    pub(super) changing: tokio::sync::Mutex<()>,
    /// Inits that this node was asked for and that are under way: it joins no other one meanwhile.
    pub(super) founding: AtomicUsize,
    /// An empty volume is admitted, or begins its log, by one at a time.
    pub(super) admitting: tokio::sync::Mutex<()>,
    /// Hand-overs of this leader that are under way: what comes meanwhile waits for its successor.
    pub(super) handing_over: AtomicUsize,
    /// Calls of followers that wait for the outcome of what they forwarded.
    pub(super) answering: AtomicUsize,
    /// One snapshot is taken in at a time.
    pub(in crate::raft) receiving: tokio::sync::Mutex<()>,
    /// Connections and calls that the endpoint turned away.
    pub(super) refused_connections: AtomicU64,
    pub(super) refused_calls: AtomicU64,
    /// The archive that peers may fetch, once there is one.
    pub(super) history: std::sync::OnceLock<Arc<dyn super::History>>,
    /// Why this node has to stop, once it has to.
    pub(super) stop: tokio::sync::watch::Sender<Option<String>>,
    started: Instant,
    /// Milliseconds from the start to the last append of a leader, plus one; 0 before the first.
    heard: AtomicU64,
    /// A newer leader that could not be written down for want of room, and when it was heard.
    pub(super) unrecorded: parking_lot::Mutex<Option<(NodeId, Instant)>>,
}

/// One more, for as long as it lives.
pub(super) struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    pub(super) fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Where a proposal has to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::raft) enum Route {
    /// This node leads.
    Own,
    /// Another one does.
    Other(Peer),
    /// Nobody, as far as is known.
    Nobody,
}

/// A member to talk to.
pub(super) fn peer(node_id: NodeId, member: &Member) -> Peer {
    Peer { node: Some(node_id), address: member.raft_address.clone() }
}

/// An optional log id's index; openraft's first is 0, which only a membership takes.
pub(super) fn index(id: Option<&LogId>) -> u64 {
    id.map_or(0, |id| id.index)
}

impl Node {
    pub(super) fn new(
        settings: Settings,
        raft: Raft,
        peers: Arc<Peers>,
        clock: Arc<StampClock>,
        queue: Queue,
        snapshots: Arc<Snapshots>,
        standing: Arc<Standing>,
    ) -> Self {
        Self {
            id: settings.node_id,
            gate: Gate::new(
                raft.clone(),
                Arc::clone(&clock),
                Arc::clone(&settings.space),
                Arc::clone(&peers),
            ),
            raft,
            peers,
            clock,
            queue,
            snapshots,
            settings,
            standing,
            changing: tokio::sync::Mutex::default(),
            founding: AtomicUsize::default(),
            admitting: tokio::sync::Mutex::default(),
            handing_over: AtomicUsize::default(),
            answering: AtomicUsize::default(),
            receiving: tokio::sync::Mutex::default(),
            refused_connections: AtomicU64::new(0),
            refused_calls: AtomicU64::new(0),
            history: std::sync::OnceLock::new(),
            stop: tokio::sync::watch::Sender::new(None),
            started: Instant::now(),
            heard: AtomicU64::new(0),
            unrecorded: parking_lot::Mutex::default(),
        }
    }

    pub(in crate::raft) fn route(&self) -> Route {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        match self.unrecorded_leader().or(metrics.current_leader) {
            None => Route::Nobody,
            Some(leader) if leader == self.id && self.is_alone(&metrics) => Route::Nobody,
            Some(leader) if leader == self.id && self.handing_over.load(Ordering::Acquire) > 0 => {
                Route::Nobody
            }
            Some(leader) if leader == self.id => Route::Own,
            Some(leader) => metrics
                .membership_config
                .get_node(&leader)
                .map_or(Route::Nobody, |member| Route::Other(peer(leader, member))),
        }
    }

    /// Whether it calls itself leader although no quorum has answered it: not yet, right after its
    /// election, or not for several leases. What is proposed to it is refused, or would wait in vain.
    fn is_alone(&self, metrics: &RaftMetrics<TypeConfig>) -> bool {
        let lease = self.settings.timing.election_max;
        let acked = metrics.last_quorum_acked.map(|at| at.into_inner().elapsed());
        metrics.membership_config.voter_ids().count() > 1
            && acked.is_none_or(|ago| ago > lease * LEASES_UNTIL_ALONE)
    }

    pub(super) fn leads(&self) -> bool {
        self.route() == Route::Own
    }

    pub(super) fn leader(&self) -> Option<NodeId> {
        self.unrecorded_leader().or_else(|| self.raft.metrics().borrow_watched().current_leader)
    }

    pub(super) fn membership(&self) -> Arc<StoredMembership> {
        Arc::clone(&self.raft.metrics().borrow_watched().membership_config)
    }

    /// Asks the leader. When another one leads, the old one gets so much `grace` to answer what it had
    /// taken; a stopped disk can keep it silent for much longer.
    pub(in crate::raft) async fn call_leader(
        &self,
        leader: &Peer,
        request: &Request,
        grace: Duration,
    ) -> Result<Reply, CallError> {
        tokio::select! {
            biased;
            reply = self.peers.call(leader, request, OUTCOME_PATIENCE) => reply,
            () = self.succeeded(leader.node, grace) => {
                Err(CallError::Lost("another node leads now".to_owned()))
            }
        }
    }

    async fn succeeded(&self, old: Option<NodeId>, grace: Duration) {
        let mut metrics = self.raft.metrics();
        loop {
            let leader = self.leader();
            if leader.is_some() && leader != old {
                return tokio::time::sleep(grace).await;
            }
            if metrics.changed().await.is_err() {
                return;
            }
        }
    }

    /// A leader's append was taken.
    pub(super) fn heard(&self) {
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.heard.store(millis + 1, Ordering::Relaxed);
    }

    /// How long no leader was heard; `None` if never.
    pub(super) fn silence(&self) -> Option<Duration> {
        let heard = Duration::from_millis(self.heard.load(Ordering::Relaxed).checked_sub(1)?);
        Some(self.started.elapsed().saturating_sub(heard))
    }

    pub(super) fn status(&self) -> Status {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let membership = &metrics.membership_config;
        let leader = self.unrecorded_leader().or(metrics.current_leader);
        let leader = leader.and_then(|id| Some((id, membership.get_node(&id)?.clone())));
        let leads = metrics.current_leader == Some(self.id);
        let acked = metrics.last_quorum_acked.map(|at| at.into_inner().elapsed());
        Status {
            node_id: self.id,
            leader,
            term: metrics.current_term,
            committed: index(metrics.local_committed.as_ref()),
            applied: index(metrics.last_applied.as_ref()),
            snapshot: index(metrics.snapshot.as_ref()),
            last_leader_contact: if leads { acked } else { self.silence() },
            voters: membership.voter_ids().collect(),
            members: membership.nodes().map(|(id, member)| (*id, member.clone())).collect(),
        }
    }

    pub(super) fn node_status(&self) -> NodeStatus {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        NodeStatus {
            node_id: self.id,
            term: metrics.current_term,
            leader: metrics.current_leader,
            applied: index(metrics.last_applied.as_ref()),
            committed: index(metrics.local_committed.as_ref()),
            clock: clock::now(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}
