//! Openraft's way to its peers: each of its calls as one call of [`rpc`](super::rpc) over QUIC.
//!
//! A call has a stream of its own, so that a heartbeat never waits behind an append or a snapshot.
//! It must not retry: openraft decides that from the error it is told.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use openraft::errors::{
    NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable,
};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::type_config::TypeConfigExt as _;
use openraft::{RPCTypes, StorageError};
use wardmesh_common::id::NodeId;

use super::rpc::{APPEND_LENGTH_MAX, Failure, Reply, Request};
use super::snapshot::SnapshotFile;
use super::types::{Entry, Member, Payload, Snapshot, TypeConfig, Vote};

mod dial;
mod peers;
pub(super) mod transfer;

pub(super) use peers::{CALLS_MAX, transport};
pub use peers::{CallError, Carrier, Peer, Peers};

/// How long an append that carries entries may take, its fsync on the follower included. Openraft's
/// own limit is one heartbeat, which a slow disk under load exceeds without being broken.
pub const APPEND_PATIENCE: Duration = Duration::from_secs(2);

/// Openraft's factory of [`PeerNetwork`]s.
pub struct Network {
    peers: Arc<Peers>,
}

impl Network {
    /// A factory over shared connections.
    #[must_use]
    pub fn new(peers: Arc<Peers>) -> Self {
        Self { peers }
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = PeerNetwork;

    async fn new_client(&mut self, target: NodeId, node: &Member) -> PeerNetwork {
        let peer = Peer { node: Some(target), address: node.raft_address.clone() };
        PeerNetwork { peers: Arc::clone(&self.peers), peer, target }
    }
}

/// The way to one peer.
pub struct PeerNetwork {
    peers: Arc<Peers>,
    peer: Peer,
    target: NodeId,
}

impl PeerNetwork {
    async fn call(
        &self,
        request: &Request,
        action: RPCTypes,
        limit: Duration,
    ) -> Result<Reply, RPCError<TypeConfig>> {
        let reply = self.peers.call(&self.peer, request, limit).await;
        match reply.map_err(|cause| self.error(cause, action))? {
            // The peer is there but cannot serve: openraft backs off only from what is unreachable.
            Reply::Failed(failure) => {
                if matches!(failure, Failure::DiskFull(_)) {
                    self.peers.note_room(self.target, false);
                }
                let why = format!("node {} answered that {failure}", self.target);
                Err(RPCError::Unreachable(Unreachable::from_string(why)))
            }
            reply => Ok(reply),
        }
    }

    fn error(&self, cause: CallError, action: RPCTypes) -> RPCError<TypeConfig> {
        match cause {
            CallError::TimedOut(timeout) => RPCError::Timeout(Timeout {
                action,
                id: self.peers.own(),
                target: self.target,
                timeout,
            }),
            CallError::Unreachable { .. } => RPCError::Unreachable(Unreachable::new(&cause)),
            CallError::Lost(_) | CallError::Malformed(_) => {
                RPCError::Network(NetworkError::new(&cause))
            }
        }
    }

    fn unexpected(&self, reply: &Reply) -> RPCError<TypeConfig> {
        let why = format!("node {} gave an answer to another call: {reply:?}", self.target);
        RPCError::Network(NetworkError::from_string(why))
    }

    async fn ask_for_vote(
        &self,
        request: &Request,
        option: &RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        match self.call(request, RPCTypes::Vote, option.soft_ttl()).await? {
            Reply::Vote(vote) => Ok(vote),
            other => Err(self.unexpected(&other)),
        }
    }
}

impl RaftNetworkV2<TypeConfig> for PeerNetwork {
    type SnapshotData = SnapshotFile;

    async fn append_entries(
        &mut self,
        mut rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        let sent = fitting(&rpc.entries);
        let cut = sent < rpc.entries.len();
        rpc.entries.truncate(sent);
        let last = rpc.entries.last().map(|entry| entry.log_id);
        let limit = if last.is_some() { APPEND_PATIENCE } else { option.soft_ttl() };
        let reply = self.call(&Request::Append(rpc), RPCTypes::AppendEntries, limit).await?;
        if last.is_some() {
            self.peers.note_room(self.target, true);
        }
        match reply {
            Reply::Append(AppendEntriesResponse::Success) if cut => {
                Ok(AppendEntriesResponse::PartialSuccess(last))
            }
            Reply::Append(append) => Ok(append),
            other => Err(self.unexpected(&other)),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.ask_for_vote(&Request::Vote(rpc), &option).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.ask_for_vote(&Request::PreVote(rpc), &option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let file = snapshot.snapshot.clone();
        let sending = self.peers.send_snapshot(&self.peer, vote, snapshot);
        let limit = option.hard_ttl();
        let sent = tokio::select! {
            biased;
            closed = cancel => return Err(StreamingError::Closed(closed)),
            sent = tokio::time::timeout(limit, sending) => sent,
        };
        match sent.unwrap_or(Err(CallError::TimedOut(limit))) {
            Ok(Reply::Snapshot(vote)) => Ok(SnapshotResponse::new(vote)),
            Ok(Reply::Failed(failure)) => {
                // Where it is this node's own file that is damaged, no other try will do either.
                if matches!(failure, Failure::Refused(_)) {
                    file.check().await.map_err(|own| {
                        StorageError::read_snapshot(None, TypeConfig::err_from_error(&own))
                    })?;
                }
                let why = format!("node {} did not take the snapshot: {failure}", self.target);
                Err(StreamingError::Unreachable(Unreachable::from_string(why)))
            }
            Ok(other) => Err(self.unexpected(&other).into()),
            Err(cause) => Err(self.error(cause, RPCTypes::InstallSnapshot).into()),
        }
    }

    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        let request = Request::TransferLeader(req);
        match self.call(&request, RPCTypes::TransferLeader, option.soft_ttl()).await? {
            Reply::TransferLeader(result) => Ok(result),
            other => Err(self.unexpected(&other)),
        }
    }
}

/// How many of the entries one append takes: at least one, then up to [`APPEND_LENGTH_MAX`].
fn fitting(entries: &[Entry]) -> usize {
    let mut length = 0;
    let fits = |entry: &&Entry| {
        length += frame_bytes(entry);
        length <= APPEND_LENGTH_MAX
    };
    entries.iter().take_while(fits).count().max(entries.len().min(1))
}

/// Bytes of frames in an entry; what is around them does not matter for a limit of megabytes.
pub(super) fn frame_bytes(entry: &Entry) -> usize {
    match &entry.payload {
        Payload::Normal(command) => command.frame_bytes(),
        Payload::Blank | Payload::Membership(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::testing::ingest;

    #[test]
    fn an_append_is_cut_by_bytes_but_never_empty() {
        let mib = 1024 * 1024;
        let fit = |sizes: &[usize]| {
            let entries: Vec<_> = sizes.iter().map(|size| ingest(1, 1, *size)).collect();
            fitting(&entries)
        };
        assert_eq!(fit(&[]), 0);
        assert_eq!(fit(&[1, 2, 3]), 3);
        assert_eq!(fit(&[9 * mib, 1]), 1);
        assert_eq!(fit(&[3 * mib, 3 * mib, 3 * mib]), 2);
    }
}
