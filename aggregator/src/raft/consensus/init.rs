//! The cluster's init: explicit, once, and only when all its members are there and empty.
//!
//! A cluster must never come into being by "the first node with an empty disk": two of them would
//! each accept writes.

use std::collections::{BTreeMap, BTreeSet};

use wardmesh_common::id::{ClusterId, NodeId};

use super::Consensus;
use super::node::{Counted, Node};
use super::probe::Silent;
use crate::raft::proposer::Unavailable;
use crate::raft::rpc::Probed;
use crate::raft::types::Member;
use crate::state::command::Action;
use crate::state::receipt::Receipt;

/// Why there is no new cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InitError {
    /// The addresses are not as many as members are expected.
    #[error(
        "members expected: {expected}, addresses given: {given}; name the Raft addresses of all as seeds"
    )]
    Count {
        /// Members that are expected.
        expected: usize,
        /// Addresses that are given.
        given: usize,
    },
    /// A member does not answer.
    #[error("the node at {address} does not answer: {cause}")]
    Silent {
        /// Its address.
        address: String,
        /// What is in the way.
        cause: String,
    },
    /// A member has a log or a vote already: it belongs to a cluster, or did.
    #[error("node {node_id} at {address} is not empty: it belongs to a cluster already")]
    NotEmpty {
        /// Its id.
        node_id: NodeId,
        /// Its address.
        address: String,
    },
    /// Two addresses lead to the same node.
    #[error("{first} and {second} are both node {node_id}: every member needs an id of its own")]
    Twice {
        /// The id.
        node_id: NodeId,
        /// One address.
        first: String,
        /// The other.
        second: String,
    },
    /// This node is not among them.
    #[error("node {0}, on which the init was asked for, is not among the members")]
    NotAMember(NodeId),
    /// Consensus did not take the membership.
    #[error("the members could not be written down: {0}")]
    Refused(String),
    /// The members are written down, the first command may be or not: the same call goes on from there.
    #[error("the cluster has its members, but no answer to its first command: {0}")]
    NotFounded(#[from] Unavailable),
}

impl Consensus {
    /// The cluster that this node's volume was admitted to.
    #[must_use]
    pub fn cluster(&self) -> Option<ClusterId> {
        self.node.standing.cluster()
    }

    /// Makes a cluster of `expect` empty nodes, this one among them, whose Raft addresses are
    /// `seeds`, and proposes `found` as its first command. Without seeds this node's own is taken.
    ///
    /// Where an earlier call ended with [`InitError::NotFounded`], its members are the cluster's
    /// already: then only the command is proposed, under the cluster's id of that call. With the same
    /// admin token in it, it does not matter which of the two is applied.
    ///
    /// # Errors
    /// [`InitError`]; nothing has changed anywhere unless it is [`InitError::NotFounded`].
    pub async fn initialise(
        &self,
        expect: usize,
        seeds: &[String],
        found: Action,
    ) -> Result<(Receipt, u64), InitError> {
        let own = [self.node.settings.member.raft_address.clone()];
        let seeds = if seeds.is_empty() { &own } else { seeds };
        if seeds.len() != expect {
            return Err(InitError::Count { expected: expect, given: seeds.len() });
        }
        let Action::Found { cluster, key, admin_token } = found else {
            return Err(InitError::Refused("its first command founds no cluster".to_owned()));
        };
        let node = &self.node;
        // One at a time here; who was second finds what the first has made.
        let _turn = node.changing.lock().await;
        // Said before the others are asked: of two nodes that begin at once at most one passes.
        let _founding = Counted::new(&node.founding);
        let probes = seeds.iter().map(|seed| node.probe_member(seed));
        let probed = futures::future::try_join_all(probes).await?;
        if let Some(cluster) = self.unfounded(&probed) {
            return Ok(self.node.propose(Action::Found { cluster, key, admin_token }).await?);
        }
        let members = members(seeds, probed)?;
        if !members.contains_key(&self.node.id) {
            return Err(InitError::NotAMember(self.node.id));
        }
        // An empty volume takes neither log nor votes before it was admitted.
        let each = members.iter().map(|(id, member)| node.admit_peer((*id, member), cluster));
        futures::future::try_join_all(each).await?;
        node.begin_log(members, cluster).await?;
        Ok(self.node.propose(Action::Found { cluster, key, admin_token }).await?)
    }

    /// The cluster whose members these are, all of them and no others, by an earlier init.
    fn unfounded(&self, probed: &[Probed]) -> Option<ClusterId> {
        let cluster = self.cluster()?;
        let membership = self.node.membership();
        let ours = |one: &Probed| !one.empty && one.cluster == Some(cluster);
        let asked: BTreeSet<NodeId> = probed.iter().map(|one| one.node_id).collect();
        let same = asked.into_iter().eq(membership.nodes().map(|(id, _)| *id));
        (same && probed.iter().all(ours)).then_some(cluster)
    }
}

impl Node {
    /// Writes the members down as the first entry, where the volume still is what it was admitted as.
    async fn begin_log(
        &self,
        members: BTreeMap<NodeId, Member>,
        cluster: ClusterId,
    ) -> Result<(), InitError> {
        let _turn = self.admitting.lock().await;
        if self.standing.cluster() != Some(cluster) {
            let why = "this node was admitted to another cluster meanwhile";
            return Err(InitError::Refused(why.to_owned()));
        }
        let written = self.raft.initialize(members).await;
        written.map_err(|cause| InitError::Refused(cause.to_string()))
    }
}

impl From<Silent> for InitError {
    fn from(Silent { address, cause }: Silent) -> Self {
        Self::Silent { address, cause }
    }
}

/// The membership that the probes make up, each member at the address that it advertises.
fn members(seeds: &[String], probed: Vec<Probed>) -> Result<BTreeMap<NodeId, Member>, InitError> {
    let mut members = BTreeMap::<NodeId, Member>::new();
    for (address, Probed { node_id, member, empty, .. }) in seeds.iter().zip(probed) {
        if !empty {
            return Err(InitError::NotEmpty { node_id, address: address.clone() });
        }
        if let Some(first) = members.insert(node_id, member) {
            let (first, second) = (first.raft_address, address.clone());
            return Err(InitError::Twice { node_id, first, second });
        }
    }
    Ok(members)
}
