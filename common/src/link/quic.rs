//! Links over QUIC: what production uses.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use quinn::{
    Endpoint, EndpointConfig, ReadExactError, RecvStream, SendStream, ServerConfig, TokioRuntime,
    VarInt,
};
use rustix::net::sockopt::{set_socket_recv_buffer_size, socket_recv_buffer_size};

use super::silence::{Exchanged, LOOK, Silence};
use super::{Carried, Connection, Incoming, LinkError, Outgoing, Stream};
use crate::tls::{self, Principal};

/// Bytes that may wait in a listening socket: all sensors and peers share it, and a core that is busy
/// with something else for some milliseconds must not cost them their packets. Linux grants at most
/// `net.core.rmem_max` (socket(7)), whose default holds some hundred packets.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Opens an endpoint that takes connections.
///
/// # Errors
/// Where the address cannot be bound.
pub fn listen(config: ServerConfig, address: SocketAddr) -> io::Result<Endpoint> {
    let socket = UdpSocket::bind(address)?;
    // What is not granted makes it slower under load, not wrong.
    let wanted = set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER);
    let granted = wanted.and_then(|()| socket_recv_buffer_size(&socket)).unwrap_or(0);
    if granted < RECEIVE_BUFFER {
        let why = "raise net.core.rmem_max: packets are lost when the node is busy";
        tracing::info!(%address, granted, wanted = RECEIVE_BUFFER, why, "a small receive buffer");
    }
    Endpoint::new(EndpointConfig::default(), Some(config), socket, Arc::new(TokioRuntime))
}

fn lost(cause: impl std::fmt::Display) -> LinkError {
    LinkError::Lost(cause.to_string())
}

impl From<(SendStream, RecvStream)> for Stream {
    fn from((send, receive): (SendStream, RecvStream)) -> Self {
        Self { send: Box::new(send), receive: Box::new(receive) }
    }
}

impl Connection for quinn::Connection {
    fn open(&self) -> Carried<'_, Result<Stream, LinkError>> {
        Box::pin(async { Ok(self.open_bi().await.map_err(lost)?.into()) })
    }

    fn accept(&self) -> Carried<'_, Result<Stream, LinkError>> {
        Box::pin(async { Ok(self.accept_bi().await.map_err(lost)?.into()) })
    }

    fn closed(&self) -> Carried<'_, String> {
        Box::pin(async { Self::closed(self).await.to_string() })
    }

    fn close(&self, code: u32, reason: &str) {
        Self::close(self, VarInt::from_u32(code), reason.as_bytes());
    }

    /// The listening endpoint sees to it.
    fn drained(&self) -> Carried<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn principal(&self) -> Result<Principal, String> {
        tls::peer(self).map_err(|cause| cause.to_string())
    }

    fn remote(&self) -> String {
        self.remote_address().to_string()
    }
}

/// A connection that was dialled from an endpoint of its own, which lives as long.
#[derive(Debug)]
pub struct Dialled {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Its one connection.
    pub connection: quinn::Connection,
}

impl Connection for Dialled {
    fn open(&self) -> Carried<'_, Result<Stream, LinkError>> {
        self.connection.open()
    }

    fn accept(&self) -> Carried<'_, Result<Stream, LinkError>> {
        self.connection.accept()
    }

    /// Also where the far end has fallen silent: who dialled can dial another.
    fn closed(&self) -> Carried<'_, String> {
        Box::pin(async {
            tokio::select! {
                cause = Connection::closed(&self.connection) => cause,
                () = unanswered(&self.connection) => "nothing is answered any more".to_owned(),
            }
        })
    }

    fn close(&self, code: u32, reason: &str) {
        Connection::close(&self.connection, code, reason);
    }

    /// The close frame goes out with the endpoint's last poll.
    fn drained(&self) -> Carried<'_, ()> {
        Box::pin(self.endpoint.wait_idle())
    }

    fn principal(&self) -> Result<Principal, String> {
        self.connection.principal()
    }

    fn remote(&self) -> String {
        self.connection.remote()
    }
}

/// Completes when the far end has answered nothing for too long.
async fn unanswered(connection: &quinn::Connection) {
    let mut silence = Silence::default();
    loop {
        tokio::time::sleep(LOOK).await;
        let stats = connection.stats();
        let asked = stats.frame_tx.stream + stats.frame_tx.ping;
        let exchanged = Exchanged { asked, heard: stats.udp_rx.datagrams };
        if silence.look(Instant::now(), exchanged, connection.rtt()) {
            return;
        }
    }
}

impl Outgoing for SendStream {
    fn write(&mut self, mut chunks: [Bytes; 2]) -> Carried<'_, Result<(), LinkError>> {
        Box::pin(async move { self.write_all_chunks(&mut chunks).await.map_err(lost) })
    }

    fn finish(&mut self) -> Carried<'_, ()> {
        Box::pin(async move {
            // Both fail only where the far end is gone.
            if Self::finish(self).is_ok() {
                let _ = self.stopped().await;
            }
        })
    }
}

impl Incoming for RecvStream {
    fn fill<'a>(&'a mut self, buffer: &'a mut [u8]) -> Carried<'a, Result<bool, LinkError>> {
        Box::pin(async move {
            match self.read_exact(buffer).await {
                Ok(()) => Ok(true),
                Err(ReadExactError::FinishedEarly(0)) => Ok(false),
                Err(cause) => Err(lost(cause)),
            }
        })
    }
}
