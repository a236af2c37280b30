//! The one place where a command is stamped and handed to openraft, in one order: the log's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use openraft::errors::ClientWriteError;
use openraft::impls::ProgressResponder;
use openraft::raft::ClientWriteResult;
use tokio::sync::oneshot;
use tokio::time::Instant;
use wardmesh_common::clock;
use wardmesh_common::time::Timestamp;

use super::{OUTCOME_PATIENCE, Unavailable};
use crate::raft::clock::{CommandClock, Look};
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
    order: tokio::sync::Mutex<()>,
    /// Bytes of frames that went into the log here, for the snapshot policy.
    pub(in crate::raft) logged: AtomicU64,
}

impl Gate {
    pub(in crate::raft) fn new(raft: Raft, clock: Arc<StampClock>) -> Self {
        Self { raft, clock, order: tokio::sync::Mutex::default(), logged: AtomicU64::new(0) }
    }

    /// Lets nothing through for as long as the answer lives.
    pub(in crate::raft) async fn hold(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.order.lock().await
    }

    /// Stamps the command and hands it over. When this returns, its place among the commands of this
    /// node is settled; whether it gets into the log is told by the [`Pending`].
    pub(in crate::raft) async fn propose(&self, action: Action) -> Result<Pending, Unavailable> {
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
            Err(ClientWriteError::ForwardToLeader(_)) => Err(Unavailable::no_leader()),
            Err(discarded) => Err(unknown(discarded.to_string())),
        }
    }
}
