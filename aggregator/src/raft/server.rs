//! The Raft endpoint: takes the other nodes' connections and hands their calls on.
//!
//! Only certificates of this cluster's nodes get further than the handshake, and a request that
//! claims to come from another node than its certificate's is refused. What a call does is decided
//! elsewhere ([`Serve`]).

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quinn::{Connection, Endpoint, Incoming, RecvStream, SendStream, ServerConfig};
use tokio::sync::{Semaphore, SemaphorePermit};
use wardmesh_common::id::NodeId;
use wardmesh_common::link::quic;
use wardmesh_common::tls::{self, Identity, Principal, RAFT_ALPN, TlsError};

use super::network::{CALLS_MAX, transport};
use super::rpc::{Failure, REQUEST_LENGTH_MAX, Reply, Request, Sender, Unreadable};

/// How long a request may take to arrive once its stream is open.
const REQUEST_PATIENCE: Duration = Duration::from_secs(10);

/// Connections that are served at once: every other node has one, a restarting one two, and an
/// operator's tool may add a few.
const CONNECTIONS_MAX: usize = 64;

/// Bytes of requests of one connection that are read or worked on at once: a few appends of the
/// largest size. What is beyond waits on its stream.
const REQUESTS_LENGTH_MAX: usize = 4 * REQUEST_LENGTH_MAX;

/// What the endpoint turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A connection: not a node of this cluster, or one too many.
    Connection,
    /// A call: unreadable, or in another's name.
    Call,
    /// An append with an entry that this build cannot decode: the node cannot follow its cluster.
    Entry(String),
}

/// What answers the calls.
pub trait Serve: Send + Sync + 'static {
    /// Takes note of what was turned away.
    fn refused(&self, refused: Refused);

    /// Answers one call of `from`; a snapshot's file is still on `stream`.
    fn serve(
        &self,
        from: Sender,
        request: Request,
        stream: &mut RecvStream,
    ) -> impl Future<Output = Reply> + Send;
}

/// Why the endpoint cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address.
    #[error("the Raft endpoint {address} cannot be opened: {cause}")]
    Address {
        /// What was to be bound.
        address: SocketAddr,
        /// Why it was not.
        cause: io::Error,
    },
    /// The identity.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Opens the endpoint; nothing is taken before [`run`].
///
/// # Errors
/// [`BindError`].
pub fn bind(address: SocketAddr, identity: &Identity) -> Result<Endpoint, BindError> {
    let mut config = ServerConfig::with_crypto(Arc::new(identity.server(RAFT_ALPN)?));
    config.transport_config(transport());
    quic::listen(config, address).map_err(|cause| BindError::Address { address, cause })
}

/// Takes connections until the endpoint is closed.
pub async fn run<S: Serve>(endpoint: Endpoint, cluster: String, service: Arc<S>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let cluster: Arc<str> = cluster.into();
    while let Some(incoming) = endpoint.accept().await {
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
            tracing::warn!(from = %incoming.remote_address(), "too many Raft connections: refused");
            incoming.refuse();
            service.refused(Refused::Connection);
            continue;
        };
        let (cluster, service) = (Arc::clone(&cluster), Arc::clone(&service));
        tokio::spawn(async move {
            session(incoming, &cluster, service).await;
            drop(place);
        });
    }
}

async fn session<S: Serve>(incoming: Incoming, cluster: &str, service: Arc<S>) {
    let remote = incoming.remote_address();
    let connection = match incoming.await {
        Ok(connection) => connection,
        Err(cause) => return tracing::warn!(%remote, %cause, "a Raft handshake failed"),
    };
    let from = match node(&connection, cluster) {
        Ok(node) => node,
        Err(why) => {
            tracing::warn!(%remote, why, "a Raft connection is refused");
            service.refused(Refused::Connection);
            return connection.close(1_u32.into(), b"not a node of this cluster");
        }
    };
    let calls = Arc::new(Semaphore::new(CALLS_MAX as usize));
    let memory = Arc::new(Semaphore::new(REQUESTS_LENGTH_MAX));
    while let Ok((send, receive)) = connection.accept_bi().await {
        let Ok(place) = Arc::clone(&calls).acquire_owned().await else { return };
        let (service, memory) = (Arc::clone(&service), Arc::clone(&memory));
        tokio::spawn(async move {
            call(from, send, receive, &memory, &*service).await;
            drop(place);
        });
    }
}

/// The node at the other end.
fn node(connection: &Connection, cluster: &str) -> Result<NodeId, String> {
    match tls::peer(connection).map_err(|cause| cause.to_string())? {
        Principal::Node { cluster: theirs, node } if theirs == cluster => Ok(node),
        other => Err(format!("{other} is no node of {cluster}")),
    }
}

async fn call<S: Serve>(
    from: NodeId,
    mut send: SendStream,
    mut receive: RecvStream,
    memory: &Semaphore,
    service: &S,
) {
    let reply = match request(from, &mut receive, memory).await {
        Ok((sender, request, _held)) => service.serve(sender, request, &mut receive).await,
        Err((refused, failure)) => {
            tracing::warn!(from, %failure, "a call is refused");
            service.refused(refused);
            Reply::Failed(failure)
        }
    };
    let Ok(bytes) = reply.encode() else { return };
    // A caller that does not wait any more is none of our concern.
    if send.write_chunk(bytes).await.is_ok() {
        let _ = send.finish();
    }
}

/// The next request, and the memory that it holds until it is worked off.
async fn request<'m>(
    from: NodeId,
    stream: &mut RecvStream,
    memory: &'m Semaphore,
) -> Result<(Sender, Request, SemaphorePermit<'m>), (Refused, Failure)> {
    let reading = tokio::time::timeout(REQUEST_PATIENCE, framed(stream, memory));
    let late = || Err(format!("it did not arrive within {REQUEST_PATIENCE:?}"));
    let bytes = reading.await.unwrap_or_else(|_| late());
    let (bytes, held) = bytes.map_err(|why| (Refused::Call, Failure::Unreadable(why)))?;
    let (sender, request) = understand(from, bytes)?;
    Ok((sender, request, held))
}

/// Decodes a request of node `from`, its length left out, and holds it against who sent it.
pub(super) fn understand(
    from: NodeId,
    bytes: Bytes,
) -> Result<(Sender, Request), (Refused, Failure)> {
    let (claimed, request) = Request::decode(bytes).map_err(|cause| {
        let refused = match &cause {
            Unreadable::Entry { .. } => Refused::Entry(cause.to_string()),
            Unreadable::Malformed(_) => Refused::Call,
        };
        (refused, Failure::Unreadable(cause.to_string()))
    })?;
    match [Some(claimed.node), request.claims()].into_iter().flatten().find(|&node| node != from) {
        None => Ok((claimed, request)),
        Some(other) => {
            let call = request.name();
            let why = format!("node {from} sent a {call} that claims to be node {other}'s");
            Err((Refused::Call, Failure::Refused(why)))
        }
    }
}

async fn framed<'m>(
    stream: &mut RecvStream,
    memory: &'m Semaphore,
) -> Result<(Bytes, SemaphorePermit<'m>), String> {
    let mut prefix = [0; 4];
    stream.read_exact(&mut prefix).await.map_err(|cause| cause.to_string())?;
    let announced = u32::from_le_bytes(prefix);
    let length = announced as usize;
    if length > REQUEST_LENGTH_MAX {
        return Err(format!("it announces {length} bytes, more than {REQUEST_LENGTH_MAX}"));
    }
    let held = memory.acquire_many(announced).await.map_err(|cause| cause.to_string())?;
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await.map_err(|cause| cause.to_string())?;
    Ok((bytes.into(), held))
}
