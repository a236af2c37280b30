//! Three nodes in one process, over loopback and real disks, with a machine that only remembers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use super::*;
use crate::state::command::{DefineSite, OpenEpoch};
use crate::state::receipt::BatchReceipt;

mod admission;
mod hand_over;
mod init;
mod members;
mod room;
mod strangers;
mod trio;

use trio::{Trio, found, submission};
use wardmesh_common::id::{ClusterId, SensorId, TenantId};

/// A test that needs longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

async fn bounded<F: Future>(test: F) -> F::Output {
    tokio::time::timeout(PATIENCE, test).await.expect("the test takes too long")
}

fn site() -> Action {
    Action::DefineSite(DefineSite {
        tenant: "default".parse().unwrap(),
        site: "st-jude".parse().unwrap(),
        title: "St Jude".into(),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_agree_and_go_on_without_their_leader() {
    bounded(async {
        let mut trio = Trio::start().await;
        trio.initialise(1).await;
        let leader = trio.leader().await;
        let follower = trio.other_than(leader);

        let (receipt, index) = trio.node(follower).propose(site()).await.unwrap();
        assert_eq!(receipt, Receipt::Accepted);
        assert!(index > 0);
        trio.submit_all(follower, 1, 0..200).await;
        trio.submit_all(leader, 2, 0..200).await;
        assert!(trio.machine(leader).commands() < 300, "batches must be joined");
        trio.agree(400).await;

        // While two sensors go on sending, the leader is gone from one moment to the next.
        let (one, two) = (follower, 6 - leader - follower);
        let gone = trio.take(leader);
        tokio::join!(
            trio.submit_all(one, 1, 200..250),
            trio.submit_all(two, 2, 200..250),
            gone.halt(),
        );
        drop(gone);
        assert_ne!(trio.leader().await, leader);

        trio.restart(leader).await;
        trio.agree(500).await;
        let order: Vec<u64> = (0..250).collect();
        assert_eq!(trio.machine(leader).of(1), order, "a sensor's order holds");
        assert_eq!(trio.machine(leader).of(2), order);
        trio.shutdown().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_consistency_is_answered_by_a_follower() {
    bounded(async {
        let trio = Trio::start().await;
        trio.initialise(1).await;
        let follower = trio.other_than(trio.leader().await);
        let (_, written) = trio.node(follower).propose(site()).await.unwrap();
        for consistency in [Consistency::Leader, Consistency::Linearizable] {
            let read = trio.node(follower).read_index(consistency).await.unwrap();
            assert!(read >= written, "{consistency:?}: {read} < {written}");
        }
        let local = trio.node(follower).read_index(Consistency::Local).await.unwrap();
        assert!(local >= written);

        let members = trio.node(follower).members().await;
        let applied: Vec<_> = members.iter().map(|m| m.status.clone().unwrap().leader).collect();
        assert_eq!(applied, [Some(trio.leader().await); 3]);
        let status = trio.node(follower).status();
        assert_eq!(status.voters, [1, 2, 3]);
        assert!(status.last_leader_contact.unwrap() < Duration::from_secs(5));
        trio.shutdown().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_minority_neither_writes_nor_reads() {
    bounded(async {
        let mut trio = Trio::start().await;
        trio.initialise(2).await;
        let leader = trio.leader().await;
        for node in [1, 2, 3] {
            if node != leader {
                trio.halt(node).await;
            }
        }
        let read = trio.node(leader).read_index(Consistency::Linearizable).await;
        assert!(matches!(read, Err(ReadError::NoLeader(_))), "{read:?}");
        let open = OpenEpoch {
            sensor: SensorId([1; 16]),
            tenant: TenantId::default_tenant(),
            epoch: 1,
            held: vec![],
            lane: wardmesh_common::wire::Lane::Bulk,
            tails: vec![],
            remote: String::new(),
            version: "1".into(),
        };
        let write = tokio::time::timeout(
            Duration::from_secs(2),
            trio.node(leader).propose(Action::OpenEpoch(open)),
        );
        assert!(!matches!(write.await, Ok(Ok(_))), "written without a quorum");
        trio.node(leader).halt().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_far_behind_is_sent_a_snapshot() {
    bounded(async {
        let mut trio = Trio::start().await;
        trio.initialise(3).await;
        let leader = trio.leader().await;
        let follower = trio.other_than(leader);
        trio.submit_all(leader, 1, 0..10).await;
        trio.agree(10).await;
        let seen = trio.node(follower).log().kept().end;
        trio.halt(follower).await;
        trio.submit_all(leader, 1, 10..40).await;
        trio.purge(leader).await;
        assert!(trio.node(leader).log().kept().start > seen);

        trio.restart(follower).await;
        trio.agree(40).await;
        assert!(trio.machine(follower).restored() > 0, "it was not sent a snapshot");
        trio.submit_all(follower, 1, 40..45).await;
        trio.agree(45).await;
        trio.shutdown().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_is_handed_over() {
    bounded(async {
        let trio = Trio::start().await;
        trio.initialise(1).await;
        let leader = trio.leader().await;
        let next = trio.other_than(leader);
        assert!(trio.node(leader).transfer_leader(Some(next)).await);
        assert_eq!(trio.leader().await, next);
        let (_, index) = trio.node(leader).propose(site()).await.unwrap();
        assert!(index > 0);
        trio.shutdown().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_made_once_and_of_empty_nodes() {
    bounded(async {
        let trio = Trio::start().await;
        let seeds = trio.seeds();
        let node = trio.node(1);
        let missing = node.initialise(3, &seeds[..2], found()).await;
        assert_eq!(missing, Err(InitError::Count { expected: 3, given: 2 }));
        let twice = [seeds[0].clone(), seeds[1].clone(), seeds[1].clone()];
        let twice = node.initialise(3, &twice, found()).await;
        assert!(matches!(twice, Err(InitError::Twice { node_id: 2, .. })), "{twice:?}");
        let others = node.initialise(2, &seeds[1..], found()).await;
        assert_eq!(others, Err(InitError::NotAMember(1)));

        trio.initialise(1).await;
        let fewer = trio.node(2).initialise(2, &seeds[1..], found()).await;
        assert!(matches!(fewer, Err(InitError::NotEmpty { .. })), "{fewer:?}");
        let submitted = trio.node(3).enqueue(submission(9, 0)).await.unwrap();
        assert_eq!(submitted.0, BatchReceipt::Applied);
        trio.shutdown().await;
    })
    .await;
}

/// Its members are written down, and the leader fails before the first command is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_init_that_was_cut_short_is_gone_on_with() {
    bounded(async {
        let trio = Trio::start().await;
        trio.initialise(1).await;
        let Action::Found { key, admin_token, .. } = found() else { panic!() };
        let other = Action::Found { cluster: ClusterId([9; 16]), key, admin_token };
        for node in [1, 2] {
            // Whether it was founded meanwhile the state knows: it answers the command.
            let again = trio.node(node).initialise(3, &trio.seeds(), other.clone()).await;
            let (receipt, _) = again.unwrap();
            assert_eq!(receipt, Receipt::Founded(ClusterId([1; 16])), "it has its name already");
        }
        trio.shutdown().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_cluster_comes_back_from_its_disks() {
    bounded(async {
        let mut trio = Trio::start().await;
        trio.initialise(1).await;
        let leader = trio.leader().await;
        trio.submit_all(leader, 1, 0..30).await;
        trio.agree(30).await;
        trio.node(leader).snapshot_and_purge().await.unwrap();
        trio.submit_all(leader, 1, 30..60).await;
        trio.agree(60).await;
        for node in [1, 2, 3] {
            trio.halt(node).await;
        }
        for node in [1, 2, 3] {
            trio.restart(node).await;
        }
        let leader = trio.leader().await;
        trio.submit_all(trio.other_than(leader), 1, 60..70).await;
        trio.agree(70).await;
        assert_eq!(trio.machine(leader).of(1), (0..70).collect::<Vec<_>>());
        trio.shutdown().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_leaves_in_order_is_succeeded_at_once() {
    bounded(async {
        let mut trio = Trio::start().await;
        trio.initialise(1).await;
        let leader = trio.leader().await;
        trio.submit_all(leader, 1, 0..5).await;
        trio.agree(5).await;
        let left = std::time::Instant::now();
        trio.leave(leader).await;
        let next = trio.leader().await;
        assert!(left.elapsed() < Duration::from_secs(15), "{:?}", left.elapsed());
        trio.submit_all(next, 1, 5..10).await;
        trio.agree(10).await;
        trio.shutdown().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_of_one_serves() {
    bounded(async {
        let trio = Trio::start().await;
        let node = trio.node(1);
        // Without seeds, its own address is taken.
        node.initialise(1, &[], found()).await.unwrap();
        for number in 0..5 {
            let (receipt, _) = node.enqueue(submission(1, number)).await.unwrap();
            assert_eq!(receipt, BatchReceipt::Applied);
        }
        tokio::time::sleep(Timing::default().election_max * 3).await;
        let (_, written) = node.propose(site()).await.unwrap();
        assert!(node.read_index(Consistency::Linearizable).await.unwrap() >= written);
        trio.shutdown().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_cannot_be_decoded_stops_the_node() {
    bounded(async {
        let trio = Trio::start().await;
        strangers::append_from_the_future(&trio).await;
        let why = trio.node(1).stopped().await;
        assert!(why.contains("entry 5") && why.contains("version 99"), "{why}");
        assert_eq!(trio.node(1).counts().refused_calls, 1);
        trio.shutdown().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_outage_time_goes_on_where_the_members_clocks_agree() {
    bounded(async {
        let trio = Trio::start().await;
        let yesterday = wardmesh_common::clock::now().minus(Duration::from_secs(86_400));
        for node in [1, 2, 3] {
            trio.node(node).node.clock.observe(yesterday);
        }
        trio.initialise(1).await;
        let leader = trio.leader().await;
        while wardmesh_common::clock::now().since(trio.machine(leader).last()).as_secs() > 5 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        trio.shutdown().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_or_mislabelled_snapshot_is_not_installed() {
    bounded(async {
        let trio = Trio::start().await;
        strangers::send_bad_snapshots(&trio).await;
        trio.initialise(1).await;
        trio.submit_all(1, 1, 0..3).await;
        trio.agree(3).await;
        strangers::send_a_snapshot_in_two_parts(&trio).await;
        trio.shutdown().await;
    })
    .await;
}
