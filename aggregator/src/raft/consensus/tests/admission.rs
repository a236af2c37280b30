//! Who is taken in when leaders change meanwhile: nobody by a leader that nobody follows, and who was
//! taken in by such a one all the same is taken in again.

use std::sync::Arc;
use std::time::Duration;

use openraft::raft::AppendEntriesRequest;
use wardmesh_common::id::{ClusterId, NodeId};

use super::bounded;
use super::trio::{Trio, identity};
use crate::raft::consensus::{Change, ChangeError, Role};
use crate::raft::network::{Peer, Peers};
use crate::raft::rpc::{Reply, Request};
use crate::raft::types::{Entry, LeaderId, LogId, Payload, Vote};

/// Three that agree on something, and node 4, which is empty; who leads.
async fn with_a_fourth() -> (Trio, NodeId) {
    let mut trio = Trio::start().await;
    trio.initialise(1).await;
    let leader = trio.leader().await;
    trio.submit_all(leader, 1, 0..10).await;
    trio.agree(10).await;
    trio.start_empty(4).await;
    (trio, leader)
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
        let reply = peers.call(&peer, &request, Duration::from_secs(3)).await;
        assert!(matches!(reply, Ok(Reply::Joined | Reply::Append(_))), "{reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_taken_in_by_a_leader_that_was_succeeded_is_taken_in_again() {
    bounded(async {
        let (trio, old) = with_a_fourth().await;
        let earlier = LeaderId { term: trio.node(old).status().term, node_id: old };
        let next = trio.other_than(old);
        assert!(trio.node(old).transfer_leader(Some(next)).await);
        take_in_in_vain(&trio, earlier).await;
        let added = trio.node(old).change(fourth(&trio)).await.unwrap();
        assert_eq!((added.node, added.role), (4, Role::Voter));
        trio.submit_all(4, 1, 10..20).await;
        trio.agree(20).await;
        trio.shutdown().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_nobody_follows_takes_nobody_in() {
    bounded(async {
        let (mut trio, leader) = with_a_fourth().await;
        for follower in (1..=3).filter(|id| *id != leader) {
            trio.halt(follower).await;
        }
        let added = trio.node(leader).change(fourth(&trio)).await;
        assert_eq!(added, Err(ChangeError::NoLeader));
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
        let (mut trio, leader) = with_a_fourth().await;
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
