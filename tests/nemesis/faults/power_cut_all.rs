//! N5: the power of all nodes fails at once: only what a majority had synced may be acknowledged.

use wardmesh_tests::ground::Need;

use super::all_kill::start_all;
use super::power_cut::cut;
use super::{Blow, Fault};

pub(super) const FAULT: Fault =
    Fault { id: "N5", what: "power cut of all nodes at once", needs: &[Need::Loop], strike };

fn strike(blow: &mut Blow<'_>) -> anyhow::Result<bool> {
    let rig = blow.rig;
    let Some(claims) = rig.claim_all() else { return Ok(false) };
    let nodes: Vec<usize> = claims.iter().map(|claim| claim.place).collect();
    cut(rig, &nodes)?;
    start_all(rig, &nodes)?;
    Ok(true)
}
