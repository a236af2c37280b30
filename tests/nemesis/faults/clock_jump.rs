//! N18: clocks of nodes and sensors jump by an hour, a year, and to 1970, and back while they run.

use std::time::Duration;

use wardmesh_common::clock;
use wardmesh_tests::ground::Need;
use wardmesh_tests::rig::NODES;

use super::{Blow, Fault};

pub(super) const FAULT: Fault =
    Fault { id: "N18", what: "clocks jump", needs: &[Need::Faketime], strike };

/// An hour and a year, seconds.
const SPANS: [i64; 2] = [3_600, 365 * 86_400];

fn strike(blow: &mut Blow<'_>) -> anyhow::Result<bool> {
    let rig = blow.rig;
    let since = clock::now().as_nanos() / 1_000_000_000;
    let to_1970 = 86_400 - i64::try_from(since)?;
    let jumps = [SPANS[0], -SPANS[0], SPANS[1], -SPANS[1], to_1970];
    let jump = jumps[blow.turn % jumps.len()];
    // A node and a sensor at a time, so that all of them had all jumps in the end.
    let node = blow.draw.below(NODES);
    let sensor = blow.draw.below(rig.sensors.len());
    let node_clock = rig.folder().join(format!("node-{}.clock", node + 1));
    let clocks = [node_clock, rig.sensors[sensor].clock.clone()];
    clocks.iter().try_for_each(|clock| std::fs::write(clock, format!("{jump:+}s\n")))?;
    let span = blow.span(3_000, 6_000);
    let rested = rig.rest(span);
    clocks.iter().try_for_each(|clock| std::fs::write(clock, "+0s\n"))?;
    rested?;
    rig.rest(Duration::from_millis(1_500))?;
    Ok(true)
}
