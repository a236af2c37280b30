//! `fleet`: a thousand connected sensors: what the nodes need for them, whether that grows, and how
//! long it takes until all are served again after the leader was killed.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use wardmesh_benches::client::enrol;
use wardmesh_benches::cluster::{self, Cluster, option};
use wardmesh_benches::latencies::Latencies;
use wardmesh_benches::live::Live;
use wardmesh_benches::report::{Report, Target};

/// Events of a sensor a second.
const RATE: u64 = 10;

/// A fleet that has not come online by then does not converge.
const PATIENCE: Duration = Duration::from_secs(300);

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// A stream of which the first part is not counted in the growth of memory: buffers and tables that
/// every connection gets once.
const SETTLING: f64 = 0.3;

/// Bytes of a MiB.
const MIB: f64 = 1_048_576.0;

fn main() -> ExitCode {
    cluster::main(bench)
}

fn bench() -> anyhow::Result<()> {
    let count = usize::try_from(option("--sensors", 1_000)?)?;
    let minutes = option("--minutes", 0)?;
    let seconds = if minutes > 0 { minutes * 60 } else { option("--seconds", 15)? };
    let kills = option("--kills", 1)?;
    let mut cluster = Cluster::found()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let begun = Instant::now();
    let enrolled = enrol(&cluster.mesh, "ward", 1, count)?;
    let mut report = Report::new("fleet");
    report.section(format!("{count} sensors, {RATE} events/s each"));
    report.figure("enrolling them", begun.elapsed().as_secs_f64(), "s");
    let begun = Instant::now();
    let live = Live::start(&runtime, &cluster, enrolled, RATE)?;
    until(&live, || live.online() == count)?;
    report.figure("until all are online", begun.elapsed().as_secs_f64(), "s");
    report.figure("attempts that failed", live.failures() as f64, "attempts");
    steady(&mut report, &cluster, &live, seconds)?;
    for kill in 1..=kills {
        report.section(format!("the leader is killed, {kill} of {kills}"));
        storm(&mut report, &mut cluster, &live)?;
    }
    let acked = runtime.block_on(live.stop())?;
    cluster::verify(&cluster.mesh, &acked)?;
    report.summary("sensors", count);
    // A run that is not verified ends the bench with an error.
    report.summary("verified", true);
    report.print()?;
    cluster.mesh.stop()
}

fn until(live: &Live, mut done: impl FnMut() -> bool) -> anyhow::Result<()> {
    let begun = Instant::now();
    while !done() {
        let online = live.online();
        anyhow::ensure!(begun.elapsed() < PATIENCE, "{online} sensors are online, and no more");
        std::thread::sleep(LOOK);
    }
    Ok(())
}

fn latencies(report: &mut Report, all: &Latencies) {
    report.figure("batches", all.len() as f64, "batches");
    report.figure("spooled to ack, p50", all.millis(500), "ms");
    report.target("spooled to ack, p99", all.millis(990), "ms", Target::AtMost(1e3));
    report.figure("spooled to ack, longest", all.millis(1_000), "ms");
}

/// The fleet by itself: what the nodes need for it and whether that grows.
fn steady(report: &mut Report, cluster: &Cluster, live: &Live, seconds: u64) -> anyhow::Result<()> {
    let settling = Duration::from_secs_f64(SETTLING * seconds as f64);
    std::thread::sleep(settling);
    drop(live.take());
    let (before, acked) = (cluster.usages(), live.acked());
    let begun = Instant::now();
    std::thread::sleep(Duration::from_secs(seconds).saturating_sub(settling));
    let (after, span) = (cluster.usages(), begun.elapsed().as_secs_f64());
    let (mut most, mut growth) = (0.0_f64, 0.0_f64);
    report.figure("acknowledged", (live.acked() - acked) as f64 / span, "events/s");
    latencies(report, &live.take());
    for (place, (before, after)) in before.iter().zip(&after).enumerate() {
        let node = format!("node {}", place + 1);
        let cpu = 100.0 * (after.cpu_seconds - before.cpu_seconds) / span;
        report.figure(format!("{node}: CPU"), cpu, "% of a core");
        let resident = after.resident_bytes as f64 / MIB;
        report.target(format!("{node}: resident"), resident, "MiB", Target::AtMost(600.0));
        let grown = resident - before.resident_bytes as f64 / MIB;
        report.figure(format!("{node}: growth in {span:.0} s"), grown, "MiB");
        (most, growth) = (most.max(resident), growth.max(grown));
    }
    report.summary("resident_mib", most);
    report.summary("growth_mib", growth);
    Ok(())
}

/// Kills the leader and waits until every sensor was acknowledged something since.
fn storm(report: &mut Report, cluster: &mut Cluster, live: &Live) -> anyhow::Result<()> {
    let leader = cluster.leader()?;
    drop(live.take());
    let failures = live.failures();
    let before = live.acked_by_sensor();
    cluster.mesh.kill_node(leader)?;
    let begun = Instant::now();
    let mut gaps: Vec<Option<Duration>> = vec![None; before.len()];
    until(live, || {
        let now = live.acked_by_sensor();
        for ((gap, before), now) in gaps.iter_mut().zip(&before).zip(now) {
            if gap.is_none() && now > *before {
                *gap = Some(begun.elapsed());
            }
        }
        gaps.iter().all(Option::is_some)
    })?;
    let mut all = Latencies::default();
    gaps.into_iter().flatten().for_each(|gap| all.push(gap));
    report.figure("kill to a sensor's next ack, p50", all.millis(500), "ms");
    report.figure("kill to a sensor's next ack, p99", all.millis(990), "ms");
    report.figure("kill to a sensor's next ack, longest", all.millis(1_000), "ms");
    report.figure("attempts that failed", (live.failures() - failures) as f64, "attempts");
    report.summary("storm_longest_ms", all.millis(1_000));
    cluster.mesh.start_node(leader)?;
    cluster.mesh.await_alive(leader)
}
