//! What was acknowledged outlives power and leaders.

use std::time::Duration;

use wardmesh_tests::breach::Invariant;
use wardmesh_tests::rig::{NODES, Rig};
use wardmesh_tests::verdict::{agree, compare, drain};
use wardmesh_tests::watch::Watch;

/// How long sensors send before anything happens.
const LOAD: Duration = Duration::from_secs(3);

/// How long the leader is alone: acknowledged meanwhile is only what nobody else has.
const ALONE: Duration = Duration::from_secs(3);

fn load(rig: &Rig, watch: &Watch) -> anyhow::Result<()> {
    (0..rig.sensors.len()).try_for_each(|sensor| rig.run_sensor(sensor))?;
    rig.until("acknowledgements", Duration::from_secs(30), || watch.acked() > 0)?;
    rig.rest(LOAD)
}

fn judge(rig: &Rig) -> anyhow::Result<()> {
    (0..NODES).try_for_each(|node| rig.await_ready(node).map(drop))?;
    drain(rig)?;
    agree(rig)?;
    compare(rig).map(drop)
}

/// All disks are cut off at once: only what was synced is left.
pub(crate) fn power_fails_everywhere(rig: &Rig, watch: &Watch) -> anyhow::Result<()> {
    load(rig, watch)?;
    (0..NODES).try_for_each(|node| rig.signal(node, "STOP"))?;
    (0..NODES).try_for_each(|node| rig.volume(node)?.cut_power())?;
    (0..NODES).try_for_each(|node| rig.kill(node))?;
    (0..NODES).try_for_each(|node| rig.volume(node)?.power_up())?;
    (0..NODES).try_for_each(|node| rig.start(node))?;
    if let Err(cause) = (0..NODES).try_for_each(|node| rig.await_ready(node).map(drop)) {
        let what = format!("{} events were acknowledged; after a power cut {cause}", watch.acked());
        rig.breaches.note(Invariant::Lost, what);
        return Ok(());
    }
    judge(rig)
}

/// The leader goes on without anybody, and dies.
pub(crate) fn leader_dies_alone(rig: &Rig, watch: &Watch) -> anyhow::Result<()> {
    load(rig, watch)?;
    let leader = rig.await_leader()?;
    let others = rig.others(leader);
    others.iter().try_for_each(|other| rig.signal(*other, "STOP"))?;
    rig.rest(ALONE)?;
    rig.kill(leader)?;
    others.iter().try_for_each(|other| rig.signal(*other, "CONT"))?;
    // The others agree without it, so that what only it had is overwritten.
    rig.await_leader()?;
    rig.restart(leader)?;
    judge(rig)
}
