//! N3: all nodes are killed at once, as when a rack loses its power but no disk loses a byte.

use std::time::Instant;

use wardmesh_tests::breach::Invariant;
use wardmesh_tests::heal;
use wardmesh_tests::rig::Rig;

use super::{Blow, Fault};

pub(super) const FAULT: Fault = Fault { id: "N3", what: "all nodes kill -9", needs: &[], strike };

fn strike(blow: &mut Blow<'_>) -> anyhow::Result<bool> {
    let Some(claims) = blow.rig.claim_all() else { return Ok(false) };
    claims.iter().try_for_each(|claim| blow.rig.kill(claim.place))?;
    let away = blow.span(200, 1_500);
    blow.rig.rest(away)?;
    let nodes: Vec<usize> = claims.iter().map(|claim| claim.place).collect();
    start_all(blow.rig, &nodes)?;
    Ok(true)
}

/// Starts nodes that have all ended, and judges how long it takes until all of them are ready.
pub(super) fn start_all(rig: &Rig, nodes: &[usize]) -> anyhow::Result<()> {
    let begun = Instant::now();
    nodes.iter().try_for_each(|node| rig.start(*node))?;
    nodes.iter().try_for_each(|node| rig.await_ready(*node).map(drop))?;
    rig.breaches.expect(Invariant::NotHealed, heal::ready(begun.elapsed()));
    Ok(())
}
