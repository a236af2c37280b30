//! What a node notices by itself: that members moved, that a change was left unfinished, and that it
//! was removed itself.
//!
//! Nobody sends anything to a node that is out. It asks: whoever hears of no leader for a while asks
//! the members that it knows, and a member tells it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use wardmesh_common::time::Timestamp;

use super::STATUS_PATIENCE;
use super::node::{Node, peer};
use crate::raft::rpc::Request;
use crate::raft::standing::way_out;

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(1);

/// A silence of all leaders after which a node asks around: longer than elections take.
const SILENCE: Duration = Duration::from_secs(3);

/// Works until this node is out, and then has it stop.
pub(super) async fn run(node: Arc<Node>) {
    let mut looks = tokio::time::interval(PERIOD);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let standing = Arc::clone(&node.standing);
    let removed = standing.until_removed();
    tokio::pin!(removed);
    loop {
        tokio::select! {
            at = &mut removed => return leave(&node, at).await,
            () = async {
                looks.tick().await;
                look(&node).await;
            } => {}
        }
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
    let marked = tokio::task::spawn_blocking(move || standing.mark_removed(at)).await;
    if let Ok(Err(cause)) = marked {
        tracing::warn!(%cause, "the volume could not be marked as a removed node's");
    }
    node.stop.send_replace(Some(why));
}
