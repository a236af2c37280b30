//! One connection: dial, say hello on each lane, stream until something breaks.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::timeout;
use wardmesh_common::link::{Connection, Receiver, Sender, Stream};
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::message::{Hello, Message, Reason, Welcome};
use wardmesh_common::{clock, link};

use super::{Uplink, lane, marks};

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

/// How long the far end may take to learn of the end.
const GOODBYE_PATIENCE: Duration = Duration::from_millis(200);

/// Runs one session with one of the addresses that `address` resolves to now, which may take so long
/// to be dialled.
pub(super) async fn run(uplink: &Uplink, address: &str, dialling: Duration) -> SessionEnd {
    match serve(uplink, address, dialling).await {
        Ok(never) => match never {},
        Err(end) => end,
    }
}

async fn serve(
    uplink: &Uplink,
    address: &str,
    dialling: Duration,
) -> Result<std::convert::Infallible, SessionEnd> {
    let patience = Duration::from_millis(uplink.config.connect_timeout_ms);
    let connection = uplink.dialler.dial(address, dialling).await?;
    let greet = async {
        let urgent = open(uplink, &*connection, Lane::Urgent).await?;
        let bulk = open(uplink, &*connection, Lane::Bulk).await?;
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
            biased;
            end = lane::run(&uplink.spool, urgent) => end,
            end = lane::run(&uplink.spool, bulk) => end,
            reason = connection.closed() => SessionEnd::Lost(reason),
        },
    };
    connection.close(0, "");
    uplink.status.online.store(false, Ordering::Release);
    // What was acknowledged is forgotten, and what was numbered anew is in its place, before the next
    // hello says what is held.
    uplink.spool.settled().await;
    let _ = timeout(GOODBYE_PATIENCE, connection.drained()).await;
    Err(end)
}

/// A lane that was welcomed.
pub(super) struct Opened {
    pub(super) lane: Lane,
    pub(super) send: Sender,
    pub(super) receive: Receiver,
    pub(super) welcome: Welcome,
}

async fn open(
    uplink: &Uplink,
    connection: &dyn Connection,
    lane: Lane,
) -> Result<Opened, SessionEnd> {
    let lost = |cause: &dyn std::fmt::Display| SessionEnd::Lost(cause.to_string());
    let Stream { mut send, mut receive } = connection.open().await.map_err(|cause| lost(&cause))?;
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
