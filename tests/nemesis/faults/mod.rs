//! The faults: one file each, and a slice. Each says what it needs of the machine, and is left out
//! loudly where that is missing.

mod all_kill;
mod clock_jump;
mod clone;
mod disk_full;
mod failed_sync;
mod follower_kill;
mod half_cut;
mod leader_kill;
mod partition;
mod pause;
mod power_cut;
mod power_cut_all;
mod replays;
mod rolled_back;
mod sensor_kill;
mod snapshot_install;
mod wiped;

use std::time::Duration;

use wardmesh_tests::draw::Draw;
use wardmesh_tests::ground::Need;
use wardmesh_tests::rig::Rig;
use wardmesh_tests::watch::Watch;

/// Something that happens to a mesh.
pub(crate) struct Fault {
    /// Its number in the reliability design.
    pub(crate) id: &'static str,
    /// What happens.
    pub(crate) what: &'static str,
    /// What the machine must allow.
    pub(crate) needs: &'static [Need],
    /// Lets it happen and mends it. `false` where it could not happen now.
    pub(crate) strike: fn(&mut Blow<'_>) -> anyhow::Result<bool>,
}

/// One strike.
pub(crate) struct Blow<'a> {
    pub(crate) rig: &'a Rig,
    pub(crate) watch: &'a Watch,
    pub(crate) draw: &'a mut Draw,
    /// Counts up with each time that this fault happens, from a number that the seed decides.
    pub(crate) turn: usize,
}

impl Blow<'_> {
    /// A time between the two, in milliseconds.
    pub(crate) fn span(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.draw.within(low, high))
    }
}

/// Kills the leader: the mix does it beside all others, every 20 seconds.
pub(crate) const LEADER_KILL: &Fault = &leader_kill::FAULT;

/// All others.
pub(crate) const FAULTS: &[&Fault] = &[
    &follower_kill::FAULT,
    &all_kill::FAULT,
    &power_cut::FAULT,
    &power_cut_all::FAULT,
    &sensor_kill::FAULT,
    &partition::FAULT,
    &half_cut::FAULT,
    &pause::FAULT,
    &disk_full::FAULT,
    &failed_sync::FAULT,
    &clock_jump::FAULT,
    &wiped::FAULT,
    &snapshot_install::FAULT,
    &rolled_back::FAULT,
    &replays::FAULT,
];
