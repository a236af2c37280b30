//! A node says what is so: its term, its reads, its disk.

use std::time::Duration;

use anyhow::Context;
use wardmesh_tests::breach::Invariant;
use wardmesh_tests::door::Answer;
use wardmesh_tests::rig::{NODES, PATIENCE, Rig};
use wardmesh_tests::watch::Watch;

/// Leaders die, and terms pass; then each node starts alone, so that nobody can tell it the term.
pub(crate) fn nodes_remember_their_term(rig: &Rig, watch: &Watch) -> anyhow::Result<()> {
    for _ in 0..2 {
        let leader = rig.await_leader()?;
        rig.kill(leader)?;
        rig.await_leader()?;
        rig.restart(leader)?;
    }
    let looks = (0..NODES).map(|node| rig.nodes[node].look().context("a node that answers"));
    let before = looks.collect::<anyhow::Result<Vec<_>>>()?;
    (0..NODES).try_for_each(|node| rig.kill(node))?;
    for (node, before) in before.iter().enumerate() {
        watch.term(rig, node, before.term);
        rig.start(node)?;
        let mut now = None;
        rig.until("a node that answers", Duration::from_secs(30), || {
            now = rig.nodes[node].look();
            now.is_some()
        })?;
        watch.term(rig, node, now.map_or(0, |view| view.term));
        rig.kill(node)?;
    }
    Ok(())
}

/// The others are asleep: the leader can ask nobody whether it still leads.
pub(crate) fn a_lonely_leader_is_asked(rig: &Rig, _: &Watch) -> anyhow::Result<()> {
    let leader = rig.await_leader()?;
    let others = rig.others(leader);
    others.iter().try_for_each(|other| rig.signal(*other, "STOP"))?;
    rig.rest(Duration::from_millis(300))?;
    let answer = rig.door(leader).read("/api/v1/cluster?consistency=linearizable");
    others.iter().try_for_each(|other| rig.signal(*other, "CONT"))?;
    if let Some(answer) = answer.ok().filter(Answer::is_good) {
        rig.breaches.note(Invariant::StaleRead, format!("alone, it answered {}", answer.text));
    }
    Ok(())
}

/// One byte in the middle of a stopped node's log is changed: the node may not serve.
pub(crate) fn a_log_is_damaged(rig: &Rig, _: &Watch) -> anyhow::Result<()> {
    for number in 0..30 {
        rig.with_mesh(|mesh| mesh.add_site("renamed", &format!("{number}")))?;
    }
    let node = rig.others(rig.await_leader()?)[0];
    rig.await_ready(node)?;
    rig.kill(node)?;
    let folder = rig.with_mesh(|mesh| mesh.nodes()[node].data.join("raft/log"));
    let files = std::fs::read_dir(&folder)?.flatten().map(|entry| entry.path());
    let chunks = files.filter(|path| path.extension().is_some_and(|extension| extension == "wal"));
    let last = chunks.max().context("a log file")?;
    let mut bytes = std::fs::read(&last)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(&last, bytes)?;
    rig.start(node)?;
    rig.expect_end(node);
    let door = rig.door(node).patient(Duration::from_secs(1));
    let (mut serves, mut ended) = (false, false);
    rig.until("a node with a damaged log serves or ends", PATIENCE, || {
        serves = door.read("/readyz").is_ok_and(|answer| answer.is_good());
        ended = rig.ended(node).is_ok_and(|status| status.is_some());
        serves || ended
    })?;
    if serves {
        let what = format!("node {} serves with {} damaged at {middle}", node + 1, last.display());
        rig.breaches.note(Invariant::ServesDamaged, what);
    }
    rig.kill(node)
}
