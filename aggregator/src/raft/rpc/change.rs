//! Changes of the membership as any node hands them to the leader, and what came of them; their bytes.
//!
//! Frozen with [`VERSION`](super::VERSION): a field is added in a new version.

use bytes::BufMut;
use wardmesh_common::id::NodeId;
use wardmesh_common::time::Timestamp;

use crate::raft::codec::{self, Malformed, Reader};
use crate::raft::types::Member;

/// What is to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Takes in the empty node at a Raft address, or records a member's new address.
    Add {
        /// Where it answers.
        address: String,
        /// Whether it is to vote once it has caught up.
        voter: bool,
    },
    /// Gives a learner its vote.
    Promote {
        /// Whom.
        node: NodeId,
    },
    /// Takes a member out for good.
    Remove {
        /// Whom.
        node: NodeId,
        /// Also where too few of those that stay are heard.
        force: bool,
    },
    /// Takes in the empty node at a Raft address and a member out, in one step of both.
    Replace {
        /// Who goes.
        node: NodeId,
        /// Where the new one answers.
        address: String,
    },
    /// Hands leadership to a voter; to the one that has most of the log where none is named.
    Transfer {
        /// To whom.
        to: Option<NodeId>,
    },
}

/// How a member stands after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It votes.
    Voter,
    /// It receives the log and has no vote (yet).
    Learner,
    /// It is out; its id is never used again.
    Gone,
}

impl Role {
    const ALL: [Self; 3] = [Self::Voter, Self::Learner, Self::Gone];
}

/// A change that was agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The member that it is about; the new leader after a transfer.
    pub node: NodeId,
    /// How it is reached.
    pub member: Member,
    /// How it stands now.
    pub role: Role,
    /// A log index at which the change is applied.
    pub index: u64,
}

/// Why a change was not agreed on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// Another change is under way.
    #[error("another change of the membership is under way")]
    Busy,
    /// The node does not answer.
    #[error("the node at {address} does not answer: {cause}")]
    Silent {
        /// Where it was looked for.
        address: String,
        /// What is in the way.
        cause: String,
    },
    /// The node belongs to another cluster, or did.
    #[error("node {node} at {address} is not empty: it belongs to another cluster, or did")]
    NotEmpty {
        /// Its id.
        node: NodeId,
        /// Its address.
        address: String,
    },
    /// The node's id was another's.
    #[error("node {node} was removed from the cluster at {at}, and ids are never used again")]
    Retired {
        /// The id.
        node: NodeId,
        /// When it was removed.
        at: Timestamp,
    },
    /// The node is a member already.
    #[error("node {node} is a member already")]
    AlreadyMember {
        /// Its id.
        node: NodeId,
    },
    /// A member whose volume is empty: it does not know any more for whom it voted.
    #[error("node {node} is a member, but its volume is empty: it lost its log and its votes")]
    Wiped {
        /// Its id.
        node: NodeId,
    },
    /// There is no such member.
    #[error("there is no member {node}")]
    NoSuchMember {
        /// The id.
        node: NodeId,
    },
    /// Those that would vote then could not agree on anything.
    #[error("of the {voters} that would vote then only {heard} are heard: they could not agree")]
    QuorumAtRisk {
        /// How many would vote.
        voters: u64,
        /// How many of them the leader has heard lately.
        heard: u64,
    },
    /// It cannot be for another reason, in words.
    #[error("{0}")]
    Refused(String),
    /// It may have been agreed on, or may be still.
    #[error("the outcome is not known: {0}")]
    Unknown(String),
    /// Nobody leads.
    #[error("no leader can be reached")]
    NoLeader,
}

pub(super) fn put_change(out: &mut Vec<u8>, change: &Change) {
    let (kind, node, flag, address) = match change {
        Change::Add { address, voter } => (0, None, *voter, address.as_str()),
        Change::Promote { node } => (1, Some(*node), false, ""),
        Change::Remove { node, force } => (2, Some(*node), *force, ""),
        Change::Replace { node, address } => (3, Some(*node), false, address.as_str()),
        Change::Transfer { to } => (4, *to, false, ""),
    };
    out.put_u8(kind);
    out.put_u8(node.is_some().into());
    out.put_u64_le(node.unwrap_or_default());
    out.put_u8(flag.into());
    codec::put_text(out, address);
}

pub(super) fn change(reader: &mut Reader) -> Result<Change, Malformed> {
    let kind = reader.u8("change")?;
    let named = reader.bool("node")?;
    let node = reader.u64("node")?;
    let flag = reader.bool("flag")?;
    let address = reader.text("address")?;
    Ok(match kind {
        0 => Change::Add { address, voter: flag },
        1 => Change::Promote { node },
        2 => Change::Remove { node, force: flag },
        3 => Change::Replace { node, address },
        4 => Change::Transfer { to: named.then_some(node) },
        other => return Err(Malformed::Unknown("change", other.into())),
    })
}

pub(super) fn put_outcome(out: &mut Vec<u8>, outcome: &Result<Changed, ChangeError>) {
    match outcome {
        Ok(Changed { node, member, role, index }) => {
            out.put_u8(0);
            out.put_u64_le(*node);
            codec::put_member(out, member);
            let role = Role::ALL.iter().position(|known| known == role);
            out.put_u8(role.unwrap_or_default() as u8);
            out.put_u64_le(*index);
        }
        Err(error) => {
            let (kind, one, other, first, second) = parts(error);
            out.put_u8(kind);
            out.put_u64_le(one);
            out.put_u64_le(other);
            codec::put_text(out, first);
            codec::put_text(out, second);
        }
    }
}

/// An error's kind and what it holds: two numbers and two texts at most.
fn parts(error: &ChangeError) -> (u8, u64, u64, &str, &str) {
    match error {
        ChangeError::Busy => (1, 0, 0, "", ""),
        ChangeError::Silent { address, cause } => (2, 0, 0, address, cause),
        ChangeError::NotEmpty { node, address } => (3, *node, 0, address, ""),
        ChangeError::Retired { node, at } => (4, *node, at.as_nanos(), "", ""),
        ChangeError::AlreadyMember { node } => (5, *node, 0, "", ""),
        ChangeError::Wiped { node } => (6, *node, 0, "", ""),
        ChangeError::NoSuchMember { node } => (7, *node, 0, "", ""),
        ChangeError::QuorumAtRisk { voters, heard } => (8, *voters, *heard, "", ""),
        ChangeError::Refused(why) => (9, 0, 0, why, ""),
        ChangeError::Unknown(why) => (10, 0, 0, why, ""),
        ChangeError::NoLeader => (11, 0, 0, "", ""),
    }
}

pub(super) fn outcome(reader: &mut Reader) -> Result<Result<Changed, ChangeError>, Malformed> {
    let kind = reader.u8("outcome")?;
    if kind == 0 {
        let (node, member) = (reader.u64("node")?, reader.member()?);
        let role = reader.u8("role")?;
        let known = Role::ALL.get(usize::from(role)).copied();
        let role = known.ok_or(Malformed::Unknown("role", role.into()))?;
        return Ok(Ok(Changed { node, member, role, index: reader.u64("index")? }));
    }
    let (one, other) = (reader.u64("outcome")?, reader.u64("outcome")?);
    let (first, second) = (reader.text("outcome")?, reader.text("outcome")?);
    Ok(Err(match kind {
        1 => ChangeError::Busy,
        2 => ChangeError::Silent { address: first, cause: second },
        3 => ChangeError::NotEmpty { node: one, address: first },
        4 => ChangeError::Retired { node: one, at: Timestamp::from_nanos(other) },
        5 => ChangeError::AlreadyMember { node: one },
        6 => ChangeError::Wiped { node: one },
        7 => ChangeError::NoSuchMember { node: one },
        8 => ChangeError::QuorumAtRisk { voters: one, heard: other },
        9 => ChangeError::Refused(first),
        10 => ChangeError::Unknown(first),
        11 => ChangeError::NoLeader,
        unknown => return Err(Malformed::Unknown("outcome", unknown.into())),
    }))
}
