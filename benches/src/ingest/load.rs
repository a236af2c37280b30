//! The load: sensors that send prepared frames within a window and note when each is acknowledged.
//!
//! Only what is acknowledged counts; any other answer than an acknowledgement ends the run.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use parking_lot::Mutex;
use quinn::{Connection, Endpoint};
use tokio::sync::{Barrier, Semaphore};
use wardmesh_common::clock;
use wardmesh_common::id::SensorId;
use wardmesh_common::link::{self as stream, Incoming, Receiver, Sender, Stream};
use wardmesh_common::tls::Identity;
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::message::{Message, Outcome};

use super::link;
use super::workload::{EPOCH, Prepared};
use crate::client::greet;

/// A run in which nothing at all is acknowledged for so long hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whose protocol is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The product's: hello and welcome, and a receipt for each batch.
    Product,
    /// The bare pipeline's: the place up to which all is durable on a majority, now and then.
    Bare,
}

/// One sensor to be driven.
pub struct Driver {
    /// What it sends.
    pub prepared: Prepared,
    /// Under which name.
    pub identity: Identity,
    /// Where to.
    pub address: SocketAddr,
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Driven {
    /// Acknowledged events by sensor, in the drivers' order.
    pub acked: Vec<(SensorId, u64)>,
    /// From the first batch sent to the last acknowledgement.
    pub seconds: f64,
    /// From send to acknowledgement of each batch, sorted.
    pub latencies: Vec<Duration>,
}

impl Driven {
    /// Acknowledged events of all sensors.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.acked.iter().map(|(_, events)| events).sum()
    }

    /// Acknowledged events a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.events() as f64 / self.seconds.max(1e-9)
    }

    /// The latency that `per_cent` of all batches stay below, milliseconds.
    #[must_use]
    pub fn percentile(&self, per_cent: usize) -> f64 {
        let at =
            (self.latencies.len() * per_cent / 100).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(at).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
    }
}

/// How the load is offered.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Batches of a sensor that may be unanswered.
    pub window: usize,
    /// Between two batches of a sensor; zero for as soon as the window lets them.
    pub every: Duration,
}

/// Connects all sensors, then lets them go together.
///
/// # Errors
/// Where a connection is lost or a batch is not acknowledged.
pub async fn drive(drivers: Vec<Driver>, protocol: Protocol, pace: Pace) -> anyhow::Result<Driven> {
    let start = Arc::new(Barrier::new(drivers.len() + 1));
    let mut tasks = Vec::new();
    for driver in drivers {
        let lane = open(&driver, protocol).await?;
        tasks.push(tokio::spawn(send_all(driver.prepared, lane, pace, Arc::clone(&start))));
    }
    start.wait().await;
    let begun = Instant::now();
    let mut driven = Driven::default();
    for task in tasks {
        let done = task.await??;
        driven.acked.push((done.sensor, done.events));
        driven.latencies.extend(done.latencies);
        driven.seconds = driven.seconds.max(done.ended.duration_since(begun).as_secs_f64());
    }
    driven.latencies.sort_unstable();
    Ok(driven)
}

/// A sensor's way to its node.
struct Opened {
    protocol: Protocol,
    /// Kept open: a lane or an endpoint that is dropped ends the connection.
    _held: (Endpoint, Connection, Option<Stream>),
    stream: Stream,
}

async fn open(driver: &Driver, protocol: Protocol) -> anyhow::Result<Opened> {
    let (endpoint, connection) = link::connect(&driver.identity, driver.address).await?;
    let (held, stream) = match protocol {
        Protocol::Bare => (None, connection.open_bi().await?.into()),
        Protocol::Product => {
            let urgent = greet(&connection, driver.prepared.sensor, Lane::Urgent, EPOCH).await?;
            let bulk = greet(&connection, driver.prepared.sensor, Lane::Bulk, EPOCH).await?;
            (Some(urgent), bulk)
        }
    };
    Ok(Opened { protocol, _held: (endpoint, connection, held), stream })
}

struct Done {
    sensor: SensorId,
    events: u64,
    latencies: Vec<Duration>,
    ended: Instant,
}

/// When each batch was sent, by its place.
type SentAt = Arc<Mutex<Vec<Instant>>>;

async fn send_all(
    prepared: Prepared,
    lane: Opened,
    pace: Pace,
    start: Arc<Barrier>,
) -> anyhow::Result<Done> {
    let Prepared { sensor, frames, events, .. } = prepared;
    let room = Arc::new(Semaphore::new(pace.window));
    let sent_at = SentAt::default();
    start.wait().await;
    let Opened { protocol, _held, stream: Stream { send, receive } } = lane;
    let sending = tokio::spawn(transmit(send, frames, pace, Arc::clone(&room), sent_at.clone()));
    let mut acks = Acks { protocol, receive, through: 0 };
    let mut latencies = Vec::with_capacity(events.len());
    while latencies.len() < events.len() {
        let through =
            tokio::time::timeout(PATIENCE, acks.next()).await.context("the run hangs")??;
        let now = Instant::now();
        let sent_at = sent_at.lock();
        ensure!(through <= sent_at.len(), "batch {through} was acknowledged and never sent");
        let more = sent_at[latencies.len()..through].iter().map(|sent| now.duration_since(*sent));
        room.add_permits(more.len());
        latencies.extend(more);
    }
    let ended = Instant::now();
    // Kept until now: where it ends, so does the lane.
    drop(sending.await??);
    let events = events.iter().map(|events| u64::from(*events)).sum();
    Ok(Done { sensor, events, latencies, ended })
}

async fn transmit(
    mut send: Sender,
    frames: Vec<Bytes>,
    pace: Pace,
    room: Arc<Semaphore>,
    sent_at: SentAt,
) -> anyhow::Result<Sender> {
    let mut due = tokio::time::interval(pace.every.max(Duration::from_nanos(1)));
    for frame in frames {
        if !pace.every.is_zero() {
            due.tick().await;
        }
        room.acquire().await?.forget();
        sent_at.lock().push(Instant::now());
        stream::send(&mut send, clock::now(), frame).await?;
    }
    Ok(send)
}

/// The answers on a lane.
struct Acks {
    protocol: Protocol,
    receive: Receiver,
    through: usize,
}

impl Acks {
    /// The place up to which all is acknowledged.
    async fn next(&mut self) -> anyhow::Result<usize> {
        match self.protocol {
            Protocol::Bare => {
                let mut through = [0; 8];
                ensure!(self.receive.fill(&mut through).await?, "the node closed the lane");
                Ok(u64::from_le_bytes(through) as usize)
            }
            Protocol::Product => {
                let answer = stream::receive(&mut self.receive).await?;
                let (_, answer) = answer.context("the node closed the lane")?;
                match Message::open(&answer)? {
                    Message::Receipt(receipt)
                        if matches!(receipt.outcome, Outcome::Acknowledged(_))
                            && receipt.seq == self.through as u64 + 1 =>
                    {
                        self.through += 1;
                        Ok(self.through)
                    }
                    other => bail!("batch {} was answered with {other:?}", self.through + 1),
                }
            }
        }
    }
}
