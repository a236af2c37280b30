//! N21: a sensor's disk comes back as it was some time ago, and a copy of it runs as a second machine:
//! what either of them sees anew is not taken for what was sent before.

use std::path::Path;

use wardmesh_tests::shell::run;

use super::{Blow, Fault, clone};

pub(super) const FAULT: Fault =
    Fault { id: "N21", what: "sensor disk rolled back, or cloned", needs: &[], strike };

/// Sensors that it leaves alone, one at each site: what their ledgers say is judged without excuse.
const SPARED: usize = 3;

fn strike(blow: &mut Blow<'_>) -> anyhow::Result<bool> {
    let rig = blow.rig;
    let sensor = blow.draw.below(rig.sensors.len() - SPARED);
    let post = &rig.sensors[sensor];
    let Some(claim) = post.claim(sensor) else { return Ok(false) };
    post.book.lock().unwrap().excused = true;
    post.kill()?;
    let image = rig.folder().join(format!("{}-image-{}", post.name, blow.turn));
    copy(&post.spool(), &image)?;
    rig.run_sensor(claim.place)?;
    let span = blow.span(1_500, 3_000);
    if blow.turn.is_multiple_of(2) {
        rig.rest(span)?;
        post.kill()?;
        std::fs::remove_dir_all(post.spool())?;
        copy(&image, &post.spool())?;
        rig.run_sensor(claim.place)?;
    } else {
        clone::run(rig, sensor, &image, span)?;
    }
    std::fs::remove_dir_all(&image)?;
    Ok(true)
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    run(&["cp", "-r", &from.to_string_lossy(), &to.to_string_lossy()]).map(drop)
}
