//! The words that consensus is told in: openraft's types, filled in with ours.
//!
//! It must not know how any of them is stored or sent; that is `codec`'s part.

use std::fmt;

use wardmesh_common::id::NodeId;

use crate::state::command::Command;
use crate::state::receipt::Receipt;

use super::state_machine::StateMachine;

openraft::declare_raft_types!(
    /// The choices that openraft leaves to us. Leader ids are (term, node), totally ordered, so that
    /// two candidates of one term do not block each other.
    pub TypeConfig:
        D = Command,
        R = Applied,
        NodeId = NodeId,
        Node = Member,
        AsyncRuntime = super::runtime::Runtime,
);

/// One replica's running consensus.
pub type Raft = openraft::Raft<TypeConfig, StateMachine>;
/// (term, node): who led when an entry was proposed.
pub type LeaderId = openraft::impls::leader_id_adv::LeaderId<u64, NodeId>;
/// Where an entry stands: (leader, index).
pub type LogId = openraft::LogId<LeaderId>;
/// For whom this node voted, and whether that one won.
pub type Vote = openraft::impls::Vote<LeaderId>;
/// One entry of the log.
pub type Entry = openraft::Entry<LeaderId, Payload>;
/// What an entry holds: nothing, a command or a membership.
pub type Payload = openraft::EntryPayload<Command, NodeId, Member>;
/// Who votes and who only listens.
pub type Membership = openraft::Membership<NodeId, Member>;
/// A membership and the entry that brought it.
pub type StoredMembership = openraft::StoredMembership<LeaderId, NodeId, Member>;
/// What a snapshot stands for: the last entry in it and the membership as of then.
pub type SnapshotMeta = openraft::storage::SnapshotMeta<LeaderId, NodeId, Member>;
/// A snapshot as openraft hands it around: its meaning and its file.
pub type Snapshot =
    openraft::storage::Snapshot<LeaderId, NodeId, Member, super::snapshot::SnapshotFile>;

/// The answer to a proposal once it has been applied here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The log index that the command got.
    pub index: u64,
    /// What it came to.
    pub receipt: Receipt,
}

/// A replica and where it is reached: `host:port` each, by DNS name, which outlives an IP address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Its name for people, such as the pod's.
    pub name: String,
    /// Where the other replicas reach it (Raft over QUIC, 4434/udp).
    pub raft_address: String,
    /// Where sensors reach it (ingest over QUIC, 4433/udp).
    pub ingest_address: String,
    /// Where its API is (HTTP, 8443/tcp).
    pub http_address: String,
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.raft_address)
    }
}
