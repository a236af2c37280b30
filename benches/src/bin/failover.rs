//! `failover`: how long acknowledgements stop when the leader is killed, when it is asked to hand over,
//! and when it is asked to end.
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
use wardmesh_benches::client::{Enrolled, enrol};
use wardmesh_benches::cluster::{self, Cluster, option};
use wardmesh_benches::events::mixed;
use wardmesh_benches::latencies::Latencies;
use wardmesh_benches::report::{Report, Target};
use wardmesh_benches::spooled::Spooled;
use wardmesh_common::clock;
use wardmesh_common::id::SensorId;
use wardmesh_common::telemetry::{self, LogConfig};
use wardmesh_common::wire::v1::BatchBuilder;

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
    let blows = [
        (Blow::Kill, option("--kills", 5)?),
        (Blow::Transfer, option("--transfers", 4)?),
        (Blow::Terminate, option("--hand-overs", 4)?),
    ];
    let mut cluster = Cluster::found()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let enrolled = enrol(&cluster.mesh, "ward", 1, SENSORS)?;
    let mut sensors = Vec::new();
    for (number, one) in enrolled.iter().enumerate() {
        sensors.push(runtime.block_on(async { Sensor::start(&cluster, one, number) })?);
    }
    let mut report = Report::new("failover");
    for (blow, times) in blows.into_iter().filter(|(_, times)| *times > 0) {
        report.section(format!("{}, {times} times, {SENSORS} sensors", blow.title()));
        let mut gaps = Gaps::default();
        for _ in 0..times {
            gaps.take(strike(&mut cluster, &sensors, blow)?);
        }
        gaps.report(&mut report, blow);
    }
    let stops: Vec<_> = sensors.into_iter().map(Sensor::stop).collect();
    let acked = runtime.block_on(futures::future::try_join_all(stops))?;
    cluster::verify(&cluster.mesh, &acked)?;
    // A run that is not verified ends the bench with an error.
    report.summary("verified", true);
    report.print()?;
    cluster.mesh.stop()
}

/// What is done to the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blow {
    /// kill -9.
    Kill,
    /// It is asked to let another node lead, and goes on as a follower.
    Transfer,
    /// SIGTERM: it hands over and ends.
    Terminate,
}

impl Blow {
    const fn title(self) -> &'static str {
        match self {
            Self::Kill => "kill -9 of the leader",
            Self::Transfer => "the leader is asked to hand over (POST /cluster/transfer-leader)",
            Self::Terminate => "SIGTERM to the leader",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Transfer => "hand-over",
            Self::Terminate => "SIGTERM",
        }
    }

    /// Milliseconds after which acknowledgements have to have come back.
    const fn target(self) -> f64 {
        match self {
            Self::Kill => 2_500.0,
            Self::Transfer | Self::Terminate => 250.0,
        }
    }

    /// Keys of the line of JSON: a sensor's median, 99th percentile and longest gap.
    const fn keys(self) -> [&'static str; 3] {
        match self {
            Self::Kill => ["kill_p50_ms", "kill_p99_ms", "kill_max_ms"],
            Self::Transfer => ["transfer_p50_ms", "transfer_p99_ms", "transfer_max_ms"],
            Self::Terminate => ["sigterm_p50_ms", "sigterm_p99_ms", "sigterm_max_ms"],
        }
    }
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

    fn report(&self, report: &mut Report, blow: Blow) {
        let (what, target) = (blow.name(), Target::AtMost(blow.target()));
        let [p50, p99, longest] = [500, 990, 1_000].map(|part| self.each.millis(part));
        let first = self.first.millis(500);
        report.figure(format!("{what} to the first ack of any sensor, p50"), first, "ms");
        report.figure(format!("{what} to each sensor's next ack, p50"), p50, "ms");
        report.target(format!("{what} to each sensor's next ack, p99"), p99, "ms", target);
        report.figure(format!("{what} to each sensor's next ack, longest"), longest, "ms");
        report.figure("until all sensors are acknowledged, p50", self.last.millis(500), "ms");
        for (key, value) in blow.keys().into_iter().zip([p50, p99, longest]) {
            report.summary(key, value);
        }
    }
}

/// Strikes the leader, waits until every sensor is acknowledged again, and brings a node that has ended
/// back.
///
/// A sensor's gap is the longest time between two of its acknowledgements since then.
fn strike(cluster: &mut Cluster, sensors: &[Sensor], blow: Blow) -> anyhow::Result<Vec<Duration>> {
    let leader = cluster.leader()?;
    sensors.iter().for_each(Sensor::watch);
    let struck = Instant::now();
    match blow {
        Blow::Kill => cluster.mesh.kill_node(leader)?,
        Blow::Transfer => {
            let client = cluster.mesh.nodes()[leader].client();
            let next = client.post("/api/v1/cluster/transfer-leader", &serde_json::json!({}))?;
            let old = cluster.mesh.nodes()[leader].id;
            anyhow::ensure!(next["id"].as_u64().is_some_and(|id| id != old), "{old} leads: {next}");
        }
        Blow::Terminate => {
            let pid = cluster.mesh.nodes()[leader].child().context("the leader has ended")?.id();
            let pid = Pid::from_raw(pid.cast_signed()).context("a process id")?;
            kill_process(pid, Signal::TERM)?;
        }
    }
    let gaps = sensors.iter().map(|sensor| sensor.gap(struck)).collect::<anyhow::Result<_>>()?;
    if blow == Blow::Transfer {
        return Ok(gaps);
    }
    if blow == Blow::Terminate {
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
    offering: std::thread::JoinHandle<anyhow::Result<u64>>,
    spooled: Arc<Spooled>,
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
        let mut spooled = Spooled::open(&folder, enrolled.sensor)?;
        spooled.connect(enrolled, cluster.ingest_addresses(number));
        let spooled = Arc::new(spooled);
        let now = Instant::now();
        let seen = Arc::new(Mutex::new(Seen { last: now, longest: Duration::ZERO }));
        let ended = Arc::new(AtomicBool::new(false));
        let (of, end, id) = (Arc::clone(&spooled), Arc::clone(&ended), enrolled.sensor);
        let offers = std::thread::Builder::new().name("offers".to_owned());
        let offering = offers.spawn(move || {
            let mut count = 0;
            while !end.load(Ordering::Acquire) {
                let mut builder = BatchBuilder::new(id, &["eth0".to_owned()]);
                builder.push_owned(mixed(count, 100, clock::now()));
                drop(of.offer(builder)?);
                count += 1;
                std::thread::sleep(PACE);
            }
            Ok(count)
        })?;
        let (of, to, end) = (Arc::clone(&spooled), Arc::clone(&seen), Arc::clone(&ended));
        std::thread::Builder::new().name("acks".to_owned()).spawn(move || {
            let mut acked = 0;
            while !end.load(Ordering::Acquire) {
                let now = of.acked();
                if now > acked {
                    acked = now;
                    to.lock().acked(Instant::now());
                }
                std::thread::sleep(LOOK);
            }
        })?;
        Ok(Self { seen, ended, offering, spooled })
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

    /// Lets it send what it has; returns what was acknowledged, which is all that it spooled.
    async fn stop(self) -> anyhow::Result<(SensorId, u64)> {
        self.ended.store(true, Ordering::Release);
        let offered = self.offering.join();
        let offered = offered.map_err(|_| anyhow::anyhow!("the thread that offers failed"))??;
        let begun = Instant::now();
        while self.spooled.acked() < offered {
            anyhow::ensure!(begun.elapsed() < PATIENCE, "{offered} batches are not taken");
            tokio::time::sleep(PACE).await;
        }
        Ok((self.spooled.sensor(), offered))
    }
}

impl Seen {
    fn acked(&mut self, now: Instant) {
        let gap = now.duration_since(self.last);
        self.longest = self.longest.max(gap);
        self.last = now;
    }
}
