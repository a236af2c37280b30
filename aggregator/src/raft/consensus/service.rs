//! What this node answers to the others' calls.

use bytes::Bytes;
use openraft::raft::{AppendEntriesRequest, TransferLeaderRequest, VoteRequest};
use quinn::RecvStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::io::AsyncRead;
use wardmesh_common::id::NodeId;
use wardmesh_common::offload;
use wardmesh_common::space::Level;

use super::node::{Counted, Node};
use crate::raft::network::frame_bytes;
use crate::raft::network::transfer::receive_file;
use crate::raft::proposer::{RETRY_AFTER_OVERLOAD, Unavailable};
use crate::raft::rpc::{
    Change, ChangeError, Failure, Probed, Reply, Request, Sender, SnapshotName, SnapshotOffer,
    Submitted,
};
use crate::raft::server::{Refused, Serve, understand};
use crate::raft::snapshot::Incoming;
use crate::raft::types::{Payload, Snapshot, TypeConfig};
use crate::state::command::{Action, Submission};

/// The largest snapshot file that is taken in, bytes: a state lives in memory, and no node has more.
const SNAPSHOT_LENGTH_MAX: u64 = 64 * 1024 * 1024 * 1024;

impl Serve for Node {
    fn refused(&self, refused: Refused) {
        match refused {
            Refused::Connection => self.refused_connections.fetch_add(1, Ordering::Relaxed),
            Refused::Call => self.refused_calls.fetch_add(1, Ordering::Relaxed),
            Refused::Entry(why) => {
                tracing::error!(why, "this node cannot follow its cluster and stops");
                self.stop.send_replace(Some(why));
                self.refused_calls.fetch_add(1, Ordering::Relaxed)
            }
        };
    }

    async fn serve(&self, sender: Sender, request: Request, stream: &mut RecvStream) -> Reply {
        self.respond(sender, request, stream).await
    }
}

impl Node {
    /// Answers a call whose bytes, and a snapshot's file, came by something else than a stream.
    pub(super) async fn serve_carried(&self, from: NodeId, bytes: Bytes, file: &[u8]) -> Reply {
        match understand(from, bytes) {
            Ok((sender, request)) => self.respond(sender, request, &mut &*file).await,
            Err((refused, failure)) => {
                self.refused(refused);
                Reply::Failed(failure)
            }
        }
    }

    async fn respond<S: AsyncRead + Send + Unpin>(
        &self,
        sender: Sender,
        request: Request,
        stream: &mut S,
    ) -> Reply {
        if let Some(refusal) = self.standing.refusal(sender, &request) {
            return Reply::Failed(refusal);
        }
        if let Some(refusal) = self.busy_founding(sender.node, &request) {
            return Reply::Failed(refusal);
        }
        let answer = match request {
            Request::Snapshot(offer) => self.install(sender.node, offer, stream).await,
            request => self.answer(request).await,
        };
        answer.unwrap_or_else(Reply::Failed)
    }

    async fn answer(&self, request: Request) -> Result<Reply, Failure> {
        match request {
            Request::Append(append) => self.append(append).await,
            Request::Vote(vote) => self.vote(vote).await,
            Request::PreVote(vote) => self.pre_vote(vote).await,
            Request::Snapshot(_) => Err(Failure::Refused("its file is missing".to_owned())),
            Request::TransferLeader(transfer) => self.take_over(transfer).await,
            Request::Submit(submissions) => self.submit_all(submissions).await,
            Request::Propose(action) => self.propose_for(action).await,
            Request::ReadIndex { linearizable } => {
                self.own_read_index(linearizable).await.map(Reply::ReadIndex)
            }
            Request::Status => Ok(Reply::Status(self.node_status())),
            Request::Probe => self.probe().await,
            Request::Join(cluster) => self.admit_self(cluster).await.map(|()| Reply::Joined),
            Request::Change(change) => self.change_for(&change).await,
            Request::SnapshotHeld(name) => self.held(name).await,
            Request::HistoryFiles { below } => self.history_files(below).await,
            Request::HistoryBytes { file, offset, length } => {
                self.history_bytes(file, offset, length).await
            }
            Request::Room => Ok(Reply::Room(self.settings.space.level() == Level::Ample)),
        }
    }
}

fn stopped(cause: impl std::fmt::Display) -> Failure {
    Failure::Stopped(cause.to_string())
}

fn millis(retry_after: std::time::Duration) -> u32 {
    u32::try_from(retry_after.as_millis()).unwrap_or(u32::MAX)
}

impl Node {
    async fn vote(&self, vote: VoteRequest<TypeConfig>) -> Result<Reply, Failure> {
        // A vote counts once it is on disk.
        self.room_for_marks()?;
        self.raft.vote(vote).await.map(Reply::Vote).map_err(stopped)
    }

    async fn pre_vote(&self, vote: VoteRequest<TypeConfig>) -> Result<Reply, Failure> {
        self.room_for_marks()?;
        self.raft.pre_vote(vote).await.map(Reply::Vote).map_err(stopped)
    }

    async fn take_over(
        &self,
        transfer: TransferLeaderRequest<TypeConfig>,
    ) -> Result<Reply, Failure> {
        if *transfer.to_node_id() == self.id {
            self.room_for_entries()?;
        }
        let handled = self.raft.handle_transfer_leader(transfer).await;
        handled.map(Reply::TransferLeader).map_err(stopped)
    }

    async fn append(&self, append: AppendEntriesRequest<TypeConfig>) -> Result<Reply, Failure> {
        self.room_for(&append)?;
        for entry in &append.entries {
            // A new leader stamps no command before one that its log holds already.
            if let Payload::Normal(command) = &entry.payload {
                self.clock.observe(command.at);
            }
            self.gate.logged.fetch_add(frame_bytes(entry) as u64, Ordering::Relaxed);
        }
        let appended = self.raft.append_entries(append).await.map_err(stopped)?;
        if appended.is_success() {
            self.heard();
        }
        Ok(Reply::Append(appended))
    }

    /// Queues them in their order before it waits for the first.
    async fn submit_all(&self, submissions: Vec<Submission>) -> Result<Reply, Failure> {
        if !self.leads() {
            return Err(Failure::NotLeader { leader: self.leader() });
        }
        let _answering = Counted::new(&self.answering);
        let queued: Vec<_> = submissions.into_iter().map(|one| self.queue.put(one)).collect();
        let mut answers = Vec::with_capacity(queued.len());
        for receiver in queued {
            let answer = match receiver {
                Ok(receiver) => receiver.await.unwrap_or_else(|_| Err(Unavailable::no_leader())),
                Err(unavailable) => Err(unavailable),
            };
            answers.push(match answer {
                Ok((receipt, index)) => Submitted::Applied(receipt, index),
                Err(unavailable) => Submitted::Unavailable(millis(unavailable.retry_after())),
            });
        }
        Ok(Reply::Submitted(answers))
    }

    async fn propose_for(&self, action: Action) -> Result<Reply, Failure> {
        if !self.leads() {
            return Err(Failure::NotLeader { leader: self.leader() });
        }
        match self.propose_here(action).await {
            Ok((receipt, index)) => Ok(Reply::Proposed { receipt, index }),
            Err(Unavailable::NoLeader { .. }) => Err(Failure::NotLeader { leader: self.leader() }),
            Err(Unavailable::Overloaded { retry_after }) => {
                Err(Failure::Overloaded { retry_after: millis(retry_after) })
            }
            Err(Unavailable::DiskFull { why, .. }) => Err(Failure::DiskFull(why)),
            // Not `Stopped`, after which the asker would try again: this may be applied.
            Err(unknown) => Err(Failure::Refused(unknown.to_string())),
        }
    }

    async fn change_for(&self, change: &Change) -> Result<Reply, Failure> {
        if !self.leads() {
            return Err(Failure::NotLeader { leader: self.leader() });
        }
        match self.change_here(change).await {
            Err(ChangeError::NoLeader) => Err(Failure::NotLeader { leader: self.leader() }),
            outcome => Ok(Reply::Changed(outcome)),
        }
    }

    async fn probe(&self) -> Result<Reply, Failure> {
        let initialised = self.raft.is_initialized().await.map_err(stopped)?;
        Ok(Reply::Probe(Probed {
            node_id: self.id,
            member: self.settings.member.clone(),
            empty: !initialised,
            cluster: self.standing.cluster(),
        }))
    }

    async fn install<S: AsyncRead + Send + Unpin>(
        &self,
        from: NodeId,
        offer: SnapshotOffer,
        stream: &mut S,
    ) -> Result<Reply, Failure> {
        if offer.length > SNAPSHOT_LENGTH_MAX || offer.offset > offer.length {
            let why = format!("{} bytes, more than {SNAPSHOT_LENGTH_MAX}", offer.length);
            return Err(Failure::Refused(why));
        }
        // What has arrived already takes its room.
        if !self.settings.space.fits(offer.length - offer.offset) {
            return Err(self.disk_full());
        }
        let Ok(_turn) = self.receiving.try_lock() else {
            return Err(Failure::Overloaded { retry_after: millis(RETRY_AFTER_OVERLOAD) });
        };
        tracing::info!(from, bytes = offer.length, offset = offer.offset, "taking in a snapshot");
        let snapshot = self.receive(&offer, stream).await;
        let snapshot = snapshot.map_err(|cause| Failure::Refused(cause.to_string()))?;
        if snapshot.meta != offer.meta {
            let why = format!("its file stands for {}, not for {}", snapshot.meta, offer.meta);
            return Err(Failure::Refused(why));
        }
        let installed = self.raft.install_full_snapshot(offer.vote, snapshot).await;
        let response = installed.map_err(stopped)?;
        tracing::info!(from, snapshot = %offer.meta, "installed a snapshot");
        Ok(Reply::Snapshot(response.vote))
    }

    async fn receive<S: AsyncRead + Send + Unpin>(
        &self,
        offer: &SnapshotOffer,
        stream: &mut S,
    ) -> std::io::Result<Snapshot> {
        let (snapshots, name) = (Arc::clone(&self.snapshots), offer.name());
        let offset = offer.offset;
        let file: Incoming = offload::run(move || snapshots.receive(&name, offset)).await??;
        let (file, received) = receive_file(stream, offer.length - offset, file).await?;
        match received {
            Ok(()) => {}
            // What was changed on its way is thrown away, what is merely not all of it is kept.
            Err(cause) if cause.kind() == std::io::ErrorKind::InvalidData => return Err(cause),
            Err(cause) => {
                file.set_aside();
                return Err(cause);
            }
        }
        offload::run(move || file.finish()).await?
    }

    async fn held(&self, name: SnapshotName) -> Result<Reply, Failure> {
        let Ok(_turn) = self.receiving.try_lock() else {
            return Err(Failure::Overloaded { retry_after: millis(RETRY_AFTER_OVERLOAD) });
        };
        let snapshots = Arc::clone(&self.snapshots);
        let reading = offload::run(move || snapshots.held(&name)).await;
        let (offset, checksum) = reading.flatten().map_err(stopped)?;
        Ok(Reply::SnapshotHeld { offset, checksum })
    }
}
