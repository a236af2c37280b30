//! N20: a follower is away for so long that the log it needs is purged: it comes back by a snapshot,
//! while sensors send.

use std::time::Duration;

use anyhow::Context;
use serde_json::json;

use super::{Blow, Fault};

pub(super) const FAULT: Fault =
    Fault { id: "N20", what: "snapshot installed under load", needs: &[], strike };

/// Who is behind by more than ten times the entries between two snapshots gets a snapshot.
const ENTRIES: u64 = crate::SNAPSHOT_ENTRIES * 12;

/// Threads that commit small commands.
const WRITERS: u64 = 16;

fn strike(blow: &mut Blow<'_>) -> anyhow::Result<bool> {
    let rig = blow.rig;
    let Some(follower) = rig.claim_follower(blow.turn) else { return Ok(false) };
    let applied = |node: usize| rig.nodes[node].look().map(|view| view.applied);
    let begin = applied(follower.place).context("the follower does not answer")?;
    rig.kill(follower.place)?;
    let others = rig.others(follower.place);
    let reached = || others.iter().filter_map(|node| applied(*node)).any(|at| at > begin + ENTRIES);
    let written = std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (reached, others) = (&reached, &others);
            scope.spawn(move || write(rig, others, writer, reached));
        }
        rig.until("the log goes on", Duration::from_secs(60), || {
            std::thread::sleep(Duration::from_millis(200));
            reached()
        })
    });
    rig.restart(follower.place)?;
    written?;
    Ok(true)
}

/// Renames a site again and again.
fn write(
    rig: &wardmesh_tests::rig::Rig,
    nodes: &[usize],
    writer: u64,
    reached: &impl Fn() -> bool,
) {
    for number in 0..100_000_u64 {
        let node = nodes[number as usize / 50 % nodes.len()];
        let body = json!({ "site": format!("renamed-{writer}"), "title": format!("{number}") });
        // What is not taken is not missed.
        let _ = rig.door(node).patient(Duration::from_secs(2)).post("/api/v1/sites", &body);
        let stopped = rig.stopped.load(std::sync::atomic::Ordering::Acquire);
        if stopped || (number % 20 == 19 && reached()) {
            return;
        }
    }
}
