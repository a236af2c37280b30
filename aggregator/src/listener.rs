//! Where sensors come in: the QUIC endpoint and its limits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::{Endpoint, IdleTimeout, Incoming, ServerConfig, TransportConfig, VarInt};
use wardmesh_common::link;
use wardmesh_common::tls::{INGEST_ALPN, Identity};

use crate::ingest::{Ingest, session};
use crate::metrics::{Handshake, Metrics};

mod turnstile;

use turnstile::Turnstile;

/// Without a word for so long, a connection is given up; sensors send a sign of life every 2 s.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// A handshake that takes longer is abandoned.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);

/// Sensors that are served at once; far above a fleet's sites, far below what exhausts a node.
const CONNECTIONS_MAX: usize = 10_000;

/// Open connections, handshakes included, from which on addresses must first prove that they are theirs (RFC 9000,
/// section 8.1.2): an attacker who spoofs addresses then costs a packet each.
const UNVALIDATED_MAX: usize = 64;

/// Handshakes that wait for their turn.
const INCOMING_MAX: usize = 1_024;

/// Bytes that a sensor may have on the way to us on a lane: a window of full batches.
const STREAM_WINDOW: u32 = 4 * 1024 * 1024;

/// Why sensors cannot come in.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address cannot be bound.
    #[error("ingest.listen {address}: {cause}; is another process using the port?")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why not.
        cause: std::io::Error,
    },
    /// The identity cannot serve.
    #[error("ingest.identity: {0}")]
    Identity(#[from] wardmesh_common::tls::TlsError),
}

/// Binds the endpoint; connections are served from [`accept`] on.
///
/// # Errors
/// [`ListenError`].
pub fn bind(address: SocketAddr, identity: &Identity) -> Result<Endpoint, ListenError> {
    let mut config = ServerConfig::with_crypto(Arc::new(identity.server(INGEST_ALPN)?));
    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(IdleTimeout::try_from(IDLE_TIMEOUT).ok())
        .max_concurrent_bidi_streams(VarInt::from_u32(2))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(2 * STREAM_WINDOW))
        .datagram_receive_buffer_size(None);
    config.transport_config(Arc::new(transport));
    config.max_incoming(INCOMING_MAX);
    link::quic::listen(config, address).map_err(|cause| ListenError::Bind { address, cause })
}

/// Serves sensors until the endpoint is closed.
pub async fn accept(endpoint: Endpoint, ingest: Arc<Ingest>, metrics: Arc<Metrics>) {
    let turnstile = Arc::new(Turnstile::default());
    while let Some(incoming) = endpoint.accept().await {
        if endpoint.open_connections() >= CONNECTIONS_MAX {
            metrics.shook_hands(Handshake::Refused);
            incoming.refuse();
            continue;
        }
        let crowded = endpoint.open_connections() >= UNVALIDATED_MAX;
        if crowded && !incoming.remote_address_validated() {
            // It may have been validated since: then it is served at its next packet.
            let _ = incoming.retry();
            metrics.shook_hands(Handshake::Retried);
            continue;
        }
        let (turnstile, ingest) = (Arc::clone(&turnstile), Arc::clone(&ingest));
        tokio::spawn(handshake(incoming, turnstile, ingest, Arc::clone(&metrics)));
    }
}

async fn handshake(
    incoming: Incoming,
    turnstile: Arc<Turnstile>,
    ingest: Arc<Ingest>,
    metrics: Arc<Metrics>,
) {
    let remote = incoming.remote_address();
    let Some(place) = turnstile.enter(remote.ip()).await else {
        metrics.shook_hands(Handshake::Postponed);
        return incoming.ignore();
    };
    let connecting = match incoming.accept() {
        Ok(connecting) => connecting,
        Err(cause) => {
            metrics.shook_hands(Handshake::Failed);
            return tracing::debug!(%remote, %cause, "handshake refused");
        }
    };
    match tokio::time::timeout(HANDSHAKE_PATIENCE, turnstile.pass(place, connecting)).await {
        Ok(Ok(connection)) => {
            metrics.shook_hands(Handshake::Completed);
            session::serve(ingest, Arc::new(connection)).await;
        }
        Ok(Err(cause)) => {
            metrics.shook_hands(Handshake::Failed);
            tracing::warn!(%remote, %cause, "handshake failed");
        }
        Err(_) => {
            metrics.shook_hands(Handshake::Abandoned);
            tracing::warn!(%remote, "handshake abandoned");
        }
    }
}
