//! N2: a follower is killed and started again: nobody notices.

use super::{Blow, Fault};

pub(super) const FAULT: Fault = Fault { id: "N2", what: "follower kill -9", needs: &[], strike };

fn strike(blow: &mut Blow<'_>) -> anyhow::Result<bool> {
    let Some(follower) = blow.rig.claim_follower(blow.turn) else { return Ok(false) };
    blow.rig.kill(follower.place)?;
    let away = blow.span(500, 3_000);
    blow.rig.rest(away)?;
    blow.rig.restart(follower.place)?;
    Ok(true)
}
