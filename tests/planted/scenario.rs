//! What is played with each fault, and what it must be caught at.

use wardmesh_tests::breach::Invariant;
use wardmesh_tests::ground::Need;
use wardmesh_tests::rig::Rig;
use wardmesh_tests::watch::Watch;

use crate::{durability, exactly_once, truth};

/// The shortest play that shows a fault.
pub(crate) struct Scenario {
    /// The fault's name, as `WARDMESH_PLANTED_FAULT` has it.
    pub(crate) fault: &'static str,
    /// What it breaks.
    pub(crate) expect: Invariant,
    /// What the machine must allow.
    pub(crate) needs: &'static [Need],
    /// Sensors that run.
    pub(crate) sensors: usize,
    /// Plays it and judges.
    pub(crate) play: fn(&Rig, &Watch) -> anyhow::Result<()>,
}

/// All eight.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        fault: "sync-skipped",
        expect: Invariant::Lost,
        needs: &[Need::Loop],
        sensors: 2,
        play: durability::power_fails_everywhere,
    },
    Scenario {
        fault: "ack-before-commit",
        expect: Invariant::Lost,
        needs: &[],
        sensors: 2,
        play: durability::leader_dies_alone,
    },
    Scenario {
        fault: "vote-not-saved",
        expect: Invariant::TermWentBack,
        needs: &[],
        sensors: 0,
        play: truth::nodes_remember_their_term,
    },
    Scenario {
        fault: "dedupe-off",
        expect: Invariant::Doubled,
        needs: &[],
        sensors: 0,
        play: exactly_once::batches_come_again,
    },
    Scenario {
        fault: "dedupe-in-memory",
        expect: Invariant::Doubled,
        needs: &[],
        sensors: 0,
        play: exactly_once::batches_come_again_after_a_change,
    },
    Scenario {
        fault: "local-read-as-linearizable",
        expect: Invariant::StaleRead,
        needs: &[],
        sensors: 0,
        play: truth::a_lonely_leader_is_asked,
    },
    Scenario {
        fault: "damage-skipped",
        expect: Invariant::ServesDamaged,
        needs: &[],
        sensors: 0,
        play: truth::a_log_is_damaged,
    },
    Scenario {
        fault: "site-check-removed",
        expect: Invariant::Phantom,
        needs: &[],
        sensors: 0,
        play: exactly_once::a_sensor_names_another,
    },
];
