//! `demo_path`: a whole mesh on loopback, from captures at three sensors to the state of three nodes,
//! against the sensor's stages alone. The same executable is node and sensor too.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::Context;
use wardmesh_benches::cluster::{self, NODES};
use wardmesh_benches::process::{Usage, folder_bytes};
use wardmesh_benches::report::Report;
use wardmesh_benches::{captures, events};
use wardmesh_cli::local::{Child, Mesh, Plan, SensorFiles};
use wardmesh_common::clock;
use wardmesh_common::id::SensorId;
use wardmesh_common::time::Timestamp;
use wardmesh_sensor::config::Speed;
use wardmesh_sensor::feed::{Feed, Lost};
use wardmesh_sensor::flow::HashKey;
use wardmesh_sensor::spool::Spool;

/// Each site's hospital: some 200,000 events.
const DEVICES: u32 = 1_000;
const MINUTES: u32 = 20;
const SITES: [&str; 3] = ["a", "b", "c"];

/// How often the processes are looked at: their last breath must not be missed.
const POLL: Duration = Duration::from_millis(5);

/// A mesh that has not taken everything by then hangs.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    cluster::main(bench)
}

fn bench() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut files = Vec::new();
    for site in SITES {
        let path = folder.path().join(format!("{site}.pcap"));
        captures::generate(&path, site, DEVICES, MINUTES)?;
        files.push(path);
    }
    let mut report = Report::new("demo_path");
    report.section(format!("one sensor alone: {DEVICES} devices, {MINUTES} minutes"));
    let alone = alone(&mut report, folder.path(), &files[0])?;
    report.section(format!("{NODES} nodes and {} sensors on this machine", SITES.len()));
    let mesh_folder = folder.path().join("mesh");
    std::fs::create_dir(&mesh_folder)?;
    whole(&mut report, &mesh_folder, &files, alone)?;
    Ok(report.print()?)
}

/// The stages before the network; events per second into the spool.
fn alone(report: &mut Report, folder: &Path, capture: &Path) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let count = events::count_of_capture(capture)? as f64;
    let piped = (count / begun.elapsed().as_secs_f64(), "pipeline");
    let (spool, _) = Spool::open(&folder.join("spool"), 1 << 30, 1, None)?;
    let stop = Arc::new(AtomicBool::new(false));
    let begun = Instant::now();
    let fed = Feed::new(SensorId([1; 16]), spool, Speed::Max, Lost::default(), stop)
        .run(&[capture.to_owned()], HashKey([7; 16]))?;
    let spooled = fed.events as f64 / begun.elapsed().as_secs_f64();
    report.figure("events", count, "events");
    report.figure("pipeline", piped.0, "events/s");
    report.against("pipeline and synced spool", spooled, "events/s", piped);
    Ok(spooled)
}

fn whole(
    report: &mut Report,
    folder: &Path,
    captures: &[PathBuf],
    alone: f64,
) -> anyhow::Result<()> {
    let program = std::env::current_exe()?;
    let plan = Plan { folder: folder.to_owned(), program, nodes: NODES, log: "warn".to_owned() };
    let mut mesh = Mesh::prepare(plan)?;
    mesh.found()?;
    let mut sensors = Vec::new();
    for (site, capture) in SITES.iter().zip(captures) {
        mesh.add_site(site, site)?;
        let name = format!("sensor-{site}");
        sensors.push((mesh.add_sensor(&name, site, std::slice::from_ref(capture))?, capture));
    }
    let before = node_usages(&mesh);
    let run = replay(&mesh, &sensors)?;
    let after = node_usages(&mesh);
    let rate = run.emitted as f64 / run.seconds;
    report.figure("events", run.emitted as f64, "events");
    report.figure("first emit to last ack", run.seconds, "s");
    report.against("emit to ack", rate, "events/s", (alone, "one sensor's spool"));
    for (site, usage) in SITES.iter().zip(&run.usages) {
        report.figure(format!("sensor {site}: CPU"), usage.cpu_seconds, "s");
        report.figure(format!("sensor {site}: peak memory"), usage.peak_bytes as f64 / 1e6, "MB");
    }
    for (node, (before, after)) in mesh.nodes().iter().zip(before.iter().zip(&after)) {
        let (id, cpu) = (node.id, after.cpu_seconds - before.cpu_seconds);
        let written = (after.written_bytes - before.written_bytes) as f64;
        report.figure(format!("node {id}: CPU"), cpu, "s");
        report.figure(format!("node {id}: peak memory"), after.peak_bytes as f64 / 1e6, "MB");
        report.figure(format!("node {id}: written"), written / run.emitted as f64, "bytes/event");
        report.figure(format!("node {id}: on disk"), folder_bytes(&node.data) as f64 / 1e6, "MB");
    }
    cluster::verify(&mesh, &run.acked)?;
    report.summary("events_per_s", rate.round());
    // A run that is not verified ends the bench with an error.
    report.summary("verified", true);
    mesh.stop()
}

/// What the sensors came to.
struct Run {
    emitted: u64,
    /// What was acknowledged, by sensor.
    acked: Vec<(SensorId, u64)>,
    seconds: f64,
    usages: Vec<Usage>,
}

fn replay(mesh: &Mesh, sensors: &[(SensorFiles, &PathBuf)]) -> anyhow::Result<Run> {
    let mut children = Vec::new();
    for (files, capture) in sensors {
        let arguments =
            ["replay".into(), "--speed".into(), "max".into(), capture.as_os_str().to_owned()];
        children.push(mesh.start_sensor(files, &arguments)?);
    }
    let mut usages = vec![Usage::default(); children.len()];
    let started = Instant::now();
    let mut first = None;
    while watch(&mut children, &mut usages)? {
        if first.is_none() && sensors.iter().any(|(files, _)| ledger(files).0 > 0) {
            first = Some(clock::now());
        }
        anyhow::ensure!(started.elapsed() < PATIENCE, "the sensors do not drain in time");
        std::thread::sleep(POLL);
    }
    let mut acked = Vec::new();
    for (child, (files, _)) in children.into_iter().zip(sensors) {
        let summary: serde_json::Value = serde_json::from_str(&child.finish()?)?;
        let count = |key: &str| summary[key].as_u64().context("the sensor's summary");
        let (of, told) = (count("events_emitted")?, count("events_acked")?);
        anyhow::ensure!(of == told, "{told} of {of} events were acknowledged");
        acked.push((files.sensor, of));
    }
    // The last line of a ledger is the last acknowledgement.
    let last = sensors.iter().filter_map(|(files, _)| ledger(files).1).max();
    let (first, last) = first.zip(last).context("nothing was emitted")?;
    let emitted = acked.iter().map(|(_, events)| events).sum();
    Ok(Run { emitted, acked, seconds: last.since(first).as_secs_f64(), usages })
}

/// Notes what the sensors use; whether one still runs.
fn watch(children: &mut [Child], usages: &mut [Usage]) -> anyhow::Result<bool> {
    let mut any = false;
    for (child, usage) in children.iter_mut().zip(usages) {
        if let Some(now) = Usage::of(child.id()) {
            *usage = now;
        }
        any |= child.is_running()?;
    }
    Ok(any)
}

/// A ledger's length, and when it was last written.
fn ledger(files: &SensorFiles) -> (u64, Option<Timestamp>) {
    let metadata = std::fs::metadata(&files.ledger).ok();
    let length = metadata.as_ref().map_or(0, std::fs::Metadata::len);
    let written = metadata.and_then(|metadata| metadata.modified().ok());
    let since_epoch = written.and_then(|written| written.duration_since(UNIX_EPOCH).ok());
    (length, since_epoch.map(|since| Timestamp::EPOCH.plus(since)))
}

fn node_usages(mesh: &Mesh) -> Vec<Usage> {
    let of = |child: Option<&Child>| child.and_then(|child| Usage::of(child.id()));
    mesh.nodes().iter().map(|node| of(node.child()).unwrap_or_default()).collect()
}
