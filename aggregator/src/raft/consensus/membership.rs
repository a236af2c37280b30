//! Changes of the membership, on the node that leads: one at a time, and never to a set of voters that
//! could not agree on anything.
//!
//! Voters change by joint consensus (Raft paper, section 6), so that a replaced node and its successor
//! change places in one step. Each change can be asked for again after an outcome that is not known.

use std::collections::BTreeSet;
use std::time::Duration;

use openraft::ChangeMembers;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use tokio::time::Instant;
use wardmesh_common::id::NodeId;

use super::node::Node;
use super::probe::Silent;
use crate::raft::rpc::{Change, ChangeError, Changed, Probed, Role};
use crate::raft::types::{Member, TypeConfig};

mod catch_up;
mod quorum;

/// How long a change may take to be agreed on: a few round trips and fsyncs, twice.
const AGREEMENT_PATIENCE: Duration = Duration::from_secs(10);

type Changes = ChangeMembers<NodeId, Member>;

impl Node {
    /// Carries a change out; [`ChangeError::NoLeader`] where this node does not lead (any more).
    pub(super) async fn change_here(&self, change: &Change) -> Result<Changed, ChangeError> {
        let Ok(_turn) = self.changing.try_lock() else { return Err(ChangeError::Busy) };
        match change {
            Change::Add { address, voter } => self.add(address, *voter).await,
            Change::Promote { node } => self.promote(*node).await,
            Change::Remove { node, force } => self.remove(*node, *force).await,
            Change::Replace { node, address } => self.replace(*node, address).await,
            Change::Transfer { to } => self.transfer(*to).await,
        }
    }

    /// Finishes what an earlier leader had begun: a joint membership needs the quorums of both.
    pub(super) async fn finish_change(&self) {
        let joint = self.membership().membership().get_joint_config().len() > 1;
        if joint && let Ok(_turn) = self.changing.try_lock() {
            match self.agree_on(Changes::AddVoterIds(BTreeSet::new())).await {
                Ok(index) => tracing::info!(index, "finished an earlier change of the membership"),
                Err(cause) => tracing::warn!(%cause, "an earlier change is still unfinished"),
            }
        }
    }

    async fn add(&self, address: &str, voter: bool) -> Result<Changed, ChangeError> {
        let (node, taken) = self.take_in(address).await?;
        let votes = self.voters().contains(&node);
        match taken {
            Taken::New(_) | Taken::Known if voter && !votes => self.promote(node).await,
            Taken::New(index) => self.changed(node, Role::Learner, index),
            Taken::Moved(index) if votes => self.changed(node, Role::Voter, index),
            Taken::Moved(_) if voter => self.promote(node).await,
            Taken::Moved(index) => self.changed(node, Role::Learner, index),
            Taken::Known => Err(ChangeError::AlreadyMember { node }),
        }
    }

    /// Makes a learner of the empty node at an address, or notes a member's new addresses.
    async fn take_in(&self, address: &str) -> Result<(NodeId, Taken), ChangeError> {
        let Probed { node_id: node, member, empty, cluster: theirs } =
            self.probe_member(address).await?;
        self.is_current().await?;
        if let Some(at) = self.standing.retired(node) {
            return Err(ChangeError::Retired { node, at });
        }
        let Some(cluster) = self.standing.cluster() else {
            return Err(ChangeError::Refused("this node does not know its cluster".to_owned()));
        };
        let known = self.membership().get_node(&node).cloned();
        if known.is_none() {
            self.never_left(node)?;
        }
        let ours = theirs == Some(cluster);
        Ok((
            node,
            match known {
                Some(_) if !ours && empty => return Err(ChangeError::Wiped { node }),
                Some(known) if ours && known == member => Taken::Known,
                Some(_) if ours => {
                    let moved = Changes::SetNodes([(node, member)].into());
                    Taken::Moved(self.agree_on(moved).await?)
                }
                // One with a log of ours was taken in before, by a leader that was succeeded before
                // anybody agreed: what it wrote down there is replaced.
                None if empty || ours => {
                    if empty {
                        self.admit_peer((node, &member), cluster).await?;
                    }
                    let learner = Changes::AddNodes([(node, member)].into());
                    Taken::New(self.agree_on(learner).await?)
                }
                Some(_) | None => {
                    return Err(ChangeError::NotEmpty { node, address: address.to_owned() });
                }
            },
        ))
    }

    /// That a node that is no member never was one: of an entry that takes it out, and is not applied
    /// yet, nothing would be known.
    pub(super) fn never_left(&self, node: NodeId) -> Result<(), ChangeError> {
        let applied = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow_watched();
            *metrics.membership_config.log_id() <= metrics.last_applied
        };
        match self.standing.retired(node) {
            _ if !applied => Err(ChangeError::Busy),
            Some(at) => Err(ChangeError::Retired { node, at }),
            None => Ok(()),
        }
    }

    /// Waits until all that was agreed on before is applied here, so that whoever left is known, and a
    /// majority has confirmed this leader, so that nobody is admitted in vain.
    async fn is_current(&self) -> Result<(), ChangeError> {
        let needed = self.own_read_index(true).await.map_err(|_| ChangeError::NoLeader)?;
        let applied = self.applied(needed, Instant::now() + AGREEMENT_PATIENCE).await;
        applied.map(drop).map_err(|cause| ChangeError::Refused(cause.to_string()))
    }

    async fn promote(&self, node: NodeId) -> Result<Changed, ChangeError> {
        let mut voters = self.voters();
        self.known(node)?;
        if !voters.insert(node) {
            return self.changed(node, Role::Voter, self.status().applied);
        }
        self.check_quorum(&voters, Some(node))?;
        if !self.catches_up(node).await? {
            return self.changed(node, Role::Learner, self.status().applied);
        }
        let index = self.agree_on(Changes::AddVoterIds([node].into())).await?;
        self.changed(node, Role::Voter, index)
    }

    async fn remove(&self, node: NodeId, force: bool) -> Result<Changed, ChangeError> {
        let Some(member) = self.membership().get_node(&node).cloned() else {
            // Asked for again, after an outcome that was not known.
            let gone = self.standing.retired(node).ok_or(ChangeError::NoSuchMember { node });
            let (member, index) = (Member::default(), self.status().applied);
            return gone.map(|_| Changed { node, member, role: Role::Gone, index });
        };
        let mut voters = self.voters();
        let leaving = if voters.remove(&node) {
            self.check_some(&voters, node)?;
            if !force {
                self.check_quorum(&voters, None)?;
            }
            self.lead_from_elsewhere(node).await?;
            Changes::RemoveVoters([node].into())
        } else {
            Changes::RemoveNodes([node].into())
        };
        let index = self.agree_on(leaving).await?;
        tracing::info!(node, index, "removed a member for good");
        Ok(Changed { node, member, role: Role::Gone, index })
    }

    async fn replace(&self, old: NodeId, address: &str) -> Result<Changed, ChangeError> {
        if self.standing.retired(old).is_some() {
            // Asked for again, after an outcome that was not known.
            let new = self.probe_member(address).await?.node_id;
            self.known(new)?;
            return self.changed(new, Role::Voter, self.status().applied);
        }
        self.known(old)?;
        self.lead_from_elsewhere(old).await?;
        let (new, _) = self.take_in(address).await?;
        if new == old {
            return Err(ChangeError::AlreadyMember { node: new });
        }
        let mut voters = self.voters();
        let votes = voters.remove(&old);
        let promoted = votes && voters.insert(new);
        self.check_quorum(&voters, promoted.then_some(new))?;
        if !self.catches_up(new).await? {
            return self.changed(new, Role::Learner, self.status().applied);
        }
        let role = if voters.contains(&new) { Role::Voter } else { Role::Learner };
        let leaving = if votes {
            Changes::Batch(vec![
                Changes::AddVoterIds([new].into()),
                Changes::RemoveVoters([old].into()),
            ])
        } else {
            Changes::RemoveNodes([old].into())
        };
        let index = self.agree_on(leaving).await?;
        tracing::info!(old, new, index, "replaced a member");
        self.changed(new, role, index)
    }

    async fn transfer(&self, to: Option<NodeId>) -> Result<Changed, ChangeError> {
        if to == Some(self.id) {
            return self.changed(self.id, Role::Voter, self.status().applied);
        }
        if let Some(node) = to {
            self.known(node)?;
            if !self.voters().contains(&node) {
                return Err(ChangeError::Refused(format!("node {node} does not vote")));
            }
            if !self.hears(node) {
                let why = format!("node {node} was not heard lately: it could not take over");
                return Err(ChangeError::Refused(why));
            }
        }
        match self.hand_over(to).await {
            Some(next) => self.changed(next, Role::Voter, self.status().applied),
            None => Err(ChangeError::Unknown("no other node has taken over in time".to_owned())),
        }
    }

    /// A leader that is to go hands over first; the successor is asked then.
    async fn lead_from_elsewhere(&self, leaving: NodeId) -> Result<(), ChangeError> {
        if leaving != self.id {
            return Ok(());
        }
        match self.hand_over(None).await {
            Some(_) => Err(ChangeError::NoLeader),
            None => Err(ChangeError::Refused("no other voter has taken over in time".to_owned())),
        }
    }

    /// Has a change agreed on; the index of the last entry that it took.
    async fn agree_on(&self, changes: Changes) -> Result<u64, ChangeError> {
        let agreeing = self.raft.change_membership(changes, false);
        let unknown = |_| ChangeError::Unknown(format!("nothing after {AGREEMENT_PATIENCE:?}"));
        match tokio::time::timeout(AGREEMENT_PATIENCE, agreeing).await.map_err(unknown)? {
            Ok(written) => Ok(written.log_id.index),
            Err(RaftError::APIError(error)) => Err(of_raft(error)),
            Err(RaftError::Fatal(fatal)) => Err(ChangeError::Unknown(fatal.to_string())),
        }
    }

    /// The voters of the membership, of the later one where it is a joint one.
    fn voters(&self) -> BTreeSet<NodeId> {
        let membership = self.membership();
        membership.membership().get_joint_config().last().cloned().unwrap_or_default()
    }

    fn known(&self, node: NodeId) -> Result<(), ChangeError> {
        let known = self.membership().get_node(&node).is_some();
        known.then_some(()).ok_or(ChangeError::NoSuchMember { node })
    }

    fn changed(&self, node: NodeId, role: Role, index: u64) -> Result<Changed, ChangeError> {
        let member = self.membership().get_node(&node).cloned().unwrap_or_default();
        Ok(Changed { node, member, role, index })
    }
}

/// What came of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// Its node is a learner now, by the entry at this index.
    New(u64),
    /// It is a member whose addresses changed, by the entry at this index.
    Moved(u64),
    /// It is a member, as it was.
    Known,
}

impl From<Silent> for ChangeError {
    fn from(Silent { address, cause }: Silent) -> Self {
        Self::Silent { address, cause }
    }
}

fn of_raft(error: ClientWriteError<TypeConfig>) -> ChangeError {
    match error {
        ClientWriteError::ForwardToLeader(_) => ChangeError::NoLeader,
        ClientWriteError::ChangeMembershipError(ChangeMembershipError::InProgress(_)) => {
            ChangeError::Busy
        }
        ClientWriteError::ChangeMembershipError(other) => ChangeError::Refused(other.to_string()),
        other => ChangeError::Unknown(other.to_string()),
    }
}
