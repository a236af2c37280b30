//! `ingest`: acknowledged events a second into three nodes, beside a bare pipeline and the machine's
//! limits in the same run. The same executable is a node of either.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use wardmesh_benches::ingest::bare::{self, Pipeline};
use wardmesh_benches::ingest::limits;
use wardmesh_benches::ingest::load::{Driven, Driver, Pace, Protocol, drive};
use wardmesh_benches::ingest::options::Options;
use wardmesh_benches::ingest::outcome::{Outcome, Outcomes};
use wardmesh_benches::ingest::product::Cluster;
use wardmesh_benches::ingest::workload::{Archives, Prepared};
use wardmesh_benches::process::{Usage, folder_bytes};
use wardmesh_benches::report::Report;
use wardmesh_common::id::SensorId;
use wardmesh_common::tls::Identity;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("node") => return wardmesh_cli::run(),
        Some(bare::ROLE) => return bare::run(&arguments[1..]),
        _ => {}
    }
    match Options::parse(arguments.into_iter()).and_then(|options| bench(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            use std::io::Write;
            // Without a standard error there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "error: {cause:#}");
            ExitCode::FAILURE
        }
    }
}

fn bench(options: &Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let folder = tempfile::tempdir()?;
    let mut outcomes = Outcomes::default();
    for run in 0..options.runs {
        let own = folder.path().join(format!("run-{run}"));
        std::fs::create_dir(&own)?;
        if !options.bare_only {
            outcomes.product.push(product(&own, options, &runtime)?);
        }
        if !options.product_only {
            outcomes.limits.push(limits::measure(&own, &runtime)?);
            outcomes.ceiling.push(pipeline(&own.join("plain"), options, false, &runtime)?);
            outcomes.packed.push(pipeline(&own.join("lz4"), options, true, &runtime)?);
        }
        std::fs::remove_dir_all(&own)?;
    }
    let mut report = Report::new("ingest");
    outcomes.fill(&mut report, options);
    Ok(report.print()?)
}

/// One run of the product, verified.
fn product(
    folder: &Path,
    options: &Options,
    runtime: &tokio::runtime::Runtime,
) -> anyhow::Result<Outcome> {
    let cluster = Cluster::start(&folder.join("mesh"))?;
    let mut drivers = Vec::new();
    for place in 0..options.sensors {
        let (sensor, identity) = cluster.add_sensor(&format!("site-{place}"))?;
        let prepared = Archives::build(sensor, place as u64, options)?.seal(true)?;
        let address = cluster.address(place, options.spread)?;
        drivers.push(Driver { prepared, identity, address });
    }
    let mut processes: Vec<u32> =
        cluster.nodes().iter().filter_map(|node| Some(node.child()?.id())).collect();
    let leader = cluster.leader();
    let mut outcome = measured(drivers, Protocol::Product, &processes, options, runtime)?;
    let asked = Instant::now();
    cluster.verify(&outcome.driven.acked)?;
    outcome.caught_up = asked.elapsed().as_secs_f64();
    std::thread::sleep(Duration::from_secs(options.linger));
    // What followers and background threads still wrote counts too.
    outcome.note(&processes);
    outcome.disk = cluster.nodes().iter().map(|node| folder_bytes(&node.data)).collect();
    processes.rotate_left(leader);
    outcome.leader_first(leader);
    cluster.stop()?;
    Ok(outcome)
}

/// One run of the bare pipeline.
fn pipeline(
    folder: &Path,
    options: &Options,
    compress: bool,
    runtime: &tokio::runtime::Runtime,
) -> anyhow::Result<Outcome> {
    let pipeline = Pipeline::start(folder)?;
    let mut drivers = Vec::new();
    for place in 0..options.sensors {
        let mut id = [0x5e; 16];
        id[0] = place as u8;
        let sensor = SensorId::from_random(id);
        let identity: Identity = pipeline.sensor(sensor)?;
        let prepared: Prepared = Archives::build(sensor, place as u64, options)?.seal(compress)?;
        drivers.push(Driver { prepared, identity, address: pipeline.leader() });
    }
    let processes = pipeline.processes();
    let outcome = measured(drivers, Protocol::Bare, &processes, options, runtime)?;
    pipeline.stop()?;
    Ok(outcome)
}

fn measured(
    drivers: Vec<Driver>,
    protocol: Protocol,
    processes: &[u32],
    options: &Options,
    runtime: &tokio::runtime::Runtime,
) -> anyhow::Result<Outcome> {
    let raw_bytes = drivers.iter().map(|driver| driver.prepared.raw_bytes).sum();
    let frame_bytes = drivers.iter().map(|driver| driver.prepared.frame_bytes()).sum();
    let per_sensor = options.rate as f64 / options.sensors as f64;
    let every = match options.rate {
        0 => Duration::ZERO,
        _ => Duration::from_secs_f64(options.batch as f64 / per_sensor),
    };
    let pace = Pace { window: options.window, every };
    let of = |pid: &u32| Usage::of(*pid).unwrap_or_default();
    let before: Vec<Usage> = processes.iter().map(of).collect();
    let load_before = of(&std::process::id());
    let driven: Driven = runtime.block_on(drive(drivers, protocol, pace))?;
    let load = of(&std::process::id()).cpu_seconds - load_before.cpu_seconds;
    let mut outcome = Outcome::new(driven, raw_bytes, frame_bytes, before, load);
    outcome.note(processes);
    Ok(outcome)
}
