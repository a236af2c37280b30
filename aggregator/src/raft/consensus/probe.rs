//! Who is at an address: asked of nodes that are to become members.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::node::Node;
use crate::raft::network::Peer;
use crate::raft::rpc::{Failure, Probed, Reply, Request};
use crate::raft::types::Member;
use wardmesh_common::id::{ClusterId, NodeId};
use wardmesh_common::offload;

/// How long a node that does not answer yet is waited for.
const PROBE_PATIENCE: Duration = Duration::from_secs(10);

/// How long one probe may take.
const PROBE_CALL: Duration = Duration::from_secs(2);

/// Between two probes of a node.
const PROBE_POLL: Duration = Duration::from_millis(200);

/// Nobody answers at an address, or not who should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Silent {
    pub(super) address: String,
    pub(super) cause: String,
}

impl Node {
    /// Who answers at `address`, as it wants to be reached: where it advertises another address, that
    /// one leads to it too.
    pub(super) async fn probe_member(&self, address: &str) -> Result<Probed, Silent> {
        let mut probed = self.probe_at(None, address).await?;
        let advertised = &mut probed.member.raft_address;
        if advertised.is_empty() {
            address.clone_into(advertised);
        } else if advertised != address {
            // What cannot be reached by its own words would be a member that nobody finds.
            let advertised = advertised.clone();
            self.probe_at(Some(probed.node_id), &advertised).await?;
        }
        Ok(probed)
    }

    async fn probe_at(&self, node: Option<NodeId>, address: &str) -> Result<Probed, Silent> {
        let peer = Peer { node, address: address.to_owned() };
        let deadline = Instant::now() + PROBE_PATIENCE;
        loop {
            let cause = match self.peers.call(&peer, &Request::Probe, PROBE_CALL).await {
                Ok(Reply::Probe(probed)) => return Ok(probed),
                // It does answer, and will say the same again.
                Ok(Reply::Failed(Failure::Refused(cause))) => {
                    return Err(Silent { address: address.to_owned(), cause });
                }
                Ok(Reply::Failed(failure)) => failure.to_string(),
                Ok(other) => format!("it answered: {other:?}"),
                Err(cause) => cause.to_string(),
            };
            if Instant::now() >= deadline {
                return Err(Silent { address: address.to_owned(), cause });
            }
            tokio::time::sleep(PROBE_POLL).await;
        }
    }

    /// Has an empty node admit its volume to a cluster.
    pub(super) async fn admit_peer(
        &self,
        (node, member): (NodeId, &Member),
        cluster: ClusterId,
    ) -> Result<(), Silent> {
        let address = member.raft_address.clone();
        let cause = if node == self.id {
            match self.admit_self(cluster).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure.to_string(),
            }
        } else {
            let peer = super::node::peer(node, member);
            match self.peers.call(&peer, &Request::Join(cluster), PROBE_PATIENCE).await {
                Ok(Reply::Joined) => return Ok(()),
                Ok(Reply::Failed(failure)) => failure.to_string(),
                Ok(other) => format!("it answered: {other:?}"),
                Err(cause) => cause.to_string(),
            }
        };
        Err(Silent { address, cause })
    }

    /// Admits this node's own volume; only while it is empty.
    pub(super) async fn admit_self(&self, cluster: ClusterId) -> Result<(), Failure> {
        let _turn = self.admitting.lock().await;
        let stopped = |cause: &dyn std::fmt::Display| Failure::Stopped(cause.to_string());
        if self.raft.is_initialized().await.map_err(|cause| stopped(&cause))? {
            return Err(Failure::Refused(format!("node {} is not empty", self.id)));
        }
        let standing = std::sync::Arc::clone(&self.standing);
        let admitted = offload::run(move || standing.admit(cluster)).await.flatten();
        admitted.map_err(|cause| Failure::Refused(format!("its volume: {cause}")))
    }

    /// Why another node learns nothing of this one and has it join nothing: it makes a cluster itself.
    pub(super) fn busy_founding(&self, asker: NodeId, request: &Request) -> Option<Failure> {
        let joins = matches!(request, Request::Probe | Request::Join(_));
        let busy = joins && asker != self.id && self.founding.load(Ordering::SeqCst) > 0;
        busy.then(|| {
            Failure::Refused(format!("an init is under way at node {}: ask again later", self.id))
        })
    }
}
