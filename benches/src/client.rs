//! Load as sensors make it: enrolled, over QUIC with their own certificates, in the wire's own words,
//! but from memory instead of a spool. What is sent and when is the bench's business.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use quinn::{ClientConfig, Connection, Endpoint, IdleTimeout};
use serde_json::json;
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
pub struct Session {
    /// Where batches go.
    pub sending: Sending,
    /// Where their receipts come from.
    pub receiving: Receiving,
}

/// The near end of the bulk lane.
pub struct Sending {
    send: Sender,
    // The other lane stays open as long as this one.
    _urgent: (Sender, Receiver),
    connection: Connection,
}

/// The far end's answers.
pub struct Receiving {
    receive: Receiver,
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
        let urgent = lane(&connection, enrolled.sensor, Lane::Urgent, epoch).await?;
        let (send, receive) = lane(&connection, enrolled.sensor, Lane::Bulk, epoch).await?;
        let sending = Sending { send, _urgent: urgent, connection };
        Ok(Self { sending, receiving: Receiving { receive } })
    }
}

async fn lane(
    connection: &Connection,
    sensor: SensorId,
    lane: Lane,
    epoch: u64,
) -> anyhow::Result<(Sender, Receiver)> {
    let Stream { mut send, mut receive } = connection.open_bi().await?.into();
    let at = clock::now();
    let hello = Message::Hello(Hello {
        cluster: None,
        sensor: sensor.0,
        epoch,
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
        Message::Welcome(_) => Ok((send, receive)),
        other => anyhow::bail!("not welcome: {other:?}"),
    }
}

impl Sending {
    /// Sends a sealed batch.
    ///
    /// # Errors
    /// Where the connection is gone.
    pub async fn send(&mut self, batch: Bytes) -> anyhow::Result<()> {
        Ok(link::send(&mut self.send, clock::now(), batch).await?)
    }

    /// Ends the session.
    pub fn close(self) {
        self.connection.close(0_u32.into(), b"");
    }
}

impl Receiving {
    /// The next receipt: one a batch, in their order. `None` where the node has ended the lane.
    ///
    /// # Errors
    /// Where the connection is gone, or the node says something else.
    pub async fn next(&mut self) -> anyhow::Result<Option<Receipt>> {
        let Some((_, frame)) = link::receive(&mut self.receive).await? else { return Ok(None) };
        match Message::open(&frame)? {
            Message::Receipt(receipt) => Ok(Some(receipt)),
            other => anyhow::bail!("a receipt was due: {other:?}"),
        }
    }

    /// Waits for the receipt of the next batch, which must be an acknowledgement.
    ///
    /// # Errors
    /// Where it is anything else.
    pub async fn acknowledged(&mut self) -> anyhow::Result<()> {
        let receipt = self.next().await?.context("the lane was ended")?;
        match receipt.outcome {
            Outcome::Acknowledged(_) => Ok(()),
            other => anyhow::bail!("batch {} was not acknowledged: {other:?}", receipt.seq),
        }
    }
}
