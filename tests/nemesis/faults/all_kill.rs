//! N3: all nodes are killed at once, as when a rack loses its power but no disk loses a byte.

use super::{Blow, Fault};

pub(super) const FAULT: Fault = Fault { id: "N3", what: "all nodes kill -9", needs: &[], strike };

fn strike(blow: &mut Blow<'_>) -> anyhow::Result<bool> {
    let Some(claims) = blow.rig.claim_all() else { return Ok(false) };
    claims.iter().try_for_each(|claim| blow.rig.kill(claim.place))?;
    let away = blow.span(200, 1_500);
    blow.rig.rest(away)?;
    claims.iter().try_for_each(|claim| blow.rig.start(claim.place))?;
    claims.iter().try_for_each(|claim| blow.rig.await_ready(claim.place).map(drop))?;
    Ok(true)
}
