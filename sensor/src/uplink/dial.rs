//! Making connections: over QUIC in production, whatever else a simulation hands in.
//!
//! Each attempt resolves the name now and has a new socket and port.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::{ClientConfig, Endpoint, IdleTimeout, VarInt};
use tokio::time::timeout;
use wardmesh_common::link::quic::Dialled;
use wardmesh_common::link::{Carried, Connection};
use wardmesh_common::random;
use wardmesh_common::tls::{self, Identity};

use super::SessionEnd;

/// Without a word for so long, the connection is given up and the next node tried: a node that lost
/// its power says no goodbye. Being wrong costs a handshake, since the spool keeps what is unanswered.
const IDLE_TIMEOUT: Duration = Duration::from_secs(6);

/// A sign of life, asked for so often: two may get lost before the connection is given up. It keeps
/// NAT bindings open besides.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// Receipts are small: what a node may send ahead of our reading.
const RECEIVE_WINDOW: u32 = 256 * 1024;

/// What makes connections.
pub trait Dial: Send + Sync {
    /// Connects to one of the addresses that `address` has now.
    ///
    /// # Errors
    /// [`SessionEnd::Resolve`] or [`SessionEnd::Connect`].
    fn dial<'a>(
        &'a self,
        address: &'a str,
        patience: Duration,
    ) -> Carried<'a, Result<Arc<dyn Connection>, SessionEnd>>;
}

/// Dials over QUIC with mutual TLS.
pub(super) struct Quic {
    /// The cluster's name, which the nodes' certificates bear.
    pub(super) cluster: String,
    /// The sensor's.
    pub(super) identity: Identity,
}

impl Dial for Quic {
    fn dial<'a>(
        &'a self,
        address: &'a str,
        patience: Duration,
    ) -> Carried<'a, Result<Arc<dyn Connection>, SessionEnd>> {
        Box::pin(async move {
            let target = resolve(address).await?;
            let dialled = self.connect(target, patience).await?;
            Ok(Arc::new(dialled) as Arc<dyn Connection>)
        })
    }
}

async fn resolve(address: &str) -> Result<SocketAddr, SessionEnd> {
    let failed = |cause: &dyn std::fmt::Display| SessionEnd::Resolve(cause.to_string());
    let found: Vec<_> =
        tokio::net::lookup_host(address).await.map_err(|cause| failed(&cause))?.collect();
    let pick = random::u64() as usize % found.len().max(1);
    found.get(pick).copied().ok_or_else(|| failed(&"it has no address"))
}

impl Quic {
    async fn connect(&self, target: SocketAddr, patience: Duration) -> Result<Dialled, SessionEnd> {
        let failed = |cause: &dyn std::fmt::Display| SessionEnd::Connect(cause.to_string());
        let any: SocketAddr =
            if target.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0; 16], 0).into() };
        let endpoint = Endpoint::client(any).map_err(|cause| failed(&cause))?;
        let tls = self.identity.client(tls::INGEST_ALPN).map_err(|cause| failed(&cause))?;
        let mut transport = quinn::TransportConfig::default();
        transport
            .keep_alive_interval(Some(KEEP_ALIVE))
            .max_idle_timeout(IdleTimeout::try_from(IDLE_TIMEOUT).ok())
            .receive_window(VarInt::from_u32(RECEIVE_WINDOW))
            .max_concurrent_bidi_streams(VarInt::from_u32(0))
            .max_concurrent_uni_streams(VarInt::from_u32(0));
        let mut config = ClientConfig::new(Arc::new(tls));
        config.transport_config(Arc::new(transport));
        let name = tls::server_name(&self.cluster);
        let connecting =
            endpoint.connect_with(config, target, &name).map_err(|cause| failed(&cause))?;
        let connection = timeout(patience, connecting)
            .await
            .map_err(|_| failed(&"no answer: is UDP to this port let through?"))?
            .map_err(|cause| failed(&cause))?;
        Ok(Dialled { endpoint, connection })
    }
}
