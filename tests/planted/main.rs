//! The harness, tested: each planted fault must turn it red, for the right reason, and the same
//! scenario without a fault must be green. Needs the feature `planted-faults`.
//!
//! `planted [NAME…]` runs all scenarios or those named.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test: it fails by panicking and speaks to whoever runs it"
)]

mod durability;
mod exactly_once;
mod scenario;
mod truth;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use wardmesh_tests::breach::Breach;
use wardmesh_tests::ground::Ground;
use wardmesh_tests::rig::{Plan, Rig};
use wardmesh_tests::stop;
use wardmesh_tests::watch::Watch;

use scenario::{SCENARIOS, Scenario};

/// The executable that plays every role.
const PROGRAM: &str = env!("CARGO_BIN_EXE_wardmesh-under-test");

/// Events a second of each sensor.
const EVENTS_PER_SECOND: u64 = 200;

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let stopped = stop::on_signals();
    let scratch = tempfile::tempdir().unwrap();
    let ground = Ground::survey(scratch.path()).on_loopback();
    let mut rows = Vec::new();
    for scenario in SCENARIOS {
        if wanted.is_empty() || wanted.iter().any(|name| name == scenario.fault) {
            rows.push((scenario.fault, held(scenario, &ground, &stopped)));
        }
    }
    println!("\nplanted faults:");
    for (name, verdict) in &rows {
        println!("  {name:<28} {verdict}");
    }
    let failed = rows.iter().filter(|(_, verdict)| verdict.starts_with("FAILED")).count();
    let left_out = rows.iter().filter(|(_, verdict)| verdict.starts_with("LEFT OUT")).count();
    println!("{} scenarios, {failed} failed, {left_out} left out", rows.len());
    ExitCode::from(u8::from(failed > 0 || rows.is_empty()))
}

/// Whether a fault turns its scenario red, and nothing leaves it green.
fn held(scenario: &Scenario, ground: &Ground, stopped: &Arc<AtomicBool>) -> String {
    if !scenario.needs.iter().all(|need| ground.has(*need)) {
        return format!("LEFT OUT: needs {}", scenario.needs[0]);
    }
    println!("\n{}:", scenario.fault);
    let begun = Instant::now();
    let sound = match play(scenario, ground, None, stopped) {
        Ok(breaches) => breaches,
        Err(cause) => return format!("FAILED: cannot be played without the fault: {cause:#}"),
    };
    if let Some(breach) = sound.first() {
        return format!("FAILED: red without the fault: {breach}");
    }
    let broken = match play(scenario, ground, Some(scenario.fault), stopped) {
        Ok(breaches) => breaches,
        Err(cause) => return format!("FAILED: cannot be played with the fault: {cause:#}"),
    };
    let seconds = begun.elapsed().as_secs();
    match broken.iter().find(|breach| breach.invariant == scenario.expect) {
        Some(breach) => {
            let what: String = breach.to_string().chars().take(110).collect();
            format!("red for the right reason, green without it ({seconds} s): {what}")
        }
        None if broken.is_empty() => "FAILED: green with the fault".to_owned(),
        None => format!("FAILED: red with the fault for another reason: {}", broken[0]),
    }
}

fn play(
    scenario: &Scenario,
    ground: &Ground,
    fault: Option<&str>,
    stopped: &Arc<AtomicBool>,
) -> anyhow::Result<Vec<Breach>> {
    let variables = fault.map(|name| format!("WARDMESH_PLANTED_FAULT={name}").into());
    let plan = Plan {
        program: PathBuf::from(PROGRAM),
        ground: ground.with_only(scenario.needs),
        sensors: scenario.sensors,
        events_per_second: EVENTS_PER_SECOND,
        snapshot_entries: 20_000,
        variables: variables.into_iter().collect(),
        seed: 1,
    };
    println!("  {}", fault.map_or("without", |_| "with the fault"));
    let rig = Rig::raise(plan, Arc::clone(stopped))?;
    let watch = Watch::default();
    std::thread::scope(|scope| {
        watch.begin(scope, &rig);
        let played = (scenario.play)(&rig, &watch);
        watch.end();
        played
    })?;
    anyhow::ensure!(!stopped.load(Ordering::Acquire), "stopped");
    Ok(rig.breaches.all())
}
