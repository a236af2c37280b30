//! `latency`: how long a small batch waits for its acknowledgement at a low rate, and what the nodes
//! cost meanwhile and when nothing is sent. Nothing is joined by load here: each batch pays its own
//! syncs and round trips.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::Bytes;
use wardmesh_benches::client::{Batches, Enrolled, Session, enrol, socket};
use wardmesh_benches::cluster::{self, Cluster, NODES, option};
use wardmesh_benches::events::mixed;
use wardmesh_benches::latencies::Latencies;
use wardmesh_benches::report::{Report, Target};
use wardmesh_common::clock;
use wardmesh_common::id::SensorId;

/// Sensors at each node.
const SENSORS_PER_NODE: usize = 2;

/// Devices that they see.
const DEVICES: u64 = 500;

/// What is sent before anything is measured.
const WARM_UP: Duration = Duration::from_secs(2);

/// How long the idle nodes are looked at.
const IDLE: Duration = Duration::from_secs(5);

/// Appends that are timed for the disk's own figure.
const SYNCS: usize = 200;

fn main() -> ExitCode {
    cluster::main(bench)
}

/// What is sent.
#[derive(Clone, Copy)]
struct Load {
    /// Events a second, all sensors together.
    rate: u64,
    /// Events in a batch.
    batch: u64,
    /// How long is measured.
    seconds: u64,
}

fn bench() -> anyhow::Result<()> {
    let load = Load {
        rate: option("--rate", 1_000)?,
        batch: option("--batch", 10)?,
        seconds: option("--seconds", 15)?,
    };
    let cluster = Cluster::found()?;
    let enrolled = enrol(&cluster.mesh, "ward", 1, NODES * SENSORS_PER_NODE)?;
    let mut report = Report::new("latency");
    report.section("three idle nodes");
    idle(&mut report, &cluster)?;
    let Load { rate, batch, seconds } = load;
    report.section(format!("{rate} events/s in batches of {batch} for {seconds} s"));
    let acked = busy(&mut report, &cluster, &enrolled, load)?;
    report.section("the disk alone");
    let syncs = fdatasyncs(cluster.folder())?;
    report.figure("append of 4 KiB and fdatasync, p50", syncs.millis(500), "ms");
    report.figure("append of 4 KiB and fdatasync, p99", syncs.millis(990), "ms");
    cluster::verify(&cluster.mesh, &acked)?;
    // A run that is not verified ends the bench with an error.
    report.summary("verified", true);
    report.print()?;
    cluster.mesh.stop()
}

fn idle(report: &mut Report, cluster: &Cluster) -> anyhow::Result<()> {
    std::thread::sleep(WARM_UP);
    let leader = cluster.leader()?;
    let before = cluster.usages();
    std::thread::sleep(IDLE);
    for (place, (before, after)) in before.iter().zip(cluster.usages()).enumerate() {
        let name = name(place, leader);
        let cpu = 100.0 * (after.cpu_seconds - before.cpu_seconds) / IDLE.as_secs_f64();
        let resident = after.resident_bytes as f64 / f64::from(1 << 20);
        report.target(format!("{name}: resident"), resident, "MiB", Target::AtMost(64.0));
        report.figure(format!("{name}: CPU"), cpu, "% of a core");
    }
    Ok(())
}

fn name(place: usize, leader: usize) -> String {
    let role = if place == leader { "leader" } else { "follower" };
    format!("node {} ({role})", place + 1)
}

/// Sends; returns the events that were acknowledged, by sensor.
fn busy(
    report: &mut Report,
    cluster: &Cluster,
    enrolled: &[Enrolled],
    load: Load,
) -> anyhow::Result<Vec<(SensorId, u64)>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let warm_up = Load { seconds: WARM_UP.as_secs(), ..load };
    let warm = runtime.block_on(send_all(cluster, enrolled, warm_up, 1))?;
    let leader = cluster.leader()?;
    let before = cluster.usages();
    let begun = Instant::now();
    let by_sensor = runtime.block_on(send_all(cluster, enrolled, load, 2))?;
    let seconds = begun.elapsed().as_secs_f64();
    let after = cluster.usages();
    let (mut all, mut by_node) = (Latencies::default(), vec![Latencies::default(); NODES]);
    for (number, one) in by_sensor.iter().enumerate() {
        by_node[number % NODES].append(one.clone());
    }
    by_node.iter().for_each(|one| all.append(one.clone()));
    let events = all.len() as f64 * load.batch as f64;
    report.figure("acknowledged", events / seconds, "events/s");
    report.target("send to ack, p50", all.millis(500), "ms", Target::AtMost(3.0));
    report.target("send to ack, p99", all.millis(990), "ms", Target::AtMost(10.0));
    report.figure("send to ack, longest", all.millis(1_000), "ms");
    for (place, (before, after)) in before.iter().zip(&after).enumerate() {
        let name = name(place, leader);
        let cpu = 100.0 * (after.cpu_seconds - before.cpu_seconds) / seconds;
        report.figure(format!("{name}: send to ack, p50"), by_node[place].millis(500), "ms");
        report.figure(format!("{name}: send to ack, p99"), by_node[place].millis(990), "ms");
        report.target(format!("{name}: CPU"), cpu, "% of a core", Target::AtMost(15.0));
        let resident = after.resident_bytes as f64 / f64::from(1 << 20);
        report.figure(format!("{name}: resident"), resident, "MiB");
    }
    report.summary("p50_ms", all.millis(500));
    report.summary("p99_ms", all.millis(990));
    let batches = warm.iter().zip(&by_sensor).map(|(warm, one)| (warm.len() + one.len()) as u64);
    let sensors = enrolled.iter().map(|one| one.sensor);
    Ok(sensors.zip(batches.map(|batches| batches * load.batch)).collect())
}

/// Sends from every sensor at its own even pace; their latencies. They are at
/// the nodes in turn.
async fn send_all(
    cluster: &Cluster,
    enrolled: &[Enrolled],
    load: Load,
    epoch: u64,
) -> anyhow::Result<Vec<Latencies>> {
    let endpoint = socket()?;
    let pause =
        Duration::from_secs_f64((load.batch * enrolled.len() as u64) as f64 / load.rate as f64);
    let mut sensors = Vec::new();
    for (number, one) in enrolled.iter().enumerate() {
        let address = &cluster.mesh.nodes()[number % NODES].ingest_address;
        let session = Session::open(&endpoint, one, address, epoch).await?;
        let mut batches = Batches::new(one.sensor, epoch);
        let count = (load.seconds as f64 / pause.as_secs_f64()) as u64;
        let first = number as u64 * count * load.batch;
        let frames: Vec<Bytes> = (0..count)
            .map(|batch| first + batch * load.batch)
            .map(|at| {
                let numbers = at..at + load.batch;
                batches.seal(numbers.map(|number| mixed(number, DEVICES, clock::now())))
            })
            .collect::<anyhow::Result<_>>()?;
        let begin = pause.mul_f64(number as f64 / enrolled.len() as f64);
        sensors.push((session, frames, begin));
    }
    let started = tokio::time::Instant::now();
    let running: Vec<_> = sensors
        .into_iter()
        .map(|(session, frames, begin)| tokio::spawn(pace(session, frames, started + begin, pause)))
        .collect();
    let mut by_sensor = Vec::with_capacity(enrolled.len());
    for sensor in running {
        by_sensor.push(sensor.await??);
    }
    endpoint.wait_idle().await;
    Ok(by_sensor)
}

/// Sends a frame each `pause`, whatever became of those before.
async fn pace(
    mut session: Session,
    frames: Vec<Bytes>,
    first: tokio::time::Instant,
    pause: Duration,
) -> anyhow::Result<Latencies> {
    let (mut latencies, mut due, mut frames) = (Latencies::default(), first, frames.into_iter());
    let mut next = frames.next();
    while next.is_some() || session.under_way() > 0 {
        tokio::select! {
            () = tokio::time::sleep_until(due), if next.is_some() => {
                if let Some(frame) = next.take() {
                    session.send(frame).await?;
                }
                (next, due) = (frames.next(), due + pause);
            }
            receipt = session.receipt() => {
                session.act(receipt?).await?.into_iter().for_each(|took| latencies.push(took));
            }
        }
    }
    session.close();
    Ok(latencies)
}

/// What the disk itself takes: each acknowledgement waits for it on two nodes.
fn fdatasyncs(folder: &Path) -> anyhow::Result<Latencies> {
    let mut file =
        OpenOptions::new().create(true).append(true).open(folder.join("fdatasync-probe"))?;
    let mut latencies = Latencies::default();
    for _ in 0..SYNCS {
        let begun = Instant::now();
        file.write_all(&[7; 4_096])?;
        file.sync_data()?;
        latencies.push(begun.elapsed());
    }
    Ok(latencies)
}
