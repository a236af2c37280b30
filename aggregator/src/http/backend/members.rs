//! Changes of who is a member and who leads, as the routes ask for them.

use wardmesh_common::id::NodeId;

use super::Member;

/// What is to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberChange {
    /// Takes in the empty node at a Raft address, or notes a member's new addresses.
    Add {
        /// Where it answers.
        address: String,
        /// Whether it is to vote once it has caught up.
        voter: bool,
    },
    /// Gives a learner its vote.
    Promote(NodeId),
    /// Takes a member out for good.
    Remove {
        /// Whom.
        node: NodeId,
        /// Also where too few of those that stay are heard.
        force: bool,
    },
    /// Takes in the empty node at a Raft address in a member's place.
    Replace {
        /// Who goes.
        node: NodeId,
        /// Where its successor answers.
        address: String,
    },
    /// Hands leadership to a voter, or to the one that has most of the log.
    Transfer(Option<NodeId>),
}

/// How a member stands after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberRole {
    /// It votes.
    Voter,
    /// It receives the log and does not vote (yet).
    Learner,
    /// It is out for good.
    Removed,
    /// It leads.
    Leader,
}

impl MemberRole {
    /// The word in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Voter => "voter",
            Self::Learner => "learner",
            Self::Removed => "removed",
            Self::Leader => "leader",
        }
    }
}

/// A change that was agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberChanged {
    /// Whom it is about.
    pub member: Member,
    /// How it stands now.
    pub role: MemberRole,
    /// A log index at which the change is applied.
    pub index: u64,
}

/// Why a change was not agreed on; by what can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeFault {
    /// Another one is under way: repeat later.
    UnderWay,
    /// The node does not answer: start it, or correct the address.
    Unreachable,
    /// The node holds another cluster's data: empty its volume, or take another node.
    NotEmpty,
    /// The node's id was another's: give it a new one.
    Retired,
    /// The node is a member already: nothing is to be done.
    AlreadyMember,
    /// A member that lost its volume: replace it.
    Wiped,
    /// There is no such member.
    NoSuchMember,
    /// Those that would vote could not agree: bring them back first.
    QuorumAtRisk,
    /// It cannot be for another reason.
    Refused,
    /// It may have been agreed on: look, or repeat it.
    Unknown,
    /// Nobody leads: repeat later.
    NoLeader,
}

/// Why a change was not agreed on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct ChangeFailure {
    /// What can be done about it.
    pub fault: ChangeFault,
    /// What is in the way, in words.
    pub detail: String,
}
