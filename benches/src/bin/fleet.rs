//! `fleet`: a thousand connected sensors, and a full spool that is drained beside them.
//!
//! Every sensor has a certificate and a connection of its own and is slow, as sensors are: a few
//! events at each linger. Then one more sensor sends a million events as fast as it is let.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use wardmesh_benches::client::{Batches, Enrolled, Session, enrol, socket};
use wardmesh_benches::cluster::{self, Cluster, NODES, option};
use wardmesh_benches::events::mixed;
use wardmesh_benches::latencies::Latencies;
use wardmesh_benches::report::{Report, Target};
use wardmesh_common::clock;

/// Events of a sensor a second.
const RATE: u64 = 10;

/// Between two batches of a sensor: what a sensor's bulk lane lingers.
const LINGER: Duration = Duration::from_millis(500);

/// Devices that each sensor sees.
const DEVICES: u64 = 20;

/// Sensors that connect at once: a fleet after a restart spreads by its back-off.
const CONNECTING: usize = 32;

/// How long one of them may take in all.
const CONNECT_PATIENCE: Duration = Duration::from_secs(30);

/// Batches of a spool under way: the window that a node grants.
const WINDOW: usize = 32;

/// Events in a batch of a spool: as many as fit.
const SPOOLED_BATCH: usize = 400;

/// A stream of which the first part is not counted in the growth of memory: buffers and tables that
/// every connection gets once.
const SETTLING: f64 = 0.3;

fn main() -> ExitCode {
    cluster::main(bench)
}

fn bench() -> anyhow::Result<()> {
    let count = usize::try_from(option("--sensors", 1_000)?)?;
    let minutes = option("--minutes", 0)?;
    let seconds = if minutes > 0 { minutes * 60 } else { option("--seconds", 15)? };
    let spooled = option("--spooled", 300_000)?;
    let cluster = Cluster::found()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let begun = Instant::now();
    let enrolled = enrol(&cluster.mesh, "ward", 1, count)?;
    let drainers = enrol(&cluster.mesh, "ward", 2, 2 * NODES)?;
    let mut report = Report::new("fleet");
    report.section(format!("{count} sensors, {RATE} events/s each"));
    report.figure("enrolling them", begun.elapsed().as_secs_f64(), "s");
    let fleet = Arc::new(Fleet::default());
    let begun = Instant::now();
    let sessions = runtime.block_on(connect(&cluster, enrolled))?;
    report.figure("connecting them", begun.elapsed().as_secs_f64(), "s");
    let live = runtime.spawn(live(Arc::clone(&fleet), sessions));
    steady(&mut report, &cluster, &fleet, seconds)?;
    let alone = drain(&runtime, &cluster, &drainers[..1], spooled, 3)?;
    // The limit of what several sensors together get into this cluster beside the fleet.
    report.section(format!("spools of {spooled} events beside them"));
    fleet.take();
    let limit = drain(&runtime, &cluster, &drainers, spooled / drainers.len() as u64, 4)?;
    let crowded = fleet.take();
    report.figure(format!("{} spools together", drainers.len()), limit, "events/s");
    latencies(&mut report, "live meanwhile", &crowded);
    let again = drain(&runtime, &cluster, &drainers[..1], spooled, 5)?;
    let beside = fleet.take();
    let best = alone.max(again);
    report.against("one spool", best, "events/s", (limit, "several together"));
    report.target("one spool, of several", 100.0 * best / limit, "%", Target::AtLeast(50.0));
    latencies(&mut report, "live meanwhile", &beside);
    fleet.stop.store(true, Ordering::Release);
    runtime.block_on(live)??;
    report.print()?;
    cluster.mesh.stop()
}

fn latencies(report: &mut Report, what: &str, all: &Latencies) {
    report.figure(format!("{what}: batches"), all.len() as f64, "batches");
    report.figure(format!("{what}: send to ack, p50"), all.millis(500), "ms");
    report.target(format!("{what}: send to ack, p99"), all.millis(990), "ms", Target::AtMost(1e3));
    report.figure(format!("{what}: send to ack, longest"), all.millis(1_000), "ms");
}

/// What all live sensors share.
#[derive(Default)]
struct Fleet {
    stop: AtomicBool,
    acked: AtomicU64,
    latencies: Mutex<Latencies>,
}

impl Fleet {
    /// The latencies since the last call.
    fn take(&self) -> Latencies {
        std::mem::take(&mut *self.latencies.lock())
    }
}

/// The fleet by itself: what the nodes need for it and whether that grows.
fn steady(
    report: &mut Report,
    cluster: &Cluster,
    fleet: &Fleet,
    seconds: u64,
) -> anyhow::Result<()> {
    let settling = Duration::from_secs_f64(SETTLING * seconds as f64);
    std::thread::sleep(settling);
    fleet.take();
    let (before, acked) = (cluster.usages(), fleet.acked.load(Ordering::Relaxed));
    let begun = Instant::now();
    std::thread::sleep(Duration::from_secs(seconds).saturating_sub(settling));
    let (after, span) = (cluster.usages(), begun.elapsed().as_secs_f64());
    let events = (fleet.acked.load(Ordering::Relaxed) - acked) as f64;
    report.figure("acknowledged", events / span, "events/s");
    latencies(report, "live", &fleet.take());
    let mib = f64::from(1 << 20);
    for (place, (before, after)) in before.iter().zip(&after).enumerate() {
        let node = format!("node {}", place + 1);
        let cpu = 100.0 * (after.cpu_seconds - before.cpu_seconds) / span;
        report.figure(format!("{node}: CPU"), cpu, "% of a core");
        let resident = after.resident_bytes as f64 / mib;
        report.target(format!("{node}: resident"), resident, "MiB", Target::AtMost(600.0));
        let growth = (after.resident_bytes as f64 - before.resident_bytes as f64) / mib;
        report.figure(format!("{node}: growth in {span:.0} s"), growth, "MiB");
    }
    Ok(())
}

async fn connect(
    cluster: &Cluster,
    enrolled: Vec<Enrolled>,
) -> anyhow::Result<Vec<(Enrolled, Session)>> {
    let endpoint = socket()?;
    let places = Arc::new(Semaphore::new(CONNECTING));
    let nodes = cluster.mesh.nodes();
    let dialling: Vec<_> = enrolled
        .into_iter()
        .enumerate()
        .map(|(number, one)| {
            let address = nodes[number % nodes.len()].ingest_address.clone();
            let (endpoint, places) = (endpoint.clone(), Arc::clone(&places));
            tokio::spawn(async move {
                let _place = places.acquire_owned().await?;
                let opening = Session::open(&endpoint, &one, &address, 1);
                let session = tokio::time::timeout(CONNECT_PATIENCE, opening).await;
                let session = session.with_context(|| format!("sensor {number} hangs"))??;
                anyhow::Ok((one, session))
            })
        })
        .collect();
    let mut sessions = Vec::with_capacity(dialling.len());
    for one in dialling {
        sessions.push(one.await??);
    }
    Ok(sessions)
}

/// Every sensor sends at its linger until the end.
async fn live(fleet: Arc<Fleet>, sessions: Vec<(Enrolled, Session)>) -> anyhow::Result<()> {
    let count = sessions.len();
    let started = tokio::time::Instant::now();
    let mut sensors = Vec::with_capacity(2 * count);
    for (number, (enrolled, session)) in sessions.into_iter().enumerate() {
        // Spread over the linger: clocks of sensors do not tick together.
        let first = started + LINGER.mul_f64(number as f64 / count as f64);
        let batches = Batches::new(enrolled.sensor, 1);
        let own = number as u64 * DEVICES;
        sensors.push(tokio::spawn(sense(Arc::clone(&fleet), session, batches, (own, first))));
    }
    for sensor in sensors {
        sensor.await??;
    }
    Ok(())
}

/// One sensor: its devices begin with the number `own`, its first batch goes out at `first`.
async fn sense(
    fleet: Arc<Fleet>,
    mut session: Session,
    mut batches: Batches,
    (own, first): (u64, tokio::time::Instant),
) -> anyhow::Result<()> {
    let per_batch = RATE * LINGER.as_millis() as u64 / 1_000;
    let (mut due, mut next) = (first, 0);
    while session.under_way() > 0 || !fleet.stop.load(Ordering::Acquire) {
        tokio::select! {
            () = tokio::time::sleep_until(due) => {
                due += LINGER;
                if fleet.stop.load(Ordering::Acquire) {
                    continue;
                }
                let numbers = next..next + per_batch;
                next = numbers.end;
                let event = |at: u64| mixed(own + at % DEVICES, 1 << 24, clock::now());
                session.send(batches.seal(numbers.map(event))?).await?;
            }
            receipt = session.receipt() => {
                if let Some(took) = session.act(receipt?).await? {
                    fleet.acked.fetch_add(per_batch, Ordering::Relaxed);
                    fleet.latencies.lock().push(took);
                }
            }
        }
    }
    session.close();
    Ok(())
}

/// Sensors with full spools send them as fast as they are let; events per second, all together.
fn drain(
    runtime: &tokio::runtime::Runtime,
    cluster: &Cluster,
    enrolled: &[Enrolled],
    each: u64,
    epoch: u64,
) -> anyhow::Result<f64> {
    let nodes = cluster.mesh.nodes();
    let mut spools = Vec::new();
    for (number, one) in enrolled.iter().enumerate() {
        let mut batches = Batches::new(one.sensor, epoch);
        let numbers: Vec<u64> = (0..each).collect();
        let frames: Vec<Bytes> = numbers
            .chunks(SPOOLED_BATCH)
            .map(|chunk| {
                let event = |at: &u64| mixed(*at, 2_000, clock::now());
                batches.seal(chunk.iter().map(event))
            })
            .collect::<anyhow::Result<_>>()?;
        spools.push((one.clone(), nodes[number % nodes.len()].ingest_address.clone(), frames));
    }
    let begun = Instant::now();
    let draining = spools.into_iter().map(|(one, address, frames)| {
        runtime.spawn(async move {
            let endpoint = socket()?;
            let session = Session::open(&endpoint, &one, &address, epoch).await?;
            pour(session, frames).await
        })
    });
    let draining: Vec<_> = draining.collect();
    runtime.block_on(async {
        for one in draining {
            one.await??;
        }
        anyhow::Ok(())
    })?;
    Ok(each as f64 * enrolled.len() as f64 / begun.elapsed().as_secs_f64())
}

async fn pour(mut session: Session, frames: Vec<Bytes>) -> anyhow::Result<()> {
    for frame in frames {
        if session.under_way() == WINDOW {
            session.settle().await?;
        }
        session.send(frame).await?;
    }
    while session.under_way() > 0 {
        session.settle().await?;
    }
    session.close();
    Ok(())
}
