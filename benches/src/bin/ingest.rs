//! `ingest`: acknowledged events a second into three nodes, beside a bare pipeline and the machine's
//! limits in the same run. The same executable is a node of either.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use wardmesh_benches::client::enrol;
use wardmesh_benches::cluster::{self, Cluster};
use wardmesh_benches::ingest::bare::{self, Pipeline};
use wardmesh_benches::ingest::limits;
use wardmesh_benches::ingest::load::{Driven, Driver, Pace, Protocol, drive};
use wardmesh_benches::ingest::options::Options;
use wardmesh_benches::ingest::outcome::{Outcome, Outcomes};
use wardmesh_benches::ingest::workload::{Archives, Prepared};
use wardmesh_benches::process::{Usage, folder_bytes};
use wardmesh_benches::report::Report;
use wardmesh_common::id::SensorId;
use wardmesh_common::tls::Identity;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|role| role == bare::ROLE) {
        return bare::run(&arguments[1..]);
    }
    cluster::main(|| bench(&Options::parse(arguments.into_iter())?))
}

fn bench(options: &Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut outcomes = Outcomes::default();
    for _ in 0..options.runs {
        if !options.bare_only {
            outcomes.product.push(product(options, &runtime)?);
        }
        if !options.product_only {
            let folder = tempfile::tempdir()?;
            let own = folder.path();
            outcomes.limits.push(limits::measure(own, &runtime)?);
            outcomes.ceiling.push(pipeline(&own.join("plain"), options, false, &runtime)?);
            outcomes.packed.push(pipeline(&own.join("lz4"), options, true, &runtime)?);
        }
    }
    let mut report = Report::new("ingest");
    outcomes.fill(&mut report, options);
    Ok(report.print()?)
}

/// One run of the product, verified.
fn product(options: &Options, runtime: &tokio::runtime::Runtime) -> anyhow::Result<Outcome> {
    let cluster = Cluster::found()?;
    let leader = cluster.leader()?;
    let mut drivers = Vec::new();
    for place in 0..options.sensors {
        let site = format!("site-{place}");
        cluster.mesh.add_site(&site, &site)?;
        let one = enrol(&cluster.mesh, &site, 1 + place as u8, 1)?.pop().context("a sensor")?;
        let prepared = Archives::build(one.sensor, place as u64, options)?.seal(true)?;
        let node = if options.spread { place % cluster::NODES } else { leader };
        let address = cluster.mesh.nodes()[node].ingest_address.parse()?;
        drivers.push(Driver { prepared, identity: one.identity, address });
    }
    let nodes = || cluster.mesh.nodes().iter();
    let processes: Vec<u32> = nodes().filter_map(|node| Some(node.child()?.id())).collect();
    let mut outcome = measured(drivers, Protocol::Product, &processes, options, runtime)?;
    let asked = Instant::now();
    cluster::verify(&cluster.mesh, &outcome.driven.acked)?;
    outcome.caught_up = asked.elapsed().as_secs_f64();
    std::thread::sleep(Duration::from_secs(options.linger));
    // What followers and background threads still wrote counts too.
    outcome.note(&processes);
    outcome.disk = nodes().map(|node| folder_bytes(&node.data)).collect();
    outcome.leader_first(leader);
    cluster.mesh.stop()?;
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
