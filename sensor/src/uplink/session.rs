//! One connection: dial, say hello on each lane, stream until something breaks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use quinn::{ClientConfig, Connection, Endpoint, IdleTimeout, RecvStream, SendStream, VarInt};
use tokio::time::timeout;
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::message::{Hello, Message, Reason, Welcome};
use wardmesh_common::{clock, link, tls};

use super::{Uplink, lane, marks, random};

/// Why a session is over; the spool is untouched by it.
#[derive(Debug, thiserror::Error)]
pub enum SessionEnd {
    /// The name has no address now.
    #[error("the name cannot be resolved: {0}")]
    Resolve(String),
    /// Nobody answers, or the handshake fails.
    #[error(
        "no connection: {0}; check the address, that UDP passes, and the certificates' authority"
    )]
    Connect(String),
    /// The node does not serve this sensor.
    #[error("the aggregator refuses this sensor ({reason}): {detail}")]
    Refused {
        /// Why.
        reason: Reason,
        /// What it says can be done.
        detail: String,
    },
    /// The connection broke.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// The peer breaks the protocol.
    #[error("the aggregator does not keep to the protocol: {0}")]
    Protocol(String),
    /// The epoch cannot go on at the aggregator: its batches were numbered anew.
    #[error("a new epoch was begun ({0}): saying hello again")]
    Renewed(&'static str),
    /// The local disk failed.
    #[error(transparent)]
    Spool(#[from] crate::spool::SpoolError),
}

/// Without a word for so long, the connection is given up and the next node tried: a node that lost
/// its power says no goodbye. Being wrong costs a handshake, since the spool keeps what is unanswered.
const IDLE_TIMEOUT: Duration = Duration::from_secs(6);

/// A sign of life, asked for so often: two may get lost before the connection is given up. It keeps
/// NAT bindings open besides.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// Receipts are small: what a node may send ahead of our reading.
const RECEIVE_WINDOW: u32 = 256 * 1024;

/// Runs one session with one of the addresses that `address` resolves to now.
pub(super) async fn run(uplink: &Uplink, address: &str) -> SessionEnd {
    match serve(uplink, address).await {
        Ok(never) => match never {},
        Err(end) => end,
    }
}

async fn serve(uplink: &Uplink, address: &str) -> Result<std::convert::Infallible, SessionEnd> {
    let patience = Duration::from_millis(uplink.config.connect_timeout_ms);
    let target = resolve(address).await?;
    // The endpoint lives as long as its session: each attempt has a new socket and port.
    let (endpoint, connection) = dial(uplink, target, patience).await?;
    let greet = async {
        let urgent = open(uplink, &connection, Lane::Urgent).await?;
        let bulk = open(uplink, &connection, Lane::Bulk).await?;
        Ok::<_, SessionEnd>((urgent, bulk))
    };
    let (urgent, bulk) = timeout(patience, greet)
        .await
        .map_err(|_| SessionEnd::Connect("the hello was not answered".to_owned()))??;
    uplink.status.sessions.fetch_add(1, Ordering::Relaxed);
    uplink.status.online.store(true, Ordering::Release);
    tracing::info!(address, site = %urgent.welcome.site, "online");
    let welcomes = [(Lane::Urgent, &urgent.welcome), (Lane::Bulk, &bulk.welcome)];
    let end = match marks::take(&uplink.spool, welcomes) {
        Err(end) => end,
        Ok(()) => tokio::select! {
            end = lane::run(&uplink.spool, urgent) => end,
            end = lane::run(&uplink.spool, bulk) => end,
            reason = connection.closed() => SessionEnd::Lost(reason.to_string()),
        },
    };
    connection.close(VarInt::from_u32(0), b"");
    // What was acknowledged is forgotten, and what was numbered anew is in its place, before the next
    // hello says what is held.
    uplink.spool.settled().await;
    // The close frame goes out with the endpoint's last poll.
    let _ = timeout(Duration::from_millis(200), endpoint.wait_idle()).await;
    Err(end)
}

async fn resolve(address: &str) -> Result<SocketAddr, SessionEnd> {
    let failed = |cause: &dyn std::fmt::Display| SessionEnd::Resolve(cause.to_string());
    let found: Vec<_> =
        tokio::net::lookup_host(address).await.map_err(|cause| failed(&cause))?.collect();
    let pick = random() as usize % found.len().max(1);
    found.get(pick).copied().ok_or_else(|| failed(&"it has no address"))
}

async fn dial(
    uplink: &Uplink,
    target: SocketAddr,
    patience: Duration,
) -> Result<(Endpoint, Connection), SessionEnd> {
    let failed = |cause: &dyn std::fmt::Display| SessionEnd::Connect(cause.to_string());
    let any: SocketAddr =
        if target.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0; 16], 0).into() };
    let endpoint = Endpoint::client(any).map_err(|cause| failed(&cause))?;
    let tls = uplink.identity.client(tls::INGEST_ALPN).map_err(|cause| failed(&cause))?;
    let mut transport = quinn::TransportConfig::default();
    transport
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(IdleTimeout::try_from(IDLE_TIMEOUT).ok())
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW))
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0));
    let mut config = ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::new(transport));
    let name = tls::server_name(&uplink.cluster);
    let connecting =
        endpoint.connect_with(config, target, &name).map_err(|cause| failed(&cause))?;
    let connection = timeout(patience, connecting)
        .await
        .map_err(|_| failed(&"no answer: is UDP to this port let through?"))?
        .map_err(|cause| failed(&cause))?;
    Ok((endpoint, connection))
}

/// A lane that was welcomed.
pub(super) struct Opened {
    pub(super) lane: Lane,
    pub(super) send: SendStream,
    pub(super) receive: RecvStream,
    pub(super) welcome: Welcome,
}

async fn open(uplink: &Uplink, connection: &Connection, lane: Lane) -> Result<Opened, SessionEnd> {
    let lost = |cause: &dyn std::fmt::Display| SessionEnd::Lost(cause.to_string());
    let (mut send, mut receive) = connection.open_bi().await.map_err(|cause| lost(&cause))?;
    let epochs = uplink.spool.epochs();
    let tails = uplink.spool.tails(lane, &epochs);
    let at = clock::now();
    let hello = Message::Hello(Hello {
        cluster: None,
        sensor: uplink.sensor.0,
        epoch: epochs.current,
        held: epochs.held,
        tails,
        version_min: 1,
        version_max: 1,
        compression: true,
        sent_at: at.as_nanos(),
        software: env!("CARGO_PKG_VERSION").to_owned(),
    });
    let frame = hello.seal(lane, at).map_err(|cause| SessionEnd::Protocol(cause.to_string()))?;
    link::send(&mut send, at, frame).await.map_err(|cause| lost(&cause))?;
    let answer = link::receive(&mut receive).await.map_err(|cause| lost(&cause))?;
    let (_, frame) = answer.ok_or_else(|| lost(&"closed before the hello was answered"))?;
    match Message::open(&frame).map_err(|cause| SessionEnd::Protocol(cause.to_string()))? {
        Message::Welcome(welcome) => Ok(Opened { lane, send, receive, welcome }),
        Message::Refusal(refusal) => {
            Err(SessionEnd::Refused { reason: refusal.reason, detail: refusal.detail })
        }
        _ => Err(SessionEnd::Protocol("a welcome was due".to_owned())),
    }
}
