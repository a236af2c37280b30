//! What a run came to, and whether it counts.

use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

use wardmesh_tests::breach::{Breach, Invariant};
use wardmesh_tests::rig::Rig;
use wardmesh_tests::verdict::Found;
use wardmesh_tests::watch::Watch;
use wardmesh_tests::worth;

use crate::arguments::Arguments;
use crate::ending::Ending;
use crate::faults::{FAULTS, LEADER_KILL};
use crate::mix::{KILL_EVERY, Mix};

/// The part of the calm's throughput below which a run says nothing.
const THROUGHPUT_MIN: f64 = 0.3;

/// Events a second that a run must carry.
const EVENTS_PER_SECOND_MIN: u64 = 1_000;

/// The longest time that a round of all other faults takes, seconds: each comes once in it.
const ROUND_SECONDS: u64 = 165;

/// One line of the table.
struct Row {
    id: &'static str,
    what: &'static str,
    count: u64,
    /// At least so often, or the run is void; `None` where it was left out.
    least: Option<u64>,
}

/// How a run went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ran {
    /// How long it was, the calm included: longer than was asked for where the first round was.
    pub(crate) ran: Duration,
    /// Events acknowledged a second before the faults.
    pub(crate) calm: f64,
    /// The same under them.
    pub(crate) mixed: f64,
}

/// A run.
pub(crate) struct Report {
    arguments: Arguments,
    rows: Vec<Row>,
    ran: Ran,
    gaps_alone: Vec<Duration>,
    gaps: Vec<Duration>,
    reads: (u64, u64),
    ending: Ending,
    breaches: Vec<Breach>,
}

impl Report {
    pub(crate) fn new(
        arguments: &Arguments,
        rig: &Rig,
        watch: &Watch,
        mix: &Mix<'_>,
        ran: Ran,
        ending: Ending,
    ) -> Self {
        let seconds = arguments.minutes * 60 - 15;
        let deck = mix.deck();
        let rows = std::iter::once(LEADER_KILL).chain(FAULTS.iter().copied()).map(|fault| {
            let runs = deck.iter().any(|one| one.id == fault.id);
            let least = match fault.id == LEADER_KILL.id {
                true => arguments.wants(fault.id).then_some(seconds / KILL_EVERY.as_secs() * 4 / 5),
                false => runs.then_some((seconds * 4 / (5 * ROUND_SECONDS)).max(1)),
            };
            Row { id: fault.id, what: fault.what, count: mix.count(fault.id), least }
        });
        Self {
            arguments: arguments.clone(),
            rows: rows.collect(),
            ran,
            gaps_alone: mix.gaps(true),
            gaps: mix.gaps(false),
            reads: (watch.reads.0.load(Ordering::Relaxed), watch.reads.1.load(Ordering::Relaxed)),
            ending,
            breaches: rig.breaches.all(),
        }
    }

    /// Whether something broke.
    pub(crate) fn is_red(&self) -> bool {
        !self.breaches.is_empty()
    }

    /// Why the run says nothing, if it does not.
    fn void(&self) -> Vec<String> {
        let mut why = Vec::new();
        if self.rows.iter().all(|row| row.least.is_none()) {
            why.push("no fault that was asked for can happen here".to_owned());
        }
        for row in &self.rows {
            if let Some(least) = row.least.filter(|least| row.count < *least) {
                why.push(format!("{} happened {} times, {least} are due", row.id, row.count));
            }
        }
        let Ran { ran, calm, mixed } = self.ran;
        why.extend(worth::void(ran, self.reads.0, self.ending.register));
        if mixed < THROUGHPUT_MIN * calm {
            why.push(format!("{mixed:.0} events/s under faults, {calm:.0} before"));
        }
        let due = ran.as_secs() * EVENTS_PER_SECOND_MIN;
        if self.ending.found.emitted < due {
            why.push(format!("{} events were emitted, {due} are due", self.ending.found.emitted));
        }
        why
    }

    pub(crate) fn print(&self) {
        println!("\nfault  happened  due  what");
        for Row { id, what, count, least } in &self.rows {
            match least {
                Some(least) => println!("{id:<6} {count:>8} {least:>4}  {what}"),
                None => println!("{id:<6} LEFT OUT       {what}"),
            }
        }
        let Ending { found, register, drained, agreed, weights } = &self.ending;
        let Found { emitted, acked, events, history_from } = found;
        println!("\nevents emitted {emitted}, acknowledged {acked}, found by node {events:?}");
        println!("history from log index, by node: {history_from:?}");
        let Ran { ran, calm, mixed } = self.ran;
        println!("acknowledged events/s: {calm:.0} calm, {mixed:.0} under faults, in {ran:.0?}");
        println!("gap after a kill of the leader alone: {}", percentiles(&self.gaps_alone));
        println!("gap after any kill of the leader: {}", percentiles(&self.gaps));
        println!("linearizable reads: {} answered, {} refused", self.reads.0, self.reads.1);
        println!("register: {} operations, {register:?}", register.all());
        println!("drained in {drained:.1?}, agreed after {agreed:.1?}");
        for (node, (before, after)) in weights.iter().enumerate() {
            println!("node {}: {before:?} then {after:?}", node + 1);
        }
        let count = |invariant| self.breaches.iter().filter(|b| b.invariant == invariant).count();
        println!(
            "lost={} undelivered={} dup={} phantom={} disorder={} stale={}, seed {}",
            count(Invariant::Lost),
            count(Invariant::Undelivered),
            count(Invariant::Doubled),
            count(Invariant::Phantom),
            count(Invariant::Disorder),
            count(Invariant::StaleRead),
            self.arguments.seed
        );
        self.breaches.iter().for_each(|breach| println!("RED: {breach}"));
        self.void().iter().for_each(|why| println!("VOID: {why}"));
        let verdict = match (self.breaches.is_empty(), self.void().is_empty()) {
            (false, _) => "RED",
            (true, false) => "VOID: nothing broke, but the run says nothing",
            (true, true) => "GREEN",
        };
        println!("nemesis: {verdict}");
    }

    pub(crate) fn exit(&self) -> ExitCode {
        match (self.breaches.is_empty(), self.void().is_empty()) {
            (false, _) => ExitCode::FAILURE,
            (true, false) => ExitCode::from(4),
            (true, true) => ExitCode::SUCCESS,
        }
    }
}

/// p50, p99 and the longest of sorted times.
fn percentiles(sorted: &[Duration]) -> String {
    let at = |share: usize| sorted.get((sorted.len() * share / 100).min(sorted.len() - 1));
    match sorted.last() {
        Some(max) => format!(
            "p50 {:.2?}, p99 {:.2?}, max {max:.2?} of {}",
            at(50).unwrap_or(max),
            at(99).unwrap_or(max),
            sorted.len()
        ),
        None => "none".to_owned(),
    }
}
