//! Real processes under faults: `just nemesis 30` runs thirty minutes, then judges from outside.
//!
//! Exit codes: 0 green, 1 red or broken, 2 usage, 4 void (too few faults, or too little got through).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test: it fails by panicking and speaks to whoever runs it"
)]

mod arguments;
mod ending;
mod faults;
mod logs;
mod mix;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use wardmesh_tests::clients::Clients;
use wardmesh_tests::ground::{Ground, Need};
use wardmesh_tests::player::Player;
use wardmesh_tests::rig::{Plan, Rig};
use wardmesh_tests::stop;
use wardmesh_tests::watch::Watch;

use arguments::Arguments;
use ending::Ending;
use mix::Mix;
use report::{Ran, Report};

/// The executable that plays every role.
const PROGRAM: &str = env!("CARGO_BIN_EXE_wardmesh-under-test");

/// Sensors of a run: three at each site.
const SENSORS: usize = 9;

/// Events a second of one sensor: together well above the thousand that a run must carry, since
/// sensors are killed as well.
const EVENTS_PER_SECOND: u64 = 150;

/// Entries between two snapshots: several a minute, so that followers that were away meet them.
pub(crate) const SNAPSHOT_ENTRIES: u64 = 200;

/// The calm at the beginning, against which the throughput under faults is held.
const CALM: Duration = Duration::from_secs(15);

fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(fault) => {
            eprintln!("{fault}");
            return ExitCode::from(2);
        }
    };
    let stopped = stop::on_signals();
    match run(&arguments, &stopped) {
        Ok(report) => {
            report.print();
            report.exit()
        }
        Err(cause) => {
            eprintln!("!!! the run is broken: {cause:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments, stopped: &Arc<AtomicBool>) -> anyhow::Result<Report> {
    let ground = survey()?;
    println!("nemesis: {} min, seed {}", arguments.minutes, arguments.seed);
    let plan = Plan {
        program: PathBuf::from(PROGRAM),
        ground,
        sensors: SENSORS,
        events_per_second: EVENTS_PER_SECOND,
        snapshot_entries: SNAPSHOT_ENTRIES,
        variables: Vec::new(),
        seed: arguments.seed,
    };
    let rig = Rig::raise(plan, Arc::clone(stopped))?;
    let player = Arc::new(Player::enrol(&rig, "player", "a")?);
    rig.players.lock().unwrap().push(player);
    let (watch, clients) = (Watch::default(), Clients::default());
    std::thread::scope(|scope| {
        watch.begin(scope, &rig);
        clients.begin(scope, &rig, arguments.seed);
        let ran = under_faults(arguments, &rig, &watch, &clients);
        clients.end();
        watch.end();
        if let Some(folder) = &arguments.logs {
            logs::copy(&rig, folder)?;
        }
        if ran.as_ref().map_or(true, Report::is_red) {
            logs::show(&rig);
        }
        ran
    })
}

fn under_faults(
    arguments: &Arguments,
    rig: &Rig,
    watch: &Watch,
    clients: &Clients,
) -> anyhow::Result<Report> {
    let begun = Instant::now();
    let deadline = begun + Duration::from_secs(arguments.minutes * 60);
    (0..rig.sensors.len()).try_for_each(|sensor| rig.run_sensor(sensor))?;
    rig.until("the first acknowledgements", Duration::from_secs(60), || watch.acked() > 0)?;
    let (calm_from, acked) = (Instant::now(), watch.acked());
    rig.rest(CALM)?;
    let calm = (watch.acked() - acked) as f64 / calm_from.elapsed().as_secs_f64();
    println!("calm: {calm:.0} events/s acknowledged");
    let baseline = ending::weights(rig);
    let (mixed_from, acked) = (Instant::now(), watch.acked());
    let mix = Mix::new(arguments, rig, watch);
    mix.run(deadline, deadline + deadline.duration_since(begun))?;
    let ran = begun.elapsed();
    let mixed = (watch.acked() - acked) as f64 / mixed_from.elapsed().as_secs_f64();
    println!("under faults: {mixed:.0} events/s acknowledged");
    clients.end();
    let ending = Ending::reach(rig, watch, clients, &baseline)?;
    Ok(Report::new(arguments, rig, watch, &mix, Ran { ran, calm, mixed }, ending))
}

/// What the machine allows; what is missing is said loudly.
fn survey() -> anyhow::Result<Ground> {
    let scratch = tempfile::Builder::new().prefix("wardmesh-nemesis-probe-").tempdir()?;
    let ground = Ground::survey(scratch.path());
    for need in [Need::Namespaces, Need::Nft, Need::Loop, Need::Strace, Need::Faketime] {
        if !ground.has(need) {
            println!("!!! LEFT OUT: this machine does not have {need}; faults with it are not run");
        }
    }
    Ok(ground)
}
