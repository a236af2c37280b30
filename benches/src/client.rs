//! Load as sensors make it: enrolled, over QUIC with their own certificates, in the wire's own words,
//! but from memory instead of a spool. What is sent and when is the bench's business.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use quinn::{ClientConfig, Connection, Endpoint, IdleTimeout};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;
use wardmesh_cli::local::{CLUSTER, Mesh};
use wardmesh_common::event::Event;
use wardmesh_common::id::{SensorId, TenantId};
use wardmesh_common::link::{Receiver, Sender, Stream};
use wardmesh_common::tls::{self, INGEST_ALPN, Identity, Principal};
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::frame::{Frame, Schema, Seal, seal};
use wardmesh_common::wire::message::{Hello, Message, Outcome, Receipt};
use wardmesh_common::wire::v1::BatchBuilder;
use wardmesh_common::{clock, link};

/// How long a handshake or a hello may take on a machine that is busy with the bench itself.
const PATIENCE: Duration = Duration::from_secs(20);

/// Threads that enrol: each enrolment is a command that waits for disks.
const ENROLLERS: usize = 16;

/// How often an enrolment is tried: a cluster may be without a leader for a moment.
const ENROLMENTS_MAX: usize = 20;

/// As the product's sensors do (`sensor/src/uplink/session.rs`).
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// Far above the pauses of a busy machine.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// A sensor that the cluster knows.
#[derive(Clone, Debug)]
pub struct Enrolled {
    /// Its id.
    pub sensor: SensorId,
    /// What it presents.
    pub identity: Identity,
}

/// Enrols `count` sensors at a site, whose ids begin with `prefix`.
///
/// # Errors
/// Where certificates cannot be made or the cluster does not take a sensor.
pub fn enrol(mesh: &Mesh, site: &str, prefix: u8, count: usize) -> anyhow::Result<Vec<Enrolled>> {
    let numbers: Vec<usize> = (0..count).collect();
    let share = count.div_ceil(ENROLLERS).max(1);
    std::thread::scope(|scope| {
        let enrollers: Vec<_> = numbers
            .chunks(share)
            .map(|numbers| scope.spawn(move || enrol_some(mesh, site, prefix, numbers)))
            .collect();
        let mut all = Vec::with_capacity(count);
        for enroller in enrollers {
            let some = enroller.join().map_err(|_| anyhow::anyhow!("an enroller failed"))?;
            all.extend(some?);
        }
        Ok(all)
    })
}

fn enrol_some(
    mesh: &Mesh,
    site: &str,
    prefix: u8,
    numbers: &[usize],
) -> anyhow::Result<Vec<Enrolled>> {
    let clients: Vec<_> = mesh.nodes().iter().map(|node| node.client()).collect();
    let one = |number: &usize| {
        let mut id = [0; 16];
        id[0] = prefix;
        id[8..].copy_from_slice(&(*number as u64).to_be_bytes());
        let (sensor, tenant) = (SensorId::from_random(id), TenantId::default_tenant());
        let principal = Principal::Sensor { cluster: CLUSTER.to_owned(), tenant, sensor };
        let identity = mesh.ingest_authority().issue(&principal)?.identity();
        let name = format!("{site}-{prefix}-{number}");
        let body = json!({ "sensor": sensor.to_string(), "site": site, "name": name });
        for attempt in 0..ENROLMENTS_MAX {
            let client = &clients[(number + attempt) % clients.len()];
            match client.post("/api/v1/sensors", &body) {
                Ok(_) => break,
                Err(cause) if attempt + 1 == ENROLMENTS_MAX => return Err(cause.into()),
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
        Ok(Enrolled { sensor, identity })
    };
    numbers.iter().map(one).collect()
}

/// Seals the batches of one sensor's start, in order.
#[derive(Clone, Debug)]
pub struct Batches {
    sensor: SensorId,
    lane: Lane,
    epoch: u64,
    seq: u64,
    chain: u64,
}

impl Batches {
    /// A start that has sealed nothing yet on the bulk lane.
    #[must_use]
    pub fn new(sensor: SensorId, epoch: u64) -> Self {
        Self { sensor, lane: Lane::Bulk, epoch, seq: 0, chain: 0 }
    }

    /// The next batch, compressed as a sensor does.
    ///
    /// # Errors
    /// Where the events are more than a batch holds.
    pub fn seal(&mut self, events: impl IntoIterator<Item = Event>) -> anyhow::Result<Bytes> {
        let mut builder = BatchBuilder::new(self.sensor, &["eth0".to_owned()]);
        for event in events {
            anyhow::ensure!(builder.has_room(&event), "more events than a batch holds");
            builder.push_owned(event);
        }
        let (archive, events) = builder.finish().context("archive")?;
        self.seq += 1;
        let with = Seal {
            schema: Schema::Batch,
            lane: self.lane,
            events,
            epoch: self.epoch,
            seq: self.seq,
            sealed_at: clock::now(),
            previous_chain: self.chain,
        };
        let bytes = seal(&with, &archive, true);
        self.chain = Frame::open(&bytes)?.header.chain;
        Ok(bytes)
    }
}

/// A connection of one sensor on which both lanes are open.
///
/// Like a sensor it sends again what the node could not take, from the first such batch on.
pub struct Session {
    send: Sender,
    receipts: mpsc::UnboundedReceiver<Receipt>,
    /// What is not acknowledged yet, and when it was first sent.
    under_way: VecDeque<(Bytes, Instant)>,
    /// Answers to come that are about batches which were sent again since.
    stale: usize,
    // The other lane stays open as long as this one.
    _urgent: Stream,
    connection: Connection,
}

/// A socket for sensors' connections; they may share one.
///
/// # Errors
/// Where none can be had.
pub fn socket() -> anyhow::Result<Endpoint> {
    Ok(Endpoint::client(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))?)
}

impl Session {
    /// Connects a sensor to an ingest address and opens its lanes under `epoch`.
    ///
    /// # Errors
    /// Where the node is not there or does not serve it.
    pub async fn open(
        endpoint: &Endpoint,
        enrolled: &Enrolled,
        address: &str,
        epoch: u64,
    ) -> anyhow::Result<Self> {
        let mut config = ClientConfig::new(Arc::new(enrolled.identity.client(INGEST_ALPN)?));
        let mut transport = quinn::TransportConfig::default();
        transport
            .keep_alive_interval(Some(KEEP_ALIVE))
            .max_idle_timeout(IdleTimeout::try_from(IDLE_TIMEOUT).ok());
        config.transport_config(Arc::new(transport));
        let connecting =
            endpoint.connect_with(config, address.parse()?, &tls::server_name(CLUSTER))?;
        let connection = timeout(PATIENCE, connecting).await.context("no answer")??;
        let urgent = greet(&connection, enrolled.sensor, Lane::Urgent, epoch).await?;
        let Stream { send, receive } =
            greet(&connection, enrolled.sensor, Lane::Bulk, epoch).await?;
        let (told, receipts) = mpsc::unbounded_channel();
        tokio::spawn(read(receive, told));
        let under_way = VecDeque::new();
        Ok(Self { send, receipts, under_way, stale: 0, _urgent: urgent, connection })
    }

    /// Batches that are not acknowledged yet.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Sends a sealed batch.
    ///
    /// # Errors
    /// Where the connection is gone.
    pub async fn send(&mut self, batch: Bytes) -> anyhow::Result<()> {
        self.under_way.push_back((batch.clone(), Instant::now()));
        Ok(link::send(&mut self.send, clock::now(), batch).await?)
    }

    /// The next receipt; may be given up and asked for again.
    ///
    /// # Errors
    /// Where the connection is gone.
    pub async fn receipt(&mut self) -> anyhow::Result<Receipt> {
        self.receipts.recv().await.context("the node has ended the lane")
    }

    /// Acts on a receipt: how long the oldest batch took where it is acknowledged. Must not be given up
    /// half-way.
    ///
    /// # Errors
    /// Where the connection is gone, or a batch was rejected.
    pub async fn act(&mut self, receipt: Receipt) -> anyhow::Result<Option<Duration>> {
        if self.stale > 0 {
            self.stale -= 1;
            return Ok(None);
        }
        match receipt.outcome {
            Outcome::Acknowledged(_) => {
                let (_, sent) = self.under_way.pop_front().context("a receipt for no batch")?;
                return Ok(Some(sent.elapsed()));
            }
            Outcome::Gap(_) => {}
            Outcome::Unavailable(retry_after) => {
                tokio::time::sleep(Duration::from_millis(retry_after.into())).await;
            }
            Outcome::Rejected(reason) => anyhow::bail!("batch {}: {reason}", receipt.seq),
        }
        self.stale = self.under_way.len().saturating_sub(1);
        for (batch, _) in &self.under_way {
            link::send(&mut self.send, clock::now(), batch.clone()).await?;
        }
        Ok(None)
    }

    /// Waits until the oldest batch is acknowledged.
    ///
    /// # Errors
    /// As [`act`](Self::act).
    pub async fn settle(&mut self) -> anyhow::Result<Duration> {
        loop {
            let receipt = self.receipt().await?;
            if let Some(took) = self.act(receipt).await? {
                return Ok(took);
            }
        }
    }

    /// Ends the session.
    pub fn close(self) {
        self.connection.close(0_u32.into(), b"");
    }
}

/// Reads in a task of its own: reading a frame must not be given up half-way.
async fn read(mut receive: Receiver, told: mpsc::UnboundedSender<Receipt>) {
    while let Ok(Some((_, frame))) = link::receive(&mut receive).await {
        let Ok(Message::Receipt(receipt)) = Message::open(&frame) else { return };
        if told.send(receipt).is_err() {
            return;
        }
    }
}

/// Opens a lane on a connection: says hello and waits for the welcome.
///
/// # Errors
/// Where the node does not serve the sensor, or does not answer.
pub async fn greet(
    connection: &Connection,
    sensor: SensorId,
    lane: Lane,
    epoch: u64,
) -> anyhow::Result<Stream> {
    let Stream { mut send, mut receive } = connection.open_bi().await?.into();
    let at = clock::now();
    let hello = Message::Hello(Hello {
        cluster: None,
        sensor: sensor.0,
        epoch,
        tails: Vec::new(),
        held: Vec::new(),
        version_min: 1,
        version_max: 1,
        compression: true,
        sent_at: at.as_nanos(),
        software: "bench".to_owned(),
    });
    link::send(&mut send, at, hello.seal(lane, at)?).await?;
    let answer = timeout(PATIENCE, link::receive(&mut receive)).await.context("no welcome")??;
    let (_, frame) = answer.context("the stream was finished before the welcome")?;
    match Message::open(&frame)? {
        Message::Welcome(_) => Ok(Stream { send, receive }),
        other => anyhow::bail!("the hello was answered with {other:?}"),
    }
}
