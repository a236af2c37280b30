//! One attempt to reach a peer: resolve its name now, a fresh socket, a handshake, and a look at
//! who answered.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use quinn::{ClientConfig, Connection, Endpoint};
use wardmesh_common::tls::{self, Principal};

use super::peers::Peer;

/// Dials every address that the peer's name has today until one answers as who it should be.
///
/// A socket per connection: what goes wrong with one (a stale NAT entry, a torn-down interface) does
/// not outlive it.
pub(super) async fn dial(
    config: &ClientConfig,
    cluster: &str,
    peer: &Peer,
) -> Result<Connection, String> {
    let resolved = tokio::net::lookup_host(&peer.address).await;
    let addresses = resolved.map_err(|cause| format!("its name has no address: {cause}"))?;
    let mut last = "its name has no address".to_owned();
    for address in addresses {
        match handshake(config, cluster, address).await {
            Ok(connection) => return expected(connection, cluster, peer),
            Err(cause) => last = cause,
        }
    }
    Err(last)
}

async fn handshake(
    config: &ClientConfig,
    cluster: &str,
    address: SocketAddr,
) -> Result<Connection, String> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let endpoint = Endpoint::client(any).map_err(|cause| format!("no socket: {cause}"))?;
    let connecting = endpoint
        .connect_with(config.clone(), address, &tls::server_name(cluster))
        .map_err(|cause| format!("{address} cannot be dialled: {cause}"))?;
    connecting.await.map_err(|cause| format!("{address}: {cause}"))
}

/// A name that leads to another node (an address that was given away) must not get our messages.
fn expected(connection: Connection, cluster: &str, peer: &Peer) -> Result<Connection, String> {
    let refuse = |why: String| {
        connection.close(0_u32.into(), b"another node was expected");
        Err(why)
    };
    match tls::peer(&connection) {
        Ok(Principal::Node { cluster: theirs, node })
            if theirs == cluster && peer.node.is_none_or(|expected| expected == node) =>
        {
            Ok(connection)
        }
        Ok(other) => refuse(format!("it is {other}, which was not expected there")),
        Err(cause) => refuse(cause.to_string()),
    }
}
