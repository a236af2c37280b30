//! Sensors that go on all the while: each with a certificate, a spool in memory and the product's own
//! uplink over a socket of its own, and slow, as sensors are: a few events at each linger.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use wardmesh_cli::local::CLUSTER;
use wardmesh_common::clock;
use wardmesh_common::id::SensorId;
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::v1::BatchBuilder;
use wardmesh_sensor::batch::Archive;
use wardmesh_sensor::spool::{Desk, Spool};
use wardmesh_sensor::uplink::{Uplink, UplinkConfig, UplinkStatus};

use crate::client::Enrolled;
use crate::cluster::Cluster;
use crate::events::mixed;
use crate::latencies::Latencies;
use crate::memory::Memory;

/// Between two batches of a sensor: what a sensor's bulk lane lingers.
const LINGER: Duration = Duration::from_millis(500);

/// Devices that each sensor sees.
const DEVICES: u64 = 20;

/// Bytes that a sensor may hold back: an hour of what it sends.
const BUDGET: u64 = 64 << 20;

/// How often a sensor looks for an acknowledgement that is due, and for one that is late: what is
/// measured is off by as much.
const LOOKS: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(50)];

/// From when on it is late.
const LATE: Duration = Duration::from_millis(100);

/// What all of them share.
#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    acked: AtomicU64,
    latencies: Mutex<Latencies>,
}

/// One sensor as others see it.
struct Watched {
    sensor: SensorId,
    spool: Spool,
    status: Arc<UplinkStatus>,
    sensing: JoinHandle<anyhow::Result<()>>,
    uplink: JoinHandle<()>,
}

/// Sensors that go on until they are stopped.
pub struct Live {
    shared: Arc<Shared>,
    sensors: Vec<Watched>,
    stop: watch::Sender<bool>,
}

impl Live {
    /// Starts them, `rate` events a second each; their addresses begin with each node in turn.
    ///
    /// # Errors
    /// Only if memory cannot be had.
    pub fn start(
        runtime: &tokio::runtime::Runtime,
        cluster: &Cluster,
        enrolled: Vec<Enrolled>,
        rate: u64,
    ) -> anyhow::Result<Self> {
        let _inside = runtime.enter();
        let shared = Arc::new(Shared::default());
        let (stop, stopping) = watch::channel(false);
        let (count, started) = (enrolled.len(), Instant::now());
        let mut sensors = Vec::with_capacity(count);
        for (number, Enrolled { sensor, identity }) in enrolled.into_iter().enumerate() {
            let disk = Arc::new(Memory::default());
            let (spool, desk) = Spool::over(disk, Path::new("memory"), BUDGET, 1, None)?;
            let addresses = cluster.ingest_addresses(number);
            let config = UplinkConfig { addresses, ..UplinkConfig::default() };
            let uplink = Uplink::new(config, CLUSTER.to_owned(), sensor, identity, spool.clone());
            let status = uplink.status();
            let uplink = tokio::spawn(uplink.run(stopping.clone()));
            // Spread over the linger: clocks of sensors do not tick together.
            let due = started + LINGER.mul_f64(number as f64 / count as f64);
            let per_batch = rate * LINGER.as_millis() as u64 / 1_000;
            let own = number as u64 * DEVICES;
            let sense = Sense { sensor, spool: spool.clone(), desk, due, per_batch, own };
            let sensing = tokio::spawn(sense.run(Arc::clone(&shared)));
            sensors.push(Watched { sensor, spool, status, sensing, uplink });
        }
        Ok(Self { shared, sensors, stop })
    }

    /// From an event's batch being spooled to its acknowledgement, of all since the last call.
    #[must_use]
    pub fn take(&self) -> Latencies {
        std::mem::take(&mut *self.shared.latencies.lock())
    }

    /// Events acknowledged so far.
    #[must_use]
    pub fn acked(&self) -> u64 {
        self.shared.acked.load(Ordering::Relaxed)
    }

    /// How many are connected and were welcomed.
    #[must_use]
    pub fn online(&self) -> usize {
        let online = |one: &&Watched| one.status.online.load(Ordering::Acquire);
        self.sensors.iter().filter(online).count()
    }

    /// Events acknowledged to each sensor so far.
    #[must_use]
    pub fn acked_by_sensor(&self) -> Vec<u64> {
        let acked = |one: &Watched| one.spool.counts().acked.load(Ordering::Relaxed);
        self.sensors.iter().map(acked).collect()
    }

    /// Attempts to connect that failed so far, of all.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.sensors.iter().map(|one| one.status.failures.load(Ordering::Relaxed)).sum()
    }

    /// Lets them send what they have and ends them; returns what was acknowledged, by sensor.
    ///
    /// # Errors
    /// Where one has failed meanwhile.
    pub async fn stop(self) -> anyhow::Result<Vec<(SensorId, u64)>> {
        self.shared.stop.store(true, Ordering::Release);
        let mut acked = Vec::with_capacity(self.sensors.len());
        let mut uplinks = Vec::with_capacity(self.sensors.len());
        for Watched { sensor, spool, sensing, uplink, .. } in self.sensors {
            sensing.await?.with_context(|| format!("sensor {sensor}"))?;
            acked.push((sensor, spool.counts().acked.load(Ordering::Relaxed)));
            uplinks.push(uplink);
        }
        let _ = self.stop.send(true);
        for uplink in uplinks {
            uplink.await?;
        }
        Ok(acked)
    }
}

/// What one sensor does besides its uplink.
struct Sense {
    sensor: SensorId,
    spool: Spool,
    desk: Desk,
    /// When its next batch is.
    due: Instant,
    per_batch: u64,
    /// Its devices begin with this number.
    own: u64,
}

impl Sense {
    async fn run(mut self, shared: Arc<Shared>) -> anyhow::Result<()> {
        // Events up to a batch's end, and when it was spooled.
        let mut under_way: VecDeque<(u64, Instant)> = VecDeque::new();
        let mut spooled = 0;
        loop {
            let stopping = shared.stop.load(Ordering::Acquire);
            if stopping && under_way.is_empty() {
                return Ok(());
            }
            let now = Instant::now();
            if now >= self.due {
                self.due += LINGER;
                if !stopping {
                    spooled = self.batch(spooled)?;
                    under_way.push_back((spooled, now));
                }
            }
            self.desk.turn()?;
            let acked = self.spool.counts().acked.load(Ordering::Acquire);
            while let Some((_, since)) = under_way.pop_front_if(|(through, _)| *through <= acked) {
                shared.acked.fetch_add(self.per_batch, Ordering::Relaxed);
                shared.latencies.lock().push(now.duration_since(since));
            }
            let look = under_way
                .front()
                .map(|(_, since)| now + LOOKS[usize::from(now.duration_since(*since) > LATE)]);
            tokio::time::sleep_until(look.map_or(self.due, |look| look.min(self.due))).await;
        }
    }

    /// Spools a batch; returns how many events there are now.
    fn batch(&mut self, first: u64) -> anyhow::Result<u64> {
        let mut builder = BatchBuilder::new(self.sensor, &["eth0".to_owned()]);
        let next = first + self.per_batch;
        for number in first..next {
            builder.push_owned(mixed(self.own + number % DEVICES, 1 << 24, clock::now()));
        }
        let (bytes, events) = builder.finish().context("an archive")?;
        // The answer comes with the turn of the desk.
        drop(self.spool.offer(Archive { lane: Lane::Bulk, bytes, events })?);
        Ok(next)
    }
}
