//! What nodes ask each other, and its bytes: Raft's messages and our own calls.
//!
//! One QUIC stream a call: `[length u32][version u8][kind u8][from u64][cluster 16][body]` one way,
//! `[version u8][kind u8][body]` back; a snapshot's file follows its request. Pure: it opens no stream.

use std::fmt;

use bytes::{BufMut, Bytes};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderError, TransferLeaderRequest,
    VoteRequest, VoteResponse,
};
use wardmesh_common::id::{ClusterId, NodeId};

use super::codec::{Malformed, Reader};
use super::types::{TypeConfig, Vote};
use crate::state::command::{Action, Submission};
use crate::state::receipt::Receipt;

mod change;
mod receipt;
mod reply;
mod request;
#[cfg(test)]
mod tests;
mod words;

pub use change::{Change, ChangeError, Changed, Role};
pub use words::{
    Failure, HistoryFile, HistoryName, NodeStatus, Probed, Sender, SnapshotName, SnapshotOffer,
    Submitted,
};

/// The version of this encoding. A node that meets another answers [`Failure::Unreadable`].
pub const VERSION: u8 = 1;

/// The longest request, bytes, a snapshot's file left out: an append of 8 MiB
/// ([`APPEND_LENGTH_MAX`]) or one entry of any size that a proposer makes, and its frame.
pub const REQUEST_LENGTH_MAX: usize = 16 * 1024 * 1024;

/// Entries' bytes in one append: what a follower writes in one go without delaying the next
/// heartbeat's answer past an election timeout on a slow disk. One entry is always sent.
pub const APPEND_LENGTH_MAX: usize = 8 * 1024 * 1024;

/// The longest reply, bytes: some thousand batch receipts, or a refusal in words.
pub const REPLY_LENGTH_MAX: usize = 1024 * 1024;

/// Bytes of an archive file in one reply: a few milliseconds of a line that others use as well.
pub const HISTORY_BYTES_MAX: usize = 256 * 1024;

/// Archive files that one reply names: 24 bytes each; the next asking goes on below them.
pub const HISTORY_FILES_MAX: usize = 4_096;

/// What one node asks of another.
#[derive(Clone)]
pub enum Request {
    /// Raft's AppendEntries; a heartbeat where it has no entries.
    Append(AppendEntriesRequest<TypeConfig>),
    /// Raft's RequestVote.
    Vote(VoteRequest<TypeConfig>),
    /// Would the peer vote for us? (Raft dissertation, section 9.6.)
    PreVote(VoteRequest<TypeConfig>),
    /// Raft's InstallSnapshot; the file's bytes follow on the stream, then their crc32c.
    Snapshot(SnapshotOffer),
    /// The leader steps back in favour of a named node (Raft dissertation, section 3.10).
    TransferLeader(TransferLeaderRequest<TypeConfig>),
    /// Batches that a follower took in; order is kept.
    Submit(Vec<Submission>),
    /// Any other command that a follower was asked for.
    Propose(Action),
    /// The index up to which a reader must have applied to see all that was acknowledged before.
    ReadIndex {
        /// Whether a quorum must confirm the leader first; else its lease is enough.
        linearizable: bool,
    },
    /// How the peer stands.
    Status,
    /// Whether the peer may become a member of a new cluster.
    Probe,
    /// The peer, empty, is to become a member of this cluster: it takes log and votes from now on.
    Join(ClusterId),
    /// A change of the membership that another node was asked for.
    Change(Change),
    /// Which archive files the peer has that begin below an entry.
    HistoryFiles {
        /// The first entry that is not wanted; the peer archives what it has applied before it.
        below: u64,
    },
    /// Some bytes of one of them.
    HistoryBytes {
        /// Which.
        file: HistoryName,
        /// Where they begin.
        offset: u64,
        /// How many, [`HISTORY_BYTES_MAX`] at most; fewer come at the file's end.
        length: u32,
    },
    /// How much the peer has of a snapshot that did not get through.
    SnapshotHeld(SnapshotName),
    /// How much room the peer's volume has.
    Room,
}

/// What a node answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To [`Request::Append`].
    Append(AppendEntriesResponse<TypeConfig>),
    /// To [`Request::Vote`] and [`Request::PreVote`].
    Vote(VoteResponse<TypeConfig>),
    /// To [`Request::Snapshot`]: the receiver's vote, after it has installed the snapshot.
    Snapshot(Vote),
    /// To [`Request::TransferLeader`].
    TransferLeader(Result<(), TransferLeaderError<TypeConfig>>),
    /// To [`Request::Submit`]: one answer a submission, in their order.
    Submitted(Vec<Submitted>),
    /// To [`Request::Propose`].
    Proposed {
        /// What the command came to.
        receipt: Receipt,
        /// Its place in the log.
        index: u64,
    },
    /// To [`Request::ReadIndex`].
    ReadIndex(u64),
    /// To [`Request::Status`].
    Status(NodeStatus),
    /// To [`Request::Probe`].
    Probe(Probed),
    /// To [`Request::Join`]: the admission is on the peer's disk.
    Joined,
    /// To [`Request::Change`].
    Changed(Result<Changed, ChangeError>),
    /// To [`Request::HistoryFiles`]: by log index, [`HISTORY_FILES_MAX`] at most, the newest.
    HistoryFiles(Vec<HistoryFile>),
    /// To [`Request::HistoryBytes`].
    HistoryBytes(Bytes),
    /// To [`Request::SnapshotHeld`].
    SnapshotHeld {
        /// Bytes from the file's beginning that the peer has.
        offset: u64,
        /// Their crc32c.
        checksum: u32,
    },
    /// To [`Request::Room`]: whether there is enough of it to lead.
    Room(bool),
    /// It was not done.
    Failed(Failure),
}

/// Names the call; never its contents.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a request cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Its bytes break the encoding, or are of another version.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It holds a log entry that this build cannot decode: the node cannot follow its leader.
    #[error("log entry {index}: {cause}")]
    Entry {
        /// The entry's place in the log.
        index: u64,
        /// What is wrong with it.
        cause: Malformed,
    },
}

impl Request {
    /// The call's name, for logs and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Append(_) => "append",
            Self::Vote(_) => "vote",
            Self::PreVote(_) => "pre-vote",
            Self::Snapshot(_) => "snapshot",
            Self::TransferLeader(_) => "transfer-leader",
            Self::Submit(_) => "submit",
            Self::Propose(_) => "propose",
            Self::ReadIndex { .. } => "read-index",
            Self::Status => "status",
            Self::Probe => "probe",
            Self::Join(_) => "join",
            Self::Change(_) => "change",
            Self::HistoryFiles { .. } => "history-files",
            Self::HistoryBytes { .. } => "history-bytes",
            Self::SnapshotHeld(_) => "snapshot-held",
            Self::Room => "room",
        }
    }

    /// The request as sent by `from`, its length before it.
    ///
    /// # Errors
    /// [`Malformed::Encode`] where a command cannot be laid out.
    pub fn encode(&self, from: impl Into<Sender>) -> Result<Bytes, Malformed> {
        let from = from.into();
        let mut out = vec![0; 4];
        out.put_u8(VERSION);
        let kind_at = out.len();
        out.put_u8(0);
        out.put_u64_le(from.node);
        out.put_slice(&from.cluster.unwrap_or_default().0);
        let kind = request::put(&mut out, self)?;
        let length = u32::try_from(out.len() - 4).unwrap_or(u32::MAX);
        if let Some(at) = out.get_mut(kind_at) {
            *at = kind;
        }
        if let Some(prefix) = out.first_chunk_mut::<4>() {
            *prefix = length.to_le_bytes();
        }
        Ok(out.into())
    }

    /// Reads what [`encode`](Self::encode) wrote, its length left out: the sender that it claims,
    /// and the request. Frames stay slices of `bytes`.
    ///
    /// # Errors
    /// [`Unreadable`], also where bytes are left over.
    pub fn decode(bytes: Bytes) -> Result<(Sender, Self), Unreadable> {
        let mut reader = Reader::new(bytes);
        let kind = version_and_kind(&mut reader)?;
        let node = reader.u64("sender")?;
        let cluster = Some(request::cluster(&mut reader)?);
        let from = Sender { node, cluster: cluster.filter(|id| *id != ClusterId::default()) };
        let request = request::read(kind, &mut reader)?;
        finished(&reader)?;
        Ok((from, request))
    }

    /// Whether it is one of Raft's own, which change a log or a vote.
    #[must_use]
    pub const fn is_rafts(&self) -> bool {
        matches!(
            self,
            Self::Append(_)
                | Self::Vote(_)
                | Self::PreVote(_)
                | Self::Snapshot(_)
                | Self::TransferLeader(_)
        )
    }

    /// The node that the request says it comes from within its body, where it says so: a vote names
    /// its candidate, an append its leader.
    #[must_use]
    pub fn claims(&self) -> Option<NodeId> {
        match self {
            Self::Append(append) => Some(append.vote.leader_id.node_id),
            Self::Vote(vote) | Self::PreVote(vote) => Some(vote.vote.leader_id.node_id),
            Self::Snapshot(offer) => Some(offer.vote.leader_id.node_id),
            Self::TransferLeader(transfer) => Some(transfer.from_leader().leader_id.node_id),
            _ => None,
        }
    }
}

impl Reply {
    /// The reply's bytes.
    ///
    /// # Errors
    /// [`Malformed::Encode`]: none of today's replies can fail.
    pub fn encode(&self) -> Result<Bytes, Malformed> {
        let mut out = vec![VERSION, 0];
        let kind = reply::put(&mut out, self);
        if let Some(at) = out.get_mut(1) {
            *at = kind;
        }
        Ok(out.into())
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// [`Malformed`], also where bytes are left over.
    pub fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let kind = version_and_kind(&mut reader)?;
        let reply = reply::read(kind, &mut reader)?;
        finished(&reader)?;
        Ok(reply)
    }
}

fn version_and_kind(reader: &mut Reader) -> Result<u8, Malformed> {
    match reader.u8("version")? {
        VERSION => reader.u8("kind"),
        other => Err(Malformed::Unknown("version", other.into())),
    }
}

fn finished(reader: &Reader) -> Result<(), Malformed> {
    match reader.remaining() {
        0 => Ok(()),
        left => Err(Malformed::Unknown("end: bytes are left over", left as u64)),
    }
}
