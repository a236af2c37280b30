//! N19: a node loses its disk for good and is replaced by a new one, under load. The old id stays out.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wardmesh_tests::rig::Rig;

use super::{Blow, Fault};

pub(super) const FAULT: Fault =
    Fault { id: "N19", what: "node wiped and replaced", needs: &[], strike };

/// From the loss of the disk to a full member.
const MEMBER_WITHIN: Duration = Duration::from_secs(60);

fn strike(blow: &mut Blow<'_>) -> anyhow::Result<bool> {
    let rig = blow.rig;
    let Some(lost) = rig.claim_follower(blow.turn) else { return Ok(false) };
    rig.kill(lost.place)?;
    let (old, new, address) = rig.renew(lost.place)?;
    blow.watch.forget(lost.place);
    rig.start(lost.place)?;
    let door = rig.door(lost.place).patient(Duration::from_secs(2));
    rig.until("the new node answers", MEMBER_WITHIN, || door.read("/version").is_ok())?;
    let others = rig.others(lost.place);
    let begun = Instant::now();
    let mut last = Value::Null;
    while !is_done(rig, &others, old, new) {
        anyhow::ensure!(
            begun.elapsed() < MEMBER_WITHIN,
            "node {old} is not replaced by {new} within {MEMBER_WITHIN:?}: {last}"
        );
        let path = format!("/api/v1/cluster/members/{old}/replace");
        for other in &others {
            let asked = rig.door(*other).post(&path, &json!({ "address": address }));
            last = asked.map_or_else(Value::from, |answer| answer.json());
        }
        rig.rest(Duration::from_millis(200))?;
    }
    rig.await_ready(lost.place)?;
    Ok(true)
}

/// Whether the new one votes and the old one is no member.
fn is_done(rig: &Rig, nodes: &[usize], old: u64, new: u64) -> bool {
    nodes.iter().any(|node| {
        let path = "/api/v1/cluster?consistency=linearizable";
        let Some(cluster) = rig.door(*node).json(path) else { return false };
        let members = cluster["members"].as_array().cloned().unwrap_or_default();
        let votes = |id: u64| members.iter().any(|one| one["id"] == id && one["voter"] == true);
        votes(new) && !members.iter().any(|one| one["id"] == old)
    })
}
