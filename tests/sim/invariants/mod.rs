//! What must hold, one file each; the numbers are those of the design of reliability.
//!
//! Not here: I13, that no answer tells one tenant of another, since nothing in the simulation answers
//! tenants; the tests of `http/` have it.

use crate::judge::Fact;

mod capture_accounting;
mod durability;
mod election;
mod eventual_completeness;
mod exactly_once;
mod exits;
mod leader_completeness;
mod liveness;
mod log_matching;
mod no_false_success;
mod no_phantom;
mod one_finding;
mod order;
mod reads;
mod replicas;

/// Something that must hold at every moment.
pub(crate) trait Invariant: Send {
    fn name(&self) -> &'static str;

    /// Looks at a fact; a fault is told in words.
    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String>;
}

/// Every invariant, before anything was seen.
pub(crate) fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::<durability::Durability>::default(),
        Box::<eventual_completeness::EventualCompleteness>::default(),
        Box::<exactly_once::ExactlyOnce>::default(),
        Box::<no_phantom::NoPhantom>::default(),
        Box::<capture_accounting::CaptureAccounting>::default(),
        Box::<order::Order>::default(),
        Box::<replicas::Replicas>::default(),
        Box::<reads::Reads>::default(),
        Box::<no_false_success::NoFalseSuccess>::default(),
        Box::<liveness::Liveness>::default(),
        Box::<exits::Exits>::default(),
        Box::<one_finding::OneFinding>::default(),
        Box::<election::Election>::default(),
        Box::<log_matching::LogMatching>::default(),
        Box::<leader_completeness::LeaderCompleteness>::default(),
    ]
}
