//! What a node notices by itself: that members moved, itself among them, that a change was left
//! unfinished, and that it was removed.
//!
//! Nobody sends anything to a node that is out. It asks: whoever hears of no leader for a while asks
//! the members that it knows, and a member tells it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use wardmesh_common::offload;
use wardmesh_common::time::Timestamp;

use super::STATUS_PATIENCE;
use super::node::{Node, peer};
use crate::raft::rpc::{Change, ChangeError, Changed, Reply, Request};
use crate::raft::standing::way_out;

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(1);

/// A silence of all leaders after which a node asks around: longer than elections take.
const SILENCE: Duration = Duration::from_secs(3);

/// Between two tries to have an own new address noted.
const ANNOUNCE_PERIOD: Duration = Duration::from_secs(10);

/// How long one try may take: the leader looks for this node there.
const ANNOUNCE_PATIENCE: Duration = Duration::from_secs(5);

/// Works until this node is out, and then has it stop.
pub(super) async fn run(node: Arc<Node>) {
    let mut looks = tokio::time::interval(PERIOD);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let standing = Arc::clone(&node.standing);
    let work = async {
        let mut announced = None;
        loop {
            looks.tick().await;
            look(&node).await;
            if announced.is_none_or(|at: Instant| at.elapsed() >= ANNOUNCE_PERIOD) {
                announced = Some(Instant::now());
                announce(&node).await;
            }
        }
    };
    let at = tokio::select! {
        biased;
        at = standing.until_removed() => at,
        () = work => return,
    };
    leave(&node, at).await;
}

/// Has the leader note where this node is now: a pod that got another name, or another port for
/// sensors. Who has just started knows no leader, so every member is asked until one does it.
async fn announce(node: &Node) {
    let membership = node.membership();
    let own = &node.settings.member;
    if membership.get_node(&node.id).is_none_or(|known| known == own) {
        return;
    }
    let change = Change::Add { address: own.raft_address.clone(), voter: false };
    if node.leads() {
        // It was found at its old address, or leads already by its new one.
        return say(&node.change_here(&change).await);
    }
    for (id, member) in membership.nodes().filter(|(id, _)| **id != node.id) {
        let (peer, request) = (peer(*id, member), Request::Change(change.clone()));
        let asked = node.peers.call(&peer, &request, ANNOUNCE_PATIENCE).await;
        if let Ok(Reply::Changed(noted)) = asked {
            return say(&noted);
        }
    }
}

fn say(noted: &Result<Changed, ChangeError>) {
    match noted {
        Ok(changed) => tracing::info!(?changed, "this node's new addresses are noted"),
        Err(cause) => tracing::warn!(%cause, "this node's new addresses are not noted yet"),
    }
}

async fn look(node: &Node) {
    let membership = node.membership();
    let addresses = membership.nodes().map(|(id, member)| (*id, member.raft_address.clone()));
    node.peers.relocate(addresses.collect());
    if node.leads() {
        node.finish_change().await;
    } else if node.silence().is_none_or(|since| since >= SILENCE) {
        let others = membership.nodes().filter(|(id, _)| **id != node.id);
        let asking = others.map(|(id, member)| {
            let peer = peer(*id, member);
            // Whoever knows that this node is out says so, whatever it is asked.
            async move { node.peers.call(&peer, &Request::Status, STATUS_PATIENCE).await }
        });
        drop(futures::future::join_all(asking).await);
    }
}

async fn leave(node: &Node, at: Timestamp) {
    let why = way_out(node.id, &at.to_string());
    tracing::error!(why, "this node is no member any more and stops");
    let standing = Arc::clone(&node.standing);
    let marked = offload::run(move || standing.mark_removed(at)).await;
    if let Err(cause) = marked.flatten() {
        tracing::warn!(%cause, "the volume could not be marked as a removed node's");
    }
    node.stop.send_replace(Some(why));
}
