//! N4: the power of one node fails: what it had not synced is gone. Every other time it is the leader.

use wardmesh_tests::ground::Need;
use wardmesh_tests::rig::Rig;

use super::{Blow, Fault};

pub(super) const FAULT: Fault =
    Fault { id: "N4", what: "power cut of one node", needs: &[Need::Loop], strike };

fn strike(blow: &mut Blow<'_>) -> anyhow::Result<bool> {
    let rig = blow.rig;
    let claim = if blow.turn.is_multiple_of(2) {
        rig.claim_leader()
    } else {
        rig.claim_follower(blow.turn)
    };
    let Some(node) = claim else { return Ok(false) };
    cut(rig, &[node.place])?;
    let away = blow.span(200, 2_000);
    rig.rest(away)?;
    rig.restart(node.place)?;
    Ok(true)
}

/// Takes the power from nodes at once, and gives it back to their disks.
pub(super) fn cut(rig: &Rig, nodes: &[usize]) -> anyhow::Result<()> {
    // A thread that the signal has not reached yet may still see its disk go.
    nodes.iter().for_each(|node| rig.expect_end(*node));
    nodes.iter().try_for_each(|node| rig.signal(*node, "STOP"))?;
    nodes.iter().try_for_each(|node| rig.volume(*node)?.cut_power())?;
    nodes.iter().try_for_each(|node| rig.kill(*node))?;
    nodes.iter().try_for_each(|node| rig.volume(*node)?.power_up())
}
