//! Changes of the membership between the routes' words and consensus'.

use crate::http::backend::{ChangeFailure, ChangeFault, MemberChange, MemberChanged, MemberRole};
use crate::raft::consensus::{Change, ChangeError, Changed, Consensus, Role};

/// Has consensus carry a change out.
pub(super) async fn change(
    consensus: &Consensus,
    change: MemberChange,
) -> Result<MemberChanged, ChangeFailure> {
    let transfer = matches!(change, MemberChange::Transfer(_));
    let Changed { node, member, role, index } =
        consensus.change(asked(change)).await.map_err(failed)?;
    let member = super::member(node, member, role == Role::Voter);
    let role = match role {
        Role::Voter if transfer => MemberRole::Leader,
        Role::Voter => MemberRole::Voter,
        Role::Learner => MemberRole::Learner,
        Role::Gone => MemberRole::Removed,
    };
    Ok(MemberChanged { member, role, index })
}

fn asked(change: MemberChange) -> Change {
    match change {
        MemberChange::Add { address, voter } => Change::Add { address, voter },
        MemberChange::Promote(node) => Change::Promote { node },
        MemberChange::Remove { node, force } => Change::Remove { node, force },
        MemberChange::Replace { node, address } => Change::Replace { node, address },
        MemberChange::Transfer(to) => Change::Transfer { to },
    }
}

fn failed(error: ChangeError) -> ChangeFailure {
    let fault = match &error {
        ChangeError::Busy => ChangeFault::UnderWay,
        ChangeError::Silent { .. } => ChangeFault::Unreachable,
        ChangeError::NotEmpty { .. } => ChangeFault::NotEmpty,
        ChangeError::Retired { .. } => ChangeFault::Retired,
        ChangeError::AlreadyMember { .. } => ChangeFault::AlreadyMember,
        ChangeError::Wiped { .. } => ChangeFault::Wiped,
        ChangeError::NoSuchMember { .. } => ChangeFault::NoSuchMember,
        ChangeError::QuorumAtRisk { .. } => ChangeFault::QuorumAtRisk,
        ChangeError::Refused(_) => ChangeFault::Refused,
        ChangeError::Unknown(_) => ChangeFault::Unknown,
        ChangeError::NoLeader => ChangeFault::NoLeader,
    };
    ChangeFailure { fault, detail: error.to_string() }
}
