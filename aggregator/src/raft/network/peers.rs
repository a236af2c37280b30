//! Connections to the other nodes, one each, kept while they work and made anew when they do not.
//!
//! It must not decide what a failure means for consensus; it names what happened.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use quinn::{ClientConfig, Connection, IdleTimeout, TransportConfig, VarInt};
use tokio::time::Instant;
use wardmesh_common::id::NodeId;
use wardmesh_common::tls::{Identity, RAFT_ALPN, TlsError};

use super::dial::dial;
use crate::raft::codec::Malformed;
use crate::raft::rpc::{Failure, REPLY_LENGTH_MAX, Reply, Request, Sender};
use crate::raft::standing::Standing;

/// How long a handshake may take: a few round trips over a WAN and a busy CPU.
const DIAL_PATIENCE: Duration = Duration::from_secs(2);

/// Silence after which a connection is given up. A node that was killed says no goodbye; until this
/// has passed its successor at the same address is not reached.
const IDLE_MAX: Duration = Duration::from_secs(2);

/// How often an idle connection shows that it lives: four chances before [`IDLE_MAX`].
const KEEP_ALIVE: Duration = Duration::from_millis(500);

/// Calls that a peer may have open at once: appends and heartbeats are a handful, the rest are
/// forwarded commands and reads.
pub(crate) const CALLS_MAX: u32 = 512;

/// Bytes that a connection takes in before they are read: one snapshot chunk and a few appends.
const RECEIVE_WINDOW: u32 = 32 * 1024 * 1024;

/// How long a peer that said that its volume is full is taken to be so: openraft tries it again several
/// times meanwhile, and its next answer counts.
const FULL_FOR: Duration = Duration::from_secs(3);

/// A node to talk to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Who must answer; `None` where that is to be found out.
    pub node: Option<NodeId>,
    /// `host:port` of its Raft endpoint.
    pub address: String,
}

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No connection to the peer: nothing was sent.
    #[error("{address} cannot be reached: {cause}")]
    Unreachable {
        /// Where it was looked for.
        address: String,
        /// What is in the way.
        cause: String,
    },
    /// The time is up; the peer may have done it all the same.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The connection broke; the peer may have done it all the same.
    #[error("the connection broke: {0}")]
    Lost(String),
    /// Request or answer cannot be put into bytes or read from them.
    #[error("the message is malformed: {0}")]
    Malformed(#[from] Malformed),
}

/// The transport both sides use.
pub(crate) fn transport() -> Arc<TransportConfig> {
    let mut transport = TransportConfig::default();
    let idle = IdleTimeout::try_from(IDLE_MAX).ok();
    transport
        .max_idle_timeout(idle)
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_concurrent_bidi_streams(CALLS_MAX.into())
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(RECEIVE_WINDOW / 2))
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW))
        .datagram_receive_buffer_size(None);
    Arc::new(transport)
}

/// What carries calls to other nodes in QUIC's place: memory, in a simulation.
pub trait Carrier: Send + Sync {
    /// Takes a request's bytes to `peer`, and a snapshot's file that follows it, and brings the bytes
    /// of its answer back.
    fn exchange<'a>(
        &'a self,
        peer: &'a Peer,
        request: Bytes,
        file: Bytes,
    ) -> BoxFuture<'a, Result<Bytes, CallError>>;
}

/// All connections of this node to others.
pub struct Peers {
    own: NodeId,
    cluster: String,
    config: ClientConfig,
    carrier: Option<Arc<dyn Carrier>>,
    /// By node and address: an address may be given to another node, which must not get the calls
    /// that were meant for its predecessor.
    slots: parking_lot::Mutex<HashMap<Peer, Arc<tokio::sync::Mutex<Slot>>>>,
    /// Where members are now; openraft keeps the address that a member had when its leader began.
    addresses: parking_lot::RwLock<HashMap<NodeId, String>>,
    standing: Option<Arc<Standing>>,
    /// Who said, and when, that its volume has no room for entries.
    full: parking_lot::Mutex<HashMap<NodeId, Instant>>,
}

#[derive(Default)]
struct Slot {
    connection: Option<Connection>,
    failed: Option<(Instant, CallError)>,
}

impl Peers {
    /// Connections under `identity`, which is node `own` of `cluster`.
    ///
    /// # Errors
    /// [`TlsError`] where the identity cannot be used.
    pub fn new(own: NodeId, cluster: String, identity: &Identity) -> Result<Self, TlsError> {
        let mut config = ClientConfig::new(Arc::new(identity.client(RAFT_ALPN)?));
        config.transport_config(transport());
        let (carrier, slots, addresses, full) = Default::default();
        Ok(Self { own, cluster, config, carrier, slots, addresses, standing: None, full })
    }

    /// What carries calls in QUIC's place, if anything does.
    pub(super) fn carrier(&self) -> Option<&Arc<dyn Carrier>> {
        self.carrier.as_ref()
    }

    /// The same, with calls that go by this carrier and not over QUIC.
    #[must_use]
    pub fn carried(self, carrier: Arc<dyn Carrier>) -> Self {
        Self { carrier: Some(carrier), ..self }
    }

    /// The same, whose requests name the cluster, and which take note of it where this node is out.
    pub(in crate::raft) fn standing(self, standing: Arc<Standing>) -> Self {
        Self { standing: Some(standing), ..self }
    }

    /// Who the requests come from.
    pub(super) fn sender(&self) -> Sender {
        self.standing.as_ref().map_or_else(|| self.own.into(), |standing| standing.sender())
    }

    /// The members' addresses as of now. What was dialled elsewhere is forgotten once it is broken.
    pub(in crate::raft) fn relocate(&self, addresses: HashMap<NodeId, String>) {
        let is_member = |peer: &Peer| {
            let address = peer.node.and_then(|node| addresses.get(&node));
            address.is_some_and(|address| *address == peer.address)
        };
        self.slots.lock().retain(|peer, slot| {
            // Who is dialling holds it.
            is_member(peer) || slot.try_lock().map_or(true, |slot| slot.working().is_some())
        });
        *self.addresses.write() = addresses;
    }

    /// The peer where it is now.
    fn located(&self, peer: &Peer) -> Peer {
        let now = peer.node.and_then(|node| self.addresses.read().get(&node).cloned());
        Peer { node: peer.node, address: now.unwrap_or_else(|| peer.address.clone()) }
    }

    /// Takes note of whether a node's volume took entries, or had no room for them.
    pub(super) fn note_room(&self, node: NodeId, has_room: bool) {
        let mut full = self.full.lock();
        if has_room {
            full.remove(&node);
        } else {
            full.insert(node, Instant::now());
        }
    }

    /// The nodes that lately had no room for entries.
    pub(crate) fn full(&self) -> BTreeSet<NodeId> {
        let full = self.full.lock();
        full.iter().filter(|(_, at)| at.elapsed() < FULL_FOR).map(|(node, _)| *node).collect()
    }

    /// This node's id.
    #[must_use]
    pub fn own(&self) -> NodeId {
        self.own
    }

    /// Asks `peer` and waits for its answer, at most `limit`, dialling included.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call(
        self: &Arc<Self>,
        peer: &Peer,
        request: &Request,
        limit: Duration,
    ) -> Result<Reply, CallError> {
        let bytes = request.encode(self.sender())?;
        let exchange = async {
            let answer = match &self.carrier {
                Some(carrier) => carrier.exchange(peer, bytes, Bytes::new()).await?,
                None => exchange(&self.connection(peer).await?, bytes).await?,
            };
            Ok(Reply::decode(answer)?)
        };
        let reply = tokio::time::timeout(limit, exchange).await;
        let reply = reply.unwrap_or(Err(CallError::TimedOut(limit)))?;
        if let (Reply::Failed(Failure::Retired { at }), Some(standing)) = (&reply, &self.standing) {
            standing.removed(*at);
        }
        Ok(reply)
    }

    /// A working connection to `peer`, dialled where there is none. Dialling goes on when the caller
    /// gives up: a heartbeat's patience is shorter than a handshake may take.
    pub(super) async fn connection(self: &Arc<Self>, peer: &Peer) -> Result<Connection, CallError> {
        let peer = self.located(peer);
        let slot = Arc::clone(self.slots.lock().entry(peer.clone()).or_default());
        if let Ok(slot) = slot.try_lock()
            && let Some(connection) = slot.working()
        {
            return Ok(connection);
        }
        let (peers, asked) = (Arc::clone(self), Instant::now());
        let dialling = tokio::spawn(async move { peers.dial(&peer, &slot, asked).await });
        dialling.await.unwrap_or_else(|cause| Err(CallError::Lost(cause.to_string())))
    }

    async fn dial(
        &self,
        peer: &Peer,
        slot: &tokio::sync::Mutex<Slot>,
        asked: Instant,
    ) -> Result<Connection, CallError> {
        let mut slot = slot.lock().await;
        if let Some(connection) = slot.working() {
            return Ok(connection);
        }
        // Whoever waited while another attempt failed shares its failure, or a dead peer would
        // gather a queue of attempts.
        if let Some((when, error)) = &slot.failed
            && *when >= asked
        {
            return Err(error.clone());
        }
        let dialled = tokio::time::timeout(DIAL_PATIENCE, dial(&self.config, &self.cluster, peer));
        let late = || Err(format!("no handshake within {DIAL_PATIENCE:?}"));
        match dialled.await.unwrap_or_else(|_| late()) {
            Ok(connection) => {
                tracing::debug!(peer = %peer.address, "connected");
                slot.connection = Some(connection.clone());
                Ok(connection)
            }
            Err(cause) => {
                let error = CallError::Unreachable { address: peer.address.clone(), cause };
                slot.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// Closes every connection.
    pub async fn close(&self) {
        let slots: Vec<_> = self.slots.lock().drain().map(|(_, slot)| slot).collect();
        for slot in slots {
            if let Some(connection) = slot.lock().await.connection.take() {
                connection.close(0_u32.into(), b"shutting down");
            }
        }
    }
}

impl Slot {
    fn working(&self) -> Option<Connection> {
        self.connection.clone().filter(|connection| connection.close_reason().is_none())
    }
}

/// One call on a stream of its own.
async fn exchange(connection: &Connection, request: Bytes) -> Result<Bytes, CallError> {
    let lost = |cause: &dyn std::fmt::Display| CallError::Lost(cause.to_string());
    let (mut send, mut receive) = connection.open_bi().await.map_err(|cause| lost(&cause))?;
    send.write_chunk(request).await.map_err(|cause| lost(&cause))?;
    send.finish().map_err(|cause| lost(&cause))?;
    let reply = receive.read_to_end(REPLY_LENGTH_MAX).await.map_err(|cause| lost(&cause))?;
    Ok(reply.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use wardmesh_common::tls::Principal;
    use wardmesh_common::tls::authority::Authority;

    use super::*;

    #[tokio::test]
    async fn who_is_no_member_any_more_is_forgotten() {
        let principal = Principal::Node { cluster: "test".into(), node: 1 };
        let identity = Authority::new("test").unwrap().issue(&principal).unwrap().identity();
        let peers = Arc::new(Peers::new(1, "test".into(), &identity).unwrap());
        let peer = |node, address: &str| Peer { node, address: address.to_owned() };
        let asked = [
            peer(Some(2), "no-such-host.invalid:1"),
            peer(Some(3), "nor-this.invalid:1"),
            peer(None, "nor-that.invalid:1"),
        ];
        for peer in &asked {
            peers.connection(peer).await.unwrap_err();
        }
        assert_eq!(peers.slots.lock().len(), 3);
        peers.relocate(HashMap::from([(2, asked[0].address.clone()), (3, "moved:1".into())]));
        assert_eq!(peers.slots.lock().keys().collect::<Vec<_>>(), [&asked[0]]);
    }
}
