//! N1: the leader is killed as a power cut would do it to the process, and started again.

use std::time::Duration;

use super::{Blow, Fault};

/// How long it stays away.
const AWAY: Duration = Duration::from_secs(3);

pub(super) const FAULT: Fault = Fault { id: "N1", what: "leader kill -9", needs: &[], strike };

fn strike(blow: &mut Blow<'_>) -> anyhow::Result<bool> {
    let Some(leader) = blow.rig.claim_leader() else { return Ok(false) };
    blow.rig.kill(leader.place)?;
    blow.rig.rest(AWAY)?;
    blow.rig.restart(leader.place)?;
    Ok(true)
}
