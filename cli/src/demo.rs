//! `wardmesh demo`: a small hospital group on this machine, from captures to an agreed inventory.
//!
//! Real nodes, real sensors, real certificates; only the hospital is made up. Nothing is left behind
//! without `--keep`, however it ends.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::Value;
use wardmesh_common::{clock, shutdown, telemetry};

use crate::access::note;
use crate::failure::Failure;
use crate::local::{Child, Mesh, Plan};
use crate::simulate;

mod report;

use report::Report;

/// The facilities: the name in URLs, the name for people, the generator's site.
const SITES: [(&str, &str, &str); 3] = [
    ("st-adalbert", "St Adalbert General", "a"),
    ("birch-lane", "Birch Lane Clinic", "b"),
    ("harbour", "Harbour Children's Hospital", "c"),
];

/// Aggregator nodes.
const NODES: usize = 3;

/// The generator's seed: the same hospital for everybody.
const SEED: u64 = 1;

/// How long the inventory may take to be complete.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often progress is looked at.
const POLL: Duration = Duration::from_millis(200);

/// Run three nodes and three sites on this machine, with made-up hospital traffic
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Replay, wait until everything is agreed on, print one JSON object, and stop
    #[arg(long)]
    once: bool,
    /// Keep certificates, captures, logs and data in this folder; it must be empty or new
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    /// The nodes' and sensors' log filter; their logs lie in the demo's folder
    #[arg(long, value_name = "FILTER", default_value = telemetry::DEFAULT_FILTER)]
    log: String,
}

/// What `--help` ends with.
pub const EXAMPLES: &str = "Examples:\n  wardmesh demo\n  wardmesh demo --once | jq .findings\n  \
    wardmesh demo --keep ./demo --log debug";

/// Runs the demo.
///
/// # Errors
/// Where a process, port or folder cannot be had; the message names it. [`Failure::Interrupted`]
/// where `--once` was stopped before it could answer.
pub fn run(args: &Args) -> Result<(), Failure> {
    let stopped = stop_flag()?;
    let temporary = tempfile::Builder::new().prefix("wardmesh-demo-").tempdir();
    let temporary = temporary.context("a temporary folder")?;
    let folder = match &args.keep {
        None => temporary.path().to_owned(),
        Some(folder) => new_folder(folder)?,
    };
    match show(args, &folder, &stopped) {
        Err(_) if stopped.load(Ordering::Acquire) => match args.once {
            true => Err(Failure::Interrupted),
            // Ctrl-C is the way to end it.
            false => Ok(()),
        },
        Err(cause) if args.keep.is_none() => Err(Failure::Other(anyhow::anyhow!(
            "{cause:#}\nthe demo's folder is gone with its logs: --keep FOLDER keeps them"
        ))),
        done => Ok(done?),
    }
}

fn show(args: &Args, folder: &Path, stopped: &Arc<AtomicBool>) -> anyhow::Result<()> {
    let begun = Instant::now();
    note("making the traffic of three sites, their certificates and configurations");
    let captures = captures(folder)?;
    let program = std::env::current_exe()?;
    let plan = Plan { folder: folder.to_owned(), program, nodes: NODES, log: args.log.clone() };
    let mut mesh = Mesh::prepare(plan)?;
    mesh.stop_at(Arc::clone(stopped));
    note("starting three aggregator nodes and founding their cluster");
    mesh.found()?;
    note("starting one sensor for each site; they replay their captures");
    let sensors = start_sensors(&mesh, &captures, args.once)?;
    let mut report = if args.once {
        finish(&mesh, sensors, stopped)?
    } else {
        watch(&mesh, sensors, stopped, begun)?
    };
    report.elapsed = begun.elapsed();
    if args.once {
        writeln!(io::stdout(), "{}", serde_json::to_string(&report.summary())?)?;
    }
    mesh.stop()
}

/// Turns true at Ctrl-C or SIGTERM: whoever waits looks at it and unwinds, which ends the children.
fn stop_flag() -> anyhow::Result<Arc<AtomicBool>> {
    let stopped = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stopped);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(shutdown::signal());
        seen.store(true, Ordering::Release);
    })?;
    Ok(stopped)
}

fn new_folder(folder: &Path) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let empty = std::fs::read_dir(folder)?.next().is_none();
    anyhow::ensure!(empty, "{}: is not empty; name a new folder", folder.display());
    Ok(folder.canonicalize()?)
}

/// The captures end about now, so that the inventory looks as a live one does.
fn captures(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let now = clock::now();
    let write = |(name, _, site): &(&str, &str, &str)| {
        let path = folder.join(format!("{name}.pcap"));
        let usual = simulate::Scenario::of_site(site, SEED);
        let start = now.minus(Duration::from_secs(60 * u64::from(usual.minutes)));
        simulate::Scenario { start, ..usual }.write(&path)?;
        Ok(path)
    };
    SITES.iter().map(write).collect()
}

fn start_sensors(mesh: &Mesh, captures: &[PathBuf], once: bool) -> anyhow::Result<Vec<Child>> {
    let mut sensors = Vec::new();
    for ((site, title, _), capture) in SITES.iter().zip(captures) {
        mesh.add_site(site, title)?;
        let files =
            mesh.add_sensor(&format!("sensor-{site}"), site, std::slice::from_ref(capture))?;
        let arguments = match once {
            true => vec!["replay".into(), capture.clone().into_os_string()],
            false => vec!["run".into()],
        };
        sensors.push(mesh.start_sensor(&files, &arguments)?);
    }
    Ok(sensors)
}

/// Waits until every sensor has drained, and adds up what they say.
fn finish(mesh: &Mesh, sensors: Vec<Child>, stopped: &AtomicBool) -> anyhow::Result<Report> {
    let mut emitted = 0;
    for mut sensor in sensors {
        let begun = Instant::now();
        while sensor.is_running()? {
            anyhow::ensure!(!stopped.load(Ordering::Acquire), "stopped");
            anyhow::ensure!(begun.elapsed() < PATIENCE, "a sensor does not drain in time");
            std::thread::sleep(POLL);
        }
        let summary: Value = serde_json::from_str(&sensor.finish()?)?;
        emitted += summary["events_emitted"].as_u64().context("events_emitted")?;
    }
    Report::read(mesh, emitted)
}

/// Shows what is found once it does not change any more, and stays until Ctrl-C.
fn watch(
    mesh: &Mesh,
    sensors: Vec<Child>,
    stopped: &AtomicBool,
    begun: Instant,
) -> anyhow::Result<Report> {
    let mut last = (0, Instant::now());
    while begun.elapsed() < PATIENCE && !stopped.load(Ordering::Acquire) {
        let events = report::events_applied(mesh)?;
        if events != last.0 {
            note(&format!("{events} events agreed on"));
            last = (events, Instant::now());
        } else if events > 0 && last.1.elapsed() > Duration::from_secs(2) {
            break;
        }
        std::thread::sleep(POLL);
    }
    anyhow::ensure!(!stopped.load(Ordering::Acquire), "stopped");
    let report = Report::read(mesh, last.0)?;
    report.print(mesh, &mut io::stdout().lock())?;
    while !stopped.load(Ordering::Acquire) {
        std::thread::sleep(POLL);
    }
    note("stopping");
    Child::stop_all(sensors)?;
    Ok(report)
}
