//! The simulation, tested: a planted fault turns some seed red, and for the right reason.

use crate::plant::Plant;
use crate::world::{Plan, run};

/// Seeds within which a fault must be found, a tenth of what CI runs.
const SEEDS: u64 = 20;

/// Runs seeds until one is red; what it says.
fn found(plant: Plant) -> String {
    let red = (0..SEEDS).find_map(|seed| {
        let outcome = run(Plan { plant: Some(plant), ..Plan::of(seed) });
        Some((seed, outcome.faults.first()?.clone()))
    });
    let (seed, fault) = red.unwrap_or_else(|| panic!("{plant:?} was not found in {SEEDS} seeds"));
    eprintln!("{plant:?}: seed {seed}: {fault}");
    fault
}

#[track_caller]
fn one_of(fault: &str, expected: &[&str]) {
    assert!(expected.iter().any(|name| fault.starts_with(name)), "{fault}");
}

#[test]
fn entries_that_are_not_on_the_disk_are_missed() {
    one_of(
        &found(Plant::AckBeforeSync),
        &["I7", "leader completeness", "log matching", "I1", "I11"],
    );
}

#[test]
fn a_vote_that_was_forgotten_is_noticed() {
    one_of(
        &found(Plant::VoteNotSaved),
        &["election safety", "log matching", "I7", "leader", "I11"],
    );
}

#[test]
fn a_record_that_was_skipped_is_missed() {
    one_of(&found(Plant::RecordSkipped), &["I7", "leader completeness", "log matching", "I11"]);
}

#[test]
fn a_spool_that_was_not_synced_is_noticed() {
    one_of(&found(Plant::SpoolNotSynced), &["I2", "I10"]);
}

#[test]
fn a_stale_read_is_noticed() {
    one_of(&found(Plant::StaleReads), &["I8"]);
}

#[test]
fn a_frame_that_was_lost_is_missed() {
    one_of(&found(Plant::FrameLost), &["I5"]);
}

#[test]
fn a_false_success_is_noticed() {
    one_of(&found(Plant::FalseSuccess), &["I9"]);
}
