//! What requests and replies are made of.

use wardmesh_common::id::{ClusterId, NodeId};
use wardmesh_common::time::Timestamp;

use crate::raft::types::{LogId, Member, SnapshotMeta, Vote};
use crate::state::receipt::BatchReceipt;

/// Who sends a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The node.
    pub node: NodeId,
    /// The cluster that its volume belongs to; `None` before it was admitted to one.
    pub cluster: Option<ClusterId>,
}

impl From<NodeId> for Sender {
    fn from(node: NodeId) -> Self {
        Self { node, cluster: None }
    }
}

/// The log indexes that an archive file answers for, which name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryName {
    /// The first one.
    pub first: u64,
    /// The last one.
    pub through: u64,
}

/// An archive file that a peer has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryFile {
    /// What it answers for.
    pub name: HistoryName,
    /// Its length, bytes.
    pub bytes: u64,
}

/// Which snapshot: two files with the same name hold the same bytes, whichever node wrote them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotName {
    /// The last entry in it.
    pub last: Option<LogId>,
    /// Bytes of its file.
    pub length: u64,
    /// The file's last four bytes: a checksum that goes on over all of it.
    pub sum: u32,
}

/// What a snapshot's sender says before its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotOffer {
    /// The leader's vote.
    pub vote: Vote,
    /// What the snapshot stands for.
    pub meta: SnapshotMeta,
    /// Bytes of its file.
    pub length: u64,
    /// As in [`SnapshotName`].
    pub sum: u32,
    /// Where the bytes begin that follow: before them the peer has all.
    pub offset: u64,
}

impl SnapshotOffer {
    /// Which snapshot it is.
    #[must_use]
    pub fn name(&self) -> SnapshotName {
        SnapshotName { last: self.meta.last_log_id, length: self.length, sum: self.sum }
    }
}

/// What became of one forwarded batch: the receipt and log index of its command, or not now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// It went through the log.
    Applied(BatchReceipt, u64),
    /// It did not, or nobody knows: to be sent again after so many milliseconds.
    Unavailable(u32),
}

/// How a node stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its id.
    pub node_id: NodeId,
    /// Its term.
    pub term: u64,
    /// Whom it follows.
    pub leader: Option<NodeId>,
    /// The last index that it has applied; 0 before the first.
    pub applied: u64,
    /// The last index that it knows to be committed; 0 before the first.
    pub committed: u64,
    /// Its wall clock.
    pub clock: Timestamp,
    /// Its software version.
    pub version: String,
}

/// Who answers at an address, asked before there is a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probed {
    /// Its id.
    pub node_id: NodeId,
    /// How it wants to be reached.
    pub member: Member,
    /// Whether it has neither log nor vote, so that it may be taken into a new cluster.
    pub empty: bool,
    /// The cluster that its volume was admitted to.
    pub cluster: Option<ClusterId>,
}

/// Why a call was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The peer does not lead.
    #[error("it does not lead")]
    NotLeader {
        /// Who does, if it knows.
        leader: Option<NodeId>,
    },
    /// Its queue is full, or its lease has run out: again after so many milliseconds.
    #[error("it is overloaded: try again in {retry_after} ms")]
    Overloaded {
        /// Milliseconds.
        retry_after: u32,
    },
    /// The sender's certificate does not allow what it claims.
    #[error("it refuses: {0}")]
    Refused(String),
    /// It cannot read the request: another version, or bytes that break the encoding.
    #[error("it cannot read the request: {0}")]
    Unreadable(String),
    /// It is shutting down, or stopped by an error of its own.
    #[error("it has stopped: {0}")]
    Stopped(String),
    /// The sender was removed from the cluster.
    #[error("it says that this node was removed from the cluster at {at}")]
    Retired {
        /// When.
        at: Timestamp,
    },
    /// A volume has no room for what the call would write.
    #[error("{0}")]
    DiskFull(String),
}
