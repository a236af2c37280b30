//! `failover`: how long acknowledgements stop when the leader is killed, and when it is asked to go.
//!
//! The client is the product's own spool and uplink; it offers a small batch every few milliseconds
//! and is connected now to the leader, now to a follower, as chance has it.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;
use wardmesh_benches::client::{Enrolled, enrol};
use wardmesh_benches::cluster::{self, Cluster, option};
use wardmesh_benches::events::mixed;
use wardmesh_benches::latencies::Latencies;
use wardmesh_benches::report::{Report, Target};
use wardmesh_cli::local::CLUSTER;
use wardmesh_common::telemetry::{self, LogConfig};
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::v1::BatchBuilder;
use wardmesh_common::{clock, random};
use wardmesh_sensor::batch::Archive;
use wardmesh_sensor::spool::Spool;
use wardmesh_sensor::uplink::{Uplink, UplinkConfig};

/// Sensors that send: some are at the leader, some at a follower.
const SENSORS: usize = 3;

/// Between two batches of a sensor.
const PACE: Duration = Duration::from_millis(10);

/// How often the acknowledged events are looked at.
const LOOK: Duration = Duration::from_micros(500);

/// How long a gap may be before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long gaps are looked for after a blow; longer where acknowledgements have not come back.
const WINDOW: Duration = Duration::from_secs(4);

/// Acknowledgements come again where the last is not older than this.
const FLOWING: Duration = Duration::from_millis(100);

/// Between a node's return and the next blow: it catches up.
const REST: Duration = Duration::from_millis(1_500);

fn main() -> ExitCode {
    cluster::main(bench)
}

fn bench() -> anyhow::Result<()> {
    #[allow(clippy::disallowed_methods, reason = "a bench has no configuration")]
    if let Ok(filter) = std::env::var("WARDMESH_BENCH_LOG") {
        telemetry::init(&LogConfig { filter, ..LogConfig::default() })?;
    }
    let kills = option("--kills", 5)?;
    let hand_overs = option("--hand-overs", 4)?;
    let mut cluster = Cluster::found()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let enrolled = enrol(&cluster.mesh, "ward", 1, SENSORS)?;
    let mut sensors = Vec::new();
    for (number, one) in enrolled.iter().enumerate() {
        sensors.push(runtime.block_on(async { Sensor::start(&cluster, one, number) })?);
    }
    let mut report = Report::new("failover");
    report.section(format!("kill -9 of the leader, {kills} times, {SENSORS} sensors"));
    let mut gaps = Gaps::default();
    for _ in 0..kills {
        gaps.take(blow(&mut cluster, &sensors, false)?);
    }
    if kills > 0 {
        gaps.report(&mut report, "kill", Target::AtMost(2_500.0));
    }
    report.section(format!("SIGTERM to the leader, {hand_overs} times"));
    let mut gaps = Gaps::default();
    for _ in 0..hand_overs {
        gaps.take(blow(&mut cluster, &sensors, true)?);
    }
    if hand_overs > 0 {
        gaps.report(&mut report, "SIGTERM", Target::AtMost(250.0));
    }
    report.print()?;
    let stops: Vec<_> = sensors.into_iter().map(Sensor::stop).collect();
    runtime.block_on(futures::future::join_all(stops));
    cluster.mesh.stop()
}

/// The gaps of all blows.
#[derive(Default)]
struct Gaps {
    /// Until any sensor's next acknowledgement.
    first: Latencies,
    /// Of each sensor for itself.
    each: Latencies,
    /// Of the sensor that waits longest.
    last: Latencies,
}

impl Gaps {
    fn take(&mut self, gaps: Vec<Duration>) {
        gaps.iter().min().into_iter().for_each(|gap| self.first.push(*gap));
        gaps.iter().max().into_iter().for_each(|gap| self.last.push(*gap));
        gaps.into_iter().for_each(|gap| self.each.push(gap));
    }

    fn report(&self, report: &mut Report, blow: &str, target: Target) {
        report.figure(
            format!("{blow} to the first ack of any sensor, p50"),
            self.first.millis(500),
            "ms",
        );
        report.figure(
            format!("{blow} to each sensor's next ack, p50"),
            self.each.millis(500),
            "ms",
        );
        report.target(
            format!("{blow} to each sensor's next ack, p99"),
            self.each.millis(990),
            "ms",
            target,
        );
        report.figure(
            format!("{blow} to each sensor's next ack, longest"),
            self.each.millis(1_000),
            "ms",
        );
        report.figure(
            "until all sensors are acknowledged, p50".to_owned(),
            self.last.millis(500),
            "ms",
        );
    }
}

/// Strikes the leader, waits until every sensor is acknowledged again, and brings the node back.
///
/// A sensor's gap is the longest time between two of its acknowledgements since then.
fn blow(cluster: &mut Cluster, sensors: &[Sensor], gently: bool) -> anyhow::Result<Vec<Duration>> {
    let leader = cluster.leader()?;
    sensors.iter().for_each(|sensor| sensor.watch());
    let struck = Instant::now();
    if gently {
        let pid = cluster.mesh.nodes()[leader].child().context("the leader has ended")?.id();
        let pid = Pid::from_raw(pid.cast_signed()).context("a process id")?;
        kill_process(pid, Signal::TERM)?;
    } else {
        cluster.mesh.kill_node(leader)?;
    }
    let gaps = sensors.iter().map(|sensor| sensor.gap(struck)).collect::<anyhow::Result<_>>()?;
    if gently {
        // It has ended by itself: what is left is to take note of it.
        cluster.mesh.kill_node(leader)?;
    }
    cluster.mesh.start_node(leader)?;
    cluster.mesh.await_alive(leader)?;
    std::thread::sleep(REST);
    Ok(gaps)
}

/// A spool and its uplink, and a thread that fills it.
struct Sensor {
    seen: Arc<Mutex<Seen>>,
    ended: Arc<AtomicBool>,
    stop: watch::Sender<bool>,
    uplink: tokio::task::JoinHandle<()>,
}

/// When acknowledgements came, since they are watched.
#[derive(Clone, Copy)]
struct Seen {
    last: Instant,
    /// The longest time between two.
    longest: Duration,
}

impl Sensor {
    fn start(cluster: &Cluster, enrolled: &Enrolled, number: usize) -> anyhow::Result<Self> {
        let folder = cluster.folder().join(format!("spool-{number}"));
        let (spool, _) = Spool::open(&folder, 1 << 30, random::u64(), None)?;
        let nodes = cluster.mesh.nodes();
        let mut addresses: Vec<_> = nodes.iter().map(|node| node.ingest_address.clone()).collect();
        addresses.rotate_left(number % nodes.len());
        let config = UplinkConfig { addresses, ..UplinkConfig::default() };
        let uplink = Uplink::new(
            config,
            CLUSTER.to_owned(),
            enrolled.sensor,
            enrolled.identity.clone(),
            spool.clone(),
        );
        let (stop, stopping) = watch::channel(false);
        let uplink = tokio::spawn(uplink.run(stopping));
        let now = Instant::now();
        let seen = Arc::new(Mutex::new(Seen { last: now, longest: Duration::ZERO }));
        let ended = Arc::new(AtomicBool::new(false));
        let (of, end, id) = (spool.clone(), Arc::clone(&ended), enrolled.sensor);
        std::thread::Builder::new().name("offers".to_owned()).spawn(move || {
            let mut count = 0;
            while !end.load(Ordering::Acquire) {
                let mut builder = BatchBuilder::new(id, &["eth0".to_owned()]);
                builder.push_owned(mixed(count, 100, clock::now()));
                let Ok((bytes, events)) = builder.finish() else { return };
                if of.offer(Archive { lane: Lane::Bulk, bytes, events }).is_err() {
                    return;
                }
                count += 1;
                std::thread::sleep(PACE);
            }
        })?;
        let (of, end) = (Arc::clone(&seen), Arc::clone(&ended));
        std::thread::Builder::new().name("acks".to_owned()).spawn(move || {
            let mut acked = 0;
            while !end.load(Ordering::Acquire) {
                let now = spool.counts().acked.load(Ordering::Acquire);
                if now > acked {
                    acked = now;
                    of.lock().acked(Instant::now());
                }
                std::thread::sleep(LOOK);
            }
        })?;
        let sensor = Self { seen, ended, stop, uplink };
        Ok(sensor)
    }

    /// From now on gaps count.
    fn watch(&self) {
        self.seen.lock().longest = Duration::ZERO;
    }

    /// The longest gap since the blow, once acknowledgements have come for a while again.
    fn gap(&self, struck: Instant) -> anyhow::Result<Duration> {
        loop {
            let Seen { last, longest } = *self.seen.lock();
            if struck.elapsed() >= WINDOW && last.elapsed() < FLOWING {
                return Ok(longest);
            }
            anyhow::ensure!(struck.elapsed() < PATIENCE, "no acknowledgement for a minute");
            std::thread::sleep(LOOK);
        }
    }

    async fn stop(self) {
        self.ended.store(true, Ordering::Release);
        let _ = self.stop.send(true);
        let _ = self.uplink.await;
    }
}

impl Seen {
    fn acked(&mut self, now: Instant) {
        let gap = now.duration_since(self.last);
        self.longest = self.longest.max(gap);
        self.last = now;
    }
}
