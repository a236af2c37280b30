//! `drain`: a sensor that was cut off for long sends its full spool while others go on: how fast it
//! gets rid of it, beside what the cluster takes at most, and what the others notice.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use wardmesh_benches::client::enrol;
use wardmesh_benches::cluster::{self, Cluster, option};
use wardmesh_benches::ingest::load::{Driver, Pace, Protocol, drive};
use wardmesh_benches::ingest::options::Options;
use wardmesh_benches::ingest::workload::Archives;
use wardmesh_benches::live::Live;
use wardmesh_benches::report::{Report, Target};
use wardmesh_benches::spooled::Spooled;
use wardmesh_common::id::SensorId;

/// Events of a live sensor a second.
const RATE: u64 = 10;

/// A spool from which nothing is taken for so long is stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(1);

fn main() -> ExitCode {
    cluster::main(bench)
}

fn bench() -> anyhow::Result<()> {
    let spooled = option("--spooled", 1_000_000)?;
    let count = usize::try_from(option("--sensors", 30)?)?;
    let cluster = Cluster::found()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let live = Live::start(&runtime, &cluster, enrol(&cluster.mesh, "ward", 1, count)?, RATE)?;
    let mut report = Report::new("drain");
    let (limit, mut acked) = ingest(&mut report, &cluster, &runtime, &live, spooled)?;
    acked.push(drain(&mut report, &cluster, &runtime, &live, (spooled, limit))?);
    acked.extend(runtime.block_on(live.stop())?);
    cluster::verify(&cluster.mesh, &acked)?;
    // A run that is not verified ends the bench with an error.
    report.summary("verified", true);
    report.print()?;
    cluster.mesh.stop()
}

/// What several sensors get in from memory, as in `ingest`: the limit; and what each was acknowledged.
fn ingest(
    report: &mut Report,
    cluster: &Cluster,
    runtime: &tokio::runtime::Runtime,
    live: &Live,
    events: u64,
) -> anyhow::Result<(f64, Vec<(SensorId, u64)>)> {
    let options = Options { events, ..Options::default() };
    let address = cluster.mesh.nodes()[cluster.leader()?].ingest_address.parse()?;
    let mut drivers = Vec::new();
    for (place, one) in (0..).zip(enrol(&cluster.mesh, "ward", 2, options.sensors)?) {
        let prepared = Archives::build(one.sensor, place, &options)?.seal(true)?;
        drivers.push(Driver { prepared, identity: one.identity, address });
    }
    let pace = Pace { window: options.window, every: Duration::ZERO };
    drop(live.take());
    let driven = runtime.block_on(drive(drivers, Protocol::Product, pace))?;
    let count = live.acked_by_sensor().len();
    let title = format!("{} sensors send from memory, {count} go on beside them", options.sensors);
    report.section(title);
    report.figure("acknowledged", driven.rate(), "events/s");
    beside(report, live);
    Ok((driven.rate(), driven.acked))
}

/// Fills a spool on the disk and lets its uplink drain it.
fn drain(
    report: &mut Report,
    cluster: &Cluster,
    runtime: &tokio::runtime::Runtime,
    live: &Live,
    (events, limit): (u64, f64),
) -> anyhow::Result<(SensorId, u64)> {
    let one = enrol(&cluster.mesh, "ward", 3, 1)?.pop().context("a sensor")?;
    let mut spooled = Spooled::open(&cluster.folder().join("spool"), one.sensor)?;
    let begun = Instant::now();
    spooled.fill(events)?;
    report.section(format!("one sensor drains its spool of {events} events"));
    report.figure("filling it", events as f64 / begun.elapsed().as_secs_f64(), "events/s");
    let addresses = cluster.ingest_addresses(cluster.leader()?);
    drop(live.take());
    let begun = Instant::now();
    runtime.block_on(async { spooled.connect(&one, addresses) });
    let (mut acked, mut since) = (0, begun);
    while acked < events {
        let now = spooled.acked();
        if now > acked {
            (acked, since) = (now, Instant::now());
        }
        anyhow::ensure!(since.elapsed() < PATIENCE, "{acked} events were taken, and no more");
        std::thread::sleep(LOOK);
    }
    let rate = events as f64 / begun.elapsed().as_secs_f64();
    report.against("draining it", rate, "events/s", (limit, "sensors from memory"));
    let part = if limit > 0.0 { 100.0 * rate / limit } else { 0.0 };
    report.target("draining it, of the sensors from memory", part, "%", Target::AtLeast(50.0));
    report.summary("drained_per_s", rate.round());
    report.summary("ingest_per_s", limit.round());
    let p99 = beside(report, live);
    report.summary("live_p99_ms", p99);
    Ok(runtime.block_on(spooled.stop()))
}

/// What the others noticed; their 99th percentile, milliseconds.
fn beside(report: &mut Report, live: &Live) -> f64 {
    let all = live.take();
    report.figure("the others, spooled to ack, p50", all.millis(500), "ms");
    let p99 = all.millis(990);
    report.target("the others, spooled to ack, p99", p99, "ms", Target::AtMost(1e3));
    report.figure("the others, spooled to ack, longest", all.millis(1_000), "ms");
    p99
}
