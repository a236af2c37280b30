//! N21: a sensor's disk comes back as it was some time ago, and a copy of it runs as a second machine:
//! what either of them sees anew is not taken for what was sent before.

use std::path::Path;
use std::time::Duration;

use wardmesh_tests::book::Book;
use wardmesh_tests::rig::{Post, Rig};
use wardmesh_tests::shell::run;

use super::{Blow, Fault};

pub(super) const FAULT: Fault =
    Fault { id: "N21", what: "sensor disk rolled back, or cloned", needs: &[], strike };

fn strike(blow: &mut Blow<'_>) -> anyhow::Result<bool> {
    let rig = blow.rig;
    let sensor = blow.draw.below(rig.sensors.len());
    let post = &rig.sensors[sensor];
    let Some(claim) = post.claim(sensor) else { return Ok(false) };
    post.kill()?;
    let image = rig.folder().join(format!("{}-image-{}", post.name, blow.turn));
    copy(&post.spool(), &image)?;
    rig.run_sensor(claim.place)?;
    let span = blow.span(1_500, 3_000);
    if blow.turn.is_multiple_of(2) {
        rig.rest(span)?;
        post.kill()?;
        post.book.lock().unwrap().set_back()?;
        std::fs::remove_dir_all(post.spool())?;
        copy(&image, &post.spool())?;
        rig.run_sensor(claim.place)?;
    } else {
        run_clone(rig, sensor, post, &image, span)?;
    }
    std::fs::remove_dir_all(&image)?;
    Ok(true)
}

/// A second process with the same identity over a copy of the spool, beside the first; what it
/// promised counts as well.
fn run_clone(
    rig: &Rig,
    sensor: usize,
    post: &Post,
    image: &Path,
    span: Duration,
) -> anyhow::Result<()> {
    let ledger = image.with_extension("ledger.ndjson");
    let clone = rig.clone_sensor(sensor, image, &ledger, None)?;
    let rested = rig.rest(span);
    wardmesh_cli::local::Child::stop_all(vec![clone])?;
    rested?;
    // What it has left arrives: it is a sensor like any other.
    let drained = rig.drain_clone(sensor, image, &ledger);
    let mut book = Book::of(ledger);
    book.follow()?;
    post.book.lock().unwrap().absorb(book);
    drained
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    run(&["cp", "-r", &from.to_string_lossy(), &to.to_string_lossy()]).map(drop)
}
