//! Who is taken in when leaders change meanwhile: nobody by a leader that nobody follows, and who was
//! taken in by such a one all the same is taken in again.

use std::sync::Arc;
use std::time::Duration;

use openraft::raft::AppendEntriesRequest;
use wardmesh_common::id::{ClusterId, NodeId};

use super::bounded;
use super::trio::{Trio, identity};
use crate::raft::consensus::{Change, ChangeError};
use crate::raft::network::{Peer, Peers};
use crate::raft::rpc::{Reply, Request};
use crate::raft::types::{Entry, LeaderId, LogId, Payload, Vote};

/// Three that agree on something, and node 4, which is empty.
async fn with_a_fourth() -> Trio {
    let mut trio = Trio::start().await;
    trio.initialise(1).await;
    let leader = trio.leader().await;
    trio.submit_all(leader, 1, 0..10).await;
    trio.agree(10).await;
    trio.start_empty(4).await;
    trio
}

/// Whom the three follow; the fourth knows nobody.
async fn leader_of_three(trio: &Trio) -> NodeId {
    loop {
        let named = [1, 2, 3].map(|id| trio.node(id).status().leader.map(|(leader, _)| leader));
        if let [Some(leader), ..] = named
            && named == [Some(leader); 3]
        {
            return leader;
        }
        pause().await;
    }
}

/// Has another of the three lead; as whom, and in which term, the leader before led.
async fn hand_over(trio: &Trio) -> LeaderId {
    loop {
        let node_id = leader_of_three(trio).await;
        let earlier = LeaderId { term: trio.node(node_id).status().term, node_id };
        if trio.node(node_id).transfer_leader(Some(trio.other_than(node_id))).await {
            return earlier;
        }
    }
}

/// Adds node 4 as a voter, as often as it takes where leaders change or it catches up slowly.
async fn add_the_fourth(trio: &Trio, on: NodeId) {
    while trio.node(on).status().voters != [1, 2, 3, 4] {
        match trio.node(on).change(fourth(trio)).await {
            Ok(added) => assert_eq!(added.node, 4),
            Err(ChangeError::NoLeader | ChangeError::Unknown(_) | ChangeError::Busy) => {}
            // This node has only not heard of it yet.
            Err(ChangeError::AlreadyMember { node }) => assert_eq!(node, 4),
            Err(cause) => panic!("{cause}"),
        }
        pause().await;
    }
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

fn fourth(trio: &Trio) -> Change {
    Change::Add { address: trio.address(4), voter: true }
}

/// A leader of an earlier term has node 4 admit its volume and write down an entry that nobody else
/// ever sees.
async fn take_in_in_vain(trio: &Trio, leader_id: LeaderId) {
    let identity = identity(&trio.authority, leader_id.node_id);
    let peers = Arc::new(Peers::new(leader_id.node_id, "test".into(), &identity).unwrap());
    let peer = Peer { node: Some(4), address: trio.address(4) };
    let append = AppendEntriesRequest {
        vote: Vote { leader_id, committed: true },
        prev_log_id: None,
        entries: vec![Entry { log_id: LogId::new(leader_id, 0), payload: Payload::Blank }],
        leader_commit: None,
    };
    for request in [Request::Join(ClusterId([1; 16])), Request::Append(append)] {
        let reply = peers.call(&peer, &request, Duration::from_secs(20)).await;
        assert!(matches!(reply, Ok(Reply::Joined | Reply::Append(_))), "{reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_taken_in_by_a_leader_that_was_succeeded_is_taken_in_again() {
    bounded(async {
        let trio = with_a_fourth().await;
        let earlier = hand_over(&trio).await;
        take_in_in_vain(&trio, earlier).await;
        add_the_fourth(&trio, earlier.node_id).await;
        trio.submit_all(4, 1, 10..20).await;
        trio.agree(20).await;
        trio.shutdown().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_nobody_follows_takes_nobody_in() {
    bounded(async {
        let mut trio = with_a_fourth().await;
        let leader = leader_of_three(&trio).await;
        for follower in (1..=3).filter(|id| *id != leader) {
            trio.halt(follower).await;
        }
        let added = trio.node(leader).change(fourth(&trio)).await;
        let refused = matches!(added, Err(ChangeError::NoLeader | ChangeError::Unknown(_)));
        assert!(refused, "{added:?}");
        let mark = trio.data(4).join("cluster-id");
        assert!(!mark.exists(), "node 4 was admitted to a cluster that has not agreed on it");
        trio.shutdown().await;
    })
    .await;
}

/// As after a removal whose outcome was not known in time, and that may be agreed on any moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_be_on_its_way_out_is_not_taken_in() {
    bounded(async {
        let mut trio = with_a_fourth().await;
        let leader = leader_of_three(&trio).await;
        let learner = Change::Add { address: trio.address(4), voter: false };
        trio.node(leader).change(learner).await.unwrap();
        // What is applied is told a moment after it is answered.
        while trio.node(leader).node.never_left(5).is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for follower in (1..=3).filter(|id| *id != leader) {
            trio.halt(follower).await;
        }
        let node = &trio.node(leader).node;
        let leaving = openraft::ChangeMembers::RemoveNodes([4].into());
        let removing = node.raft.change_membership(leaving, false);
        let unknown = async {
            while node.membership().get_node(&4).is_some() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert_eq!(node.never_left(4), Err(ChangeError::Busy));
        };
        tokio::select! {
            removed = removing => panic!("agreed on without a majority: {removed:?}"),
            () = unknown => {}
        }
        trio.shutdown().await;
    })
    .await;
}
