//! N13: the leader stops without dying, as a suspended machine does, and wakes up believing that it
//! leads: a linearizable read then knows all that was acknowledged meanwhile.

use std::time::Duration;

use super::{Blow, Fault};

pub(super) const FAULT: Fault =
    Fault { id: "N13", what: "leader asleep for 1 to 30 s", needs: &[], strike };

/// Every so often it sleeps long.
const LONG_EVERY: usize = 5;

fn strike(blow: &mut Blow<'_>) -> anyhow::Result<bool> {
    let rig = blow.rig;
    let Some(leader) = rig.claim_leader() else { return Ok(false) };
    let long = blow.turn % LONG_EVERY == LONG_EVERY - 1;
    let span = if long { blow.span(15_000, 30_000) } else { blow.span(1_000, 6_000) };
    rig.signal(leader.place, "STOP")?;
    let slept = rig.rest(span);
    rig.signal(leader.place, "CONT")?;
    slept?;
    for _ in 0..3 {
        blow.watch.read(rig, leader.place);
        rig.rest(Duration::from_millis(50))?;
    }
    rig.await_ready(leader.place)?;
    Ok(true)
}
