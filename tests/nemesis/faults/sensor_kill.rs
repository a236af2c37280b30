//! N6: a sensor is killed in the middle of its work and started again over the same spool.

use super::{Blow, Fault};

pub(super) const FAULT: Fault = Fault { id: "N6", what: "sensor kill -9", needs: &[], strike };

fn strike(blow: &mut Blow<'_>) -> anyhow::Result<bool> {
    let rig = blow.rig;
    let sensor = blow.turn % rig.sensors.len();
    let Some(claim) = rig.sensors[sensor].claim(sensor) else { return Ok(false) };
    rig.sensors[claim.place].kill()?;
    let away = blow.span(100, 1_500);
    rig.rest(away)?;
    rig.run_sensor(claim.place)?;
    Ok(true)
}
