//! The one place where a command is stamped and handed to openraft, in one order: the log's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::ClientWriteError;
use openraft::impls::ProgressResponder;
use openraft::raft::ClientWriteResult;
use tokio::sync::oneshot;
use tokio::time::Instant;
use wardmesh_common::clock;
use wardmesh_common::space::{Level, Space};
use wardmesh_common::time::Timestamp;

use super::{OUTCOME_PATIENCE, Unavailable};
use crate::raft::clock::{CommandClock, Look};
use crate::raft::network::Peers;
use crate::raft::types::{Raft, TypeConfig};
use crate::state::command::{Action, Command};
use crate::state::receipt::Receipt;

/// The clock of commands together with what it needs of the machine.
#[derive(Debug)]
pub(in crate::raft) struct StampClock {
    started: Instant,
    clock: parking_lot::Mutex<CommandClock>,
}

impl StampClock {
    pub(in crate::raft) fn new() -> Self {
        Self { started: Instant::now(), clock: parking_lot::Mutex::default() }
    }

    fn stamp(&self) -> Timestamp {
        self.clock.lock().stamp(clock::now(), self.started.elapsed())
    }

    /// Another leader's command, or one of an earlier life, was stamped with `at`.
    pub(in crate::raft) fn observe(&self, at: Timestamp) {
        self.clock.lock().observe(at, self.started.elapsed());
    }

    /// Holds the wall clock against what the cluster agreed on.
    pub(in crate::raft) fn look(&self) -> Look {
        self.clock.lock().look(clock::now(), self.started.elapsed())
    }

    /// The best guess at the time.
    pub(in crate::raft) fn now(&self) -> Timestamp {
        self.clock.lock().now(clock::now(), self.started.elapsed())
    }

    /// The clock as it stands, for comparison and counters.
    pub(in crate::raft) fn read(&self) -> CommandClock {
        self.clock.lock().clone()
    }
}

/// The way into the log of the node that leads.
pub(in crate::raft) struct Gate {
    raft: Raft,
    clock: Arc<StampClock>,
    space: Arc<Space>,
    peers: Arc<Peers>,
    order: tokio::sync::Mutex<()>,
    /// Bytes of frames that went into the log here, for the snapshot policy.
    pub(in crate::raft) logged: AtomicU64,
}

impl Gate {
    pub(in crate::raft) fn new(
        raft: Raft,
        clock: Arc<StampClock>,
        space: Arc<Space>,
        peers: Arc<Peers>,
    ) -> Self {
        let (order, logged) = (tokio::sync::Mutex::default(), AtomicU64::new(0));
        Self { raft, clock, space, peers, order, logged }
    }

    /// Why a command is not taken before anything is written, if it is not: this volume has no room for
    /// it, or not a majority's has. What a node says of itself and of time is small, and goes on while
    /// the reserve is not touched.
    fn refusal(&self, action: &Action) -> Option<Unavailable> {
        let small = matches!(action, Action::Tick | Action::ReportNode(_));
        let least = if small { Level::Low } else { Level::Ample };
        let level = self.space.level();
        if level < least {
            let (folder, free) = (self.space.folder().display(), self.space.room().free);
            let why = format!("the leader's {folder} has {free} bytes left");
            return Some(Unavailable::disk_full(why));
        }
        let full = self.peers.full();
        if full.is_empty() {
            return None;
        }
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let voters = metrics.membership_config.voter_ids();
        let (all, roomy) = voters.fold((0, 0), |(all, roomy), voter| {
            (all + 1, roomy + usize::from(!full.contains(&voter)))
        });
        let why = || format!("nodes {full:?} have no room, and without them there is no majority");
        (roomy * 2 <= all).then(|| Unavailable::disk_full(why()))
    }

    /// Lets nothing through for as long as the answer lives.
    pub(in crate::raft) async fn hold(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.order.lock().await
    }

    /// Stamps the command and hands it over. When this returns, its place among the commands of this
    /// node is settled; whether it gets into the log is told by the [`Pending`].
    pub(in crate::raft) async fn propose(&self, action: Action) -> Result<Pending, Unavailable> {
        if let Some(refusal) = self.refusal(&action) {
            return Err(refusal);
        }
        let (responder, receiver) = ProgressResponder::complete_only();
        let handed = {
            let _order = self.order.lock().await;
            let command = Command::new(self.clock.stamp(), action);
            self.logged.fetch_add(command.frame_bytes() as u64, Ordering::Relaxed);
            self.raft.client_write_ff(command, Some(responder)).await
        };
        handed.map_err(|cause| Unavailable::Stopped(cause.to_string()))?;
        Ok(Pending { receiver })
    }
}

/// A command on its way.
pub(in crate::raft) struct Pending {
    receiver: oneshot::Receiver<ClientWriteResult<TypeConfig>>,
}

impl Pending {
    /// What it came to, and its place in the log.
    pub(in crate::raft) async fn outcome(self) -> Result<(Receipt, u64), Unavailable> {
        let unknown = |why: String| Unavailable::Unknown(why);
        let answer = tokio::time::timeout(OUTCOME_PATIENCE, self.receiver).await;
        let answer = answer.map_err(|_| unknown(format!("nothing after {OUTCOME_PATIENCE:?}")))?;
        match answer.map_err(|_| unknown("consensus has stopped".to_owned()))? {
            Ok(written) => Ok((written.data.receipt, written.data.index)),
            Err(ClientWriteError::ForwardToLeader(_)) => Err(Unavailable::succeeded()),
            Err(discarded) => Err(unknown(discarded.to_string())),
        }
    }
}
