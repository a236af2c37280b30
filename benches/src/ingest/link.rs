//! QUIC endpoints with mutual TLS for the bare pipeline and the plain stream.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use quinn::{ClientConfig, Connection, Endpoint, ServerConfig, TransportConfig, VarInt};
use wardmesh_cli::local::CLUSTER;
use wardmesh_common::link::quic;
use wardmesh_common::tls::{self, INGEST_ALPN, Identity};

/// Bytes that may be on their way on a stream: more than any link here holds.
const STREAM_WINDOW: u32 = 16 << 20;

fn transport() -> Arc<TransportConfig> {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(2 * STREAM_WINDOW));
    Arc::new(transport)
}

/// A server on a port of its own.
///
/// # Errors
/// Where the identity does not fit, or no port can be had.
pub fn server(identity: &Identity) -> anyhow::Result<Endpoint> {
    let mut config = ServerConfig::with_crypto(Arc::new(identity.server(INGEST_ALPN)?));
    config.transport_config(transport());
    Ok(quic::listen(config, (Ipv4Addr::LOCALHOST, 0).into())?)
}

/// A connection from a socket of its own; the endpoint must be kept.
///
/// # Errors
/// Where the server does not answer as a node of the cluster.
pub async fn connect(
    identity: &Identity,
    address: SocketAddr,
) -> anyhow::Result<(Endpoint, Connection)> {
    let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into())?;
    let mut config = ClientConfig::new(Arc::new(identity.client(INGEST_ALPN)?));
    config.transport_config(transport());
    let connecting = endpoint.connect_with(config, address, &tls::server_name(CLUSTER))?;
    let connection = connecting.await?;
    Ok((endpoint, connection))
}
