//! Members come, move and go; who is out stays out, and who lost its disk does not vote again.

use std::time::{Duration, Instant};

use wardmesh_common::id::NodeId;

use super::bounded;
use super::trio::{Trio, submission};
use crate::raft::consensus::{Change, ChangeError, Changed, Consistency, ReadError, Role};
use crate::state::receipt::BatchReceipt;

fn add(address: String) -> Change {
    Change::Add { address, voter: true }
}

fn remove(node: NodeId) -> Change {
    Change::Remove { node, force: false }
}

async fn founded() -> Trio {
    let trio = Trio::start().await;
    trio.initialise(1).await;
    trio.leader().await;
    trio
}

fn role(changed: Result<Changed, ChangeError>) -> (NodeId, Role) {
    let changed = changed.unwrap();
    (changed.node, changed.role)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_become_five_and_three_again() {
    bounded(async {
        let mut trio = founded().await;
        trio.submit_all(1, 1, 0..20).await;
        for node in [4, 5] {
            let follower = trio.other_than(trio.leader().await);
            trio.start_empty(node).await;
            let added = trio.node(follower).change(add(trio.address(node))).await;
            assert_eq!(role(added), (node, Role::Voter));
            let begin = u64::from(node == 5) * 10;
            trio.submit_all(node, 2, begin..begin + 10).await;
        }
        trio.agree(40).await;
        assert_eq!(trio.node(5).status().voters, [1, 2, 3, 4, 5]);

        // Two go: one that follows, asked of itself, and the leader, which hands over first.
        let leader = trio.leader().await;
        let follower = if leader == 1 { 2 } else { 1 };
        for gone in [follower, leader] {
            assert_eq!(role(trio.node(gone).change(remove(gone)).await), (gone, Role::Gone));
            let why = trio.node(gone).stopped().await;
            assert!(why.contains(&format!("node {gone} was removed from the cluster")), "{why}");
            trio.halt(gone).await;
            let again = trio.refused_start(gone).await;
            assert!(again.contains("under a new node id"), "{again}");
        }
        let leader = trio.leader().await;
        trio.submit_all(leader, 1, 20..30).await;
        trio.agree(50).await;
        assert_eq!(trio.node(leader).status().voters.len(), 3);
        trio.shutdown().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_is_never_used_again() {
    bounded(async {
        let mut trio = founded().await;
        let leader = trio.leader().await;
        let gone = trio.other_than(leader);
        trio.halt(gone).await;
        assert_eq!(role(trio.node(leader).change(remove(gone)).await), (gone, Role::Gone));
        // Asked again after an outcome that was not known.
        assert_eq!(role(trio.node(leader).change(remove(gone)).await), (gone, Role::Gone));
        // With its old disk it learns of it and stops, without an election.
        let term = trio.node(leader).status().term;
        trio.restart(gone).await;
        let why = trio.node(gone).stopped().await;
        assert!(why.contains("wardmesh cluster add"), "{why}");
        assert_eq!(trio.node(leader).status().term, term);
        trio.halt(gone).await;
        // With an empty one it is not taken.
        trio.wipe(gone);
        trio.restart(gone).await;
        let added = trio.node(leader).change(add(trio.address(gone))).await;
        assert!(
            matches!(added, Err(ChangeError::Retired { node, .. }) if node == gone),
            "{added:?}"
        );
        trio.shutdown().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_member_neither_votes_nor_takes_the_log() {
    bounded(async {
        let mut trio = founded().await;
        let leader = trio.leader().await;
        let wiped = trio.other_than(leader);
        trio.submit_all(leader, 1, 0..5).await;
        trio.halt(wiped).await;
        trio.wipe(wiped);
        trio.restart(wiped).await;
        while trio.node(wiped).fault().is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let fault = trio.node(wiped).fault().unwrap();
        assert!(fault.contains(&format!("wardmesh cluster replace {wiped}")), "{fault}");
        assert!(trio.machine(wiped).batches().is_empty());
        let back = trio.node(leader).change(add(trio.address(wiped))).await;
        assert_eq!(back, Err(ChangeError::Wiped { node: wiped }));
        // The other one and it are no majority.
        trio.halt(leader).await;
        let other = 6 - leader - wiped;
        let read = trio.node(other).read_index(Consistency::Linearizable).await;
        assert!(matches!(read, Err(ReadError::NoLeader(_))), "{read:?}");
        trio.restart(leader).await;
        // Its successor gets another id and the same part.
        trio.start_empty(4).await;
        let replace = Change::Replace { node: wiped, address: trio.address(4) };
        // Twice: the outcome of the first may not have been known.
        for _ in 0..2 {
            let replaced = trio.node(other).change(replace.clone()).await;
            assert_eq!(role(replaced), (4, Role::Voter));
        }
        let mut voters = vec![leader, other, 4];
        voters.sort_unstable();
        assert_eq!(trio.node(other).status().voters, voters);
        trio.halt(wiped).await;
        trio.submit_all(4, 1, 5..10).await;
        trio.agree(10).await;
        trio.shutdown().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_lose_the_quorum_is_refused() {
    bounded(async {
        let mut trio = founded().await;
        let leader = trio.leader().await;
        let (dead, alive) = (trio.other_than(leader), 6 - leader - trio.other_than(leader));
        trio.halt(dead).await;
        // The dead one was heard a moment ago.
        tokio::time::sleep(Duration::from_secs(4)).await;
        let refused = trio.node(leader).change(remove(alive)).await;
        assert_eq!(refused, Err(ChangeError::QuorumAtRisk { voters: 2, heard: 1 }));
        let transfer = trio.node(leader).change(Change::Transfer { to: Some(dead) }).await;
        assert!(matches!(transfer, Err(ChangeError::Refused(_))), "{transfer:?}");
        assert_eq!(role(trio.node(leader).change(remove(dead)).await), (dead, Role::Gone));
        let unknown = trio.node(alive).change(Change::Promote { node: 9 }).await;
        assert_eq!(unknown, Err(ChangeError::NoSuchMember { node: 9 }));
        let twice = trio.node(alive).change(add(trio.address(leader))).await;
        assert_eq!(twice, Err(ChangeError::AlreadyMember { node: leader }));
        trio.shutdown().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_moved_is_found_at_its_new_address() {
    bounded(async {
        let mut trio = founded().await;
        let leader = trio.leader().await;
        let moved = trio.other_than(leader);
        trio.halt(moved).await;
        trio.relocate(moved);
        trio.restart(moved).await;
        trio.submit_all(leader, 1, 0..5).await;
        let added = trio.node(leader).change(add(trio.address(moved))).await;
        // It may have said so itself by then.
        let known = Err(ChangeError::AlreadyMember { node: moved });
        if added != known {
            assert_eq!(role(added), (moved, Role::Voter));
        }
        let members = trio.node(leader).status().members;
        assert_eq!(members[&moved].raft_address, trio.address(moved));
        trio.agree(5).await;
        // The leader moves, and is not asked for.
        let moved = trio.leader().await;
        trio.halt(moved).await;
        trio.relocate(moved);
        trio.restart(moved).await;
        let other = trio.other_than(moved);
        trio.submit_all(other, 1, 5..10).await;
        trio.agree(10).await;
        trio.shutdown().await;
    })
    .await;
}

/// Its vote is gone with the log: with a new one it could vote twice in the same term.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_volume_without_its_log_or_its_mark_is_refused() {
    bounded(async {
        let mut trio = founded().await;
        let node = trio.other_than(trio.leader().await);
        trio.submit_all(node, 1, 0..5).await;
        trio.agree(5).await;
        trio.halt(node).await;
        let (data, away) = (trio.data(node).to_owned(), trio.data(node).join("away"));
        for (gone, said) in [("raft", "its Raft log is gone"), ("cluster-id", "is missing")] {
            std::fs::rename(data.join(gone), &away).unwrap();
            for _ in 0..2 {
                let why = trio.refused_start(node).await;
                assert!(why.contains(said) && why.contains("cluster-id"), "{why}");
            }
            assert!(gone != "raft" || !data.join("raft/log").exists(), "it began a new one");
            std::fs::rename(&away, data.join(gone)).unwrap();
        }
        trio.restart(node).await;
        trio.submit_all(node, 1, 5..8).await;
        trio.agree(8).await;
        trio.shutdown().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_clusters_nodes_are_refused() {
    bounded(async {
        let mut trio = founded().await;
        let leader = trio.leader().await;
        let stray = trio.other_than(leader);
        trio.submit_all(leader, 1, 0..5).await;
        trio.agree(5).await;
        trio.halt(stray).await;
        // As after a second founding under the same certificates.
        let mark = trio.data(stray).join("cluster-id");
        std::fs::write(&mark, "6f2c0e9a-0f5b-4d31-9f0e-5b1d2c3a4e5f").unwrap();
        let term = trio.node(leader).status().term;
        trio.restart(stray).await;
        trio.submit_all(leader, 1, 5..10).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(trio.machine(stray).batches().len(), 5, "it takes nothing from them");
        assert_eq!(trio.node(leader).status().term, term, "it disturbs nobody");
        trio.shutdown().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hand_over_refuses_nothing() {
    bounded(async {
        let trio = founded().await;
        let mut longest = Duration::ZERO;
        let mut numbers = [0_u64; 4];
        for round in 0..4 {
            let leader = trio.leader().await;
            let transfer = async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                trio.node(leader).change(Change::Transfer { to: None }).await
            };
            let (longest, numbers) = (&mut longest, &mut numbers);
            let submit = async {
                let (begun, mut last) = (Instant::now(), Instant::now());
                while begun.elapsed() < Duration::from_millis(600) {
                    let sent = [1, 2, 3].map(|node| {
                        let number = numbers[node];
                        let submission = submission(node as u8, number);
                        trio.node(node as u64).enqueue(submission)
                    });
                    for (node, answer) in (1..).zip(futures::future::join_all(sent).await) {
                        // Nothing was refused, and nothing was overtaken. What a follower had sent to
                        // the old leader it may have sent to the new one as well.
                        let receipt = answer.unwrap().0;
                        let taken = matches!(
                            receipt,
                            BatchReceipt::Applied | BatchReceipt::Duplicate { .. }
                        );
                        assert!(taken, "round {round}: {receipt:?}");
                        numbers[node as usize] += 1;
                    }
                    *longest = last.elapsed().max(*longest);
                    last = Instant::now();
                }
            };
            let (changed, ()) = tokio::join!(transfer, submit);
            assert_ne!(changed.unwrap().node, leader);
        }
        assert!(longest < Duration::from_secs(1), "nothing was acknowledged for {longest:?}");
        println!("the longest silence in a hand-over: {longest:?}");
        let written = trio.node(1).read_index(Consistency::Linearizable).await.unwrap();
        assert!(written > 0);
        trio.shutdown().await;
    })
    .await;
}
