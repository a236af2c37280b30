//! A batch is applied once, and only as what its sender is.

use std::sync::Arc;

use bytes::Bytes;
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::message::Outcome;
use wardmesh_tests::breach::Invariant;
use wardmesh_tests::forge::Forge;
use wardmesh_tests::player::Player;
use wardmesh_tests::rig::Rig;
use wardmesh_tests::verdict::{agree, compare};
use wardmesh_tests::watch::Watch;

/// The start under which everything is sent.
const EPOCH: u64 = 0xfeed;

/// Batches that are sent.
const BATCHES: u64 = 6;

fn enrol(rig: &Rig, name: &str, site: &str) -> anyhow::Result<Arc<Player>> {
    let player = Arc::new(Player::enrol(rig, name, site)?);
    rig.players.lock().unwrap().push(Arc::clone(&player));
    Ok(player)
}

/// Batches of one event, promised.
fn promised(player: &Player) -> Vec<Bytes> {
    let mut forge = Forge::new(player.sensor, EPOCH);
    let mut book = player.book.lock().unwrap();
    (1..=BATCHES)
        .map(|seq| {
            book.note((Lane::Bulk, EPOCH, seq), 1, "emitted");
            forge.batch()
        })
        .collect()
}

/// Delivers them; all must be acknowledged.
fn deliver(rig: &Rig, player: &Player, frames: &[Bytes]) -> anyhow::Result<()> {
    let leader = rig.await_leader()?;
    let told = player.deliver(rig, leader, EPOCH, frames);
    let acked = told.iter().filter(|told| matches!(told, Ok(Outcome::Acknowledged(_)))).count();
    anyhow::ensure!(acked == frames.len(), "not all were acknowledged: {told:?}");
    let mut book = player.book.lock().unwrap();
    (1..=BATCHES).for_each(|seq| book.note((Lane::Bulk, EPOCH, seq), 1, "acked"));
    Ok(())
}

/// The same batches, twice to the same node.
pub(crate) fn batches_come_again(rig: &Rig, _: &Watch) -> anyhow::Result<()> {
    come_again(rig).map(drop)
}

fn come_again(rig: &Rig) -> anyhow::Result<(Arc<Player>, Vec<Bytes>)> {
    let player = enrol(rig, "player", "a")?;
    let frames = promised(&player);
    deliver(rig, &player, &frames)?;
    deliver(rig, &player, &frames)?;
    agree(rig)?;
    compare(rig)?;
    Ok((player, frames))
}

/// The same batches, again to the same node, and once more when that has been killed.
pub(crate) fn batches_come_again_after_a_change(rig: &Rig, _: &Watch) -> anyhow::Result<()> {
    let (player, frames) = come_again(rig)?;
    anyhow::ensure!(rig.breaches.all().is_empty(), "one process forgot what it was sent");
    let leader = rig.await_leader()?;
    rig.kill(leader)?;
    let next = rig.await_leader()?;
    anyhow::ensure!(next != leader, "the leader was killed");
    deliver(rig, &player, &frames)?;
    rig.restart(leader)?;
    agree(rig)?;
    compare(rig).map(drop)
}

/// A sensor of one site sends a batch in the name of a sensor of another.
pub(crate) fn a_sensor_names_another(rig: &Rig, _: &Watch) -> anyhow::Result<()> {
    let (thief, victim) = (enrol(rig, "thief", "a")?, enrol(rig, "victim", "b")?);
    let leader = rig.await_leader()?;
    // The victim's start is open; it has sent nothing.
    let opened = victim.deliver(rig, leader, EPOCH, &[]);
    anyhow::ensure!(opened.is_empty(), "the victim cannot say hello: {opened:?}");
    let stolen = Forge::new(thief.sensor, EPOCH).batch_naming(victim.sensor);
    let told = thief.deliver(rig, leader, EPOCH, &[stolen]);
    if !matches!(told.as_slice(), [Ok(Outcome::Rejected(_)) | Err(_)]) {
        rig.breaches.note(Invariant::Admitted, format!("a batch in another's name: {told:?}"));
    }
    agree(rig)?;
    compare(rig).map(drop)
}
