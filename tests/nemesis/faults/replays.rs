//! N22: every batch of a sensor comes ten times, to all nodes at once and in any order: it is applied
//! once.

use bytes::Bytes;
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::message::Outcome;
use wardmesh_tests::draw::Draw;
use wardmesh_tests::forge::Forge;
use wardmesh_tests::player::Player;
use wardmesh_tests::rig::{NODES, Rig};

use super::{Blow, Fault};

pub(super) const FAULT: Fault =
    Fault { id: "N22", what: "each batch ten times to all nodes", needs: &[], strike };

/// Batches of one strike.
const BATCHES: usize = 12;

/// How often each comes to each node.
const TIMES: usize = 10;

/// Copies that go over one connection: whoever brings nothing new for too long is cut off.
const PER_CONNECTION: usize = 40;

fn strike(blow: &mut Blow<'_>) -> anyhow::Result<bool> {
    let rig = blow.rig;
    let player = rig.players.lock().unwrap().first().cloned();
    let Some(player) = player else { return Ok(false) };
    let epoch = blow.draw.number();
    let mut forge = Forge::new(player.sensor, epoch);
    let frames: Vec<Bytes> = (0..BATCHES).map(|_| forge.batch()).collect();
    {
        let mut book = player.book.lock().unwrap();
        (1..=BATCHES as u64).for_each(|seq| book.note((Lane::Bulk, epoch, seq), 1, "emitted"));
    }
    let draws: Vec<Draw> = (0..NODES).map(|_| Draw::new(blow.draw.number())).collect();
    std::thread::scope(|scope| {
        for (node, draw) in draws.into_iter().enumerate() {
            let (player, frames) = (&player, &frames);
            scope.spawn(move || flood(rig, player, node, epoch, frames, draw));
        }
    });
    settle(rig, &player, epoch, &frames);
    Ok(true)
}

/// All copies in an order of their own; in front of each handful the batches in theirs, so that there
/// is something new as well. What is not answered, because a node is down, is not missed.
fn flood(rig: &Rig, player: &Player, node: usize, epoch: u64, frames: &[Bytes], mut draw: Draw) {
    let mut copies: Vec<Bytes> = std::iter::repeat_n(frames, TIMES).flatten().cloned().collect();
    draw.shuffle(&mut copies);
    for (turn, some) in copies.chunks(PER_CONNECTION).enumerate() {
        let end = frames.len().min((turn + 1) * 4);
        let all: Vec<Bytes> = frames[..end].iter().chain(some).cloned().collect();
        let _ = player.deliver(rig, node, epoch, &all);
    }
}

/// Sends them in their order until all are acknowledged, and notes which are; what is never
/// acknowledged need not be there.
fn settle(rig: &Rig, player: &Player, epoch: u64, frames: &[Bytes]) {
    let mut acked = 0;
    for turn in 0..NODES * 4 {
        let told = player.deliver(rig, turn % NODES, epoch, frames);
        let good = |told: &&Result<Outcome, String>| matches!(told, Ok(Outcome::Acknowledged(_)));
        acked = acked.max(told.iter().take_while(good).count());
        if acked == frames.len() || rig.rest(std::time::Duration::from_millis(500)).is_err() {
            break;
        }
    }
    let mut book = player.book.lock().unwrap();
    for seq in 1..=frames.len() {
        let standing = if seq <= acked { "acked" } else { "rejected" };
        book.note((Lane::Bulk, epoch, seq as u64), 1, standing);
    }
}
