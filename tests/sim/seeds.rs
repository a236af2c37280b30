//! The seeds that are run, and what is said of one that fails.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::least;
use crate::world::{Outcome, Plan, run};

/// Seeds without another wish: enough to see that the simulation works.
const SEEDS: u64 = 12;

#[allow(clippy::disallowed_methods, reason = "how long to run is a wish of whoever runs the tests")]
fn wish(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// What an outcome says for whoever has to find the cause.
fn report(outcome: &Outcome) -> String {
    let mut report = format!("seed {} fails: just sim-seed {}\n", outcome.seed, outcome.seed);
    for line in &outcome.schedule {
        let _ = writeln!(report, "  {line}");
    }
    let _ = writeln!(report, "the last of {} lines:\n{}", outcome.lines, outcome.last);
    for fault in &outcome.faults {
        let _ = writeln!(report, "{fault}");
    }
    report
}

/// Runs seeds on as many threads as there are cores; a run is one thread's.
fn run_all(seeds: std::ops::Range<u64>) -> Vec<Outcome> {
    let next = AtomicU64::new(seeds.start);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let mine = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
        mine.take_while(|seed| *seed < seeds.end).map(|seed| run(Plan::of(seed))).collect()
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let done: Vec<Vec<Outcome>> =
            running.into_iter().map(|thread| thread.join().expect("a run")).collect();
        done.into_iter().flatten().collect()
    })
}

#[test]
fn every_seed_holds_every_invariant() {
    let first = wish("WARDMESH_SIM_FROM").unwrap_or(0);
    let outcomes = match wish("WARDMESH_SIM_SEED") {
        Some(seed) => vec![run(Plan { loud: true, ..Plan::of(seed) })],
        None => run_all(first..first + wish("WARDMESH_SIM_SEEDS").unwrap_or(SEEDS)),
    };
    let mut counts = BTreeMap::new();
    for (what, count) in outcomes.iter().flat_map(|outcome| &outcome.counts) {
        *counts.entry(*what).or_insert(0) += count;
    }
    eprintln!("{} seeds: {counts:?}", outcomes.len());
    if let [one] = outcomes.as_slice() {
        eprintln!("seed {}: trace {:016x} over {} lines", one.seed, one.hash, one.lines);
    }
    let failed: Vec<_> = outcomes.iter().filter(|one| !one.faults.is_empty()).collect();
    let reports: String = failed.iter().take(3).map(|one| report(one)).collect();
    let seeds: Vec<_> = failed.iter().map(|one| one.seed).collect();
    assert!(failed.is_empty(), "{reports}{} seeds fail: {seeds:?}", failed.len());
    // The minimums were counted over the first seeds; others may have less of one thing.
    let counted = first == 0 && outcomes.len() >= least::SEEDS;
    let seldom = if counted { least::too_little(&counts) } else { vec![] };
    assert!(seldom.is_empty(), "the run is void: {seldom:#?}");
}
