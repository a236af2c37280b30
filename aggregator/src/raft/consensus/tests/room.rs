//! Volumes that run full: what is refused, who leads then, what is said of it, and that it all goes on
//! by itself.

use super::trio::LIMITS;
use super::*;

/// Everything that can be full, from hardly used to the last byte.
const LOW: u64 = LIMITS.low - 1;
const CRITICAL: u64 = LIMITS.reserve - 1;

async fn until(what: &str, mut is: impl FnMut() -> bool) {
    for _ in 0..1_500 {
        if is() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not in time: {what}");
}

fn says(trio: &Trio, on: NodeId, of: NodeId, enough: bool) -> bool {
    let reports = trio.machine(on).reports();
    reports.iter().any(|report| report.node == of && report.enough == enough)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_follower_stands_back_and_catches_up() {
    bounded(async {
        let trio = Trio::start().await;
        trio.initialise(1).await;
        let leader = trio.leader().await;
        let (full, other) = (trio.other_than(leader), 6 - leader - trio.other_than(leader));
        trio.leave_room(full, CRITICAL);
        // A look at the volume holds for a moment, and what was on its way then still comes in.
        until("it is reported", || says(&trio, leader, full, false)).await;
        let before = trio.node(full).log().kept().end;
        trio.submit_all(leader, 1, 0..50).await;
        until("the others have it", || trio.machine(other).of(1).len() == 50).await;
        assert_eq!(trio.node(full).log().kept().end, before, "it took entries");
        assert_ne!(trio.leader().await, full, "it knows who leads");

        trio.leave_room(full, u64::MAX);
        trio.agree(50).await;
        until("its room is reported", || says(&trio, full, full, true)).await;
        trio.shutdown().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_on_request_asks_for_room_and_for_what_is_archived_before_it() {
    bounded(async {
        let trio = Trio::start().await;
        trio.initialise(1).await;
        let leader = trio.leader().await;
        trio.submit_all(leader, 1, 0..5).await;
        trio.agree(5).await;
        // (bytes left above the reserve, bytes to be archived before) → whether there is room
        let mib = 1 << 20;
        for (left, unarchived, fits) in
            [(3 * mib, 0, false), (8 * mib, 6 * mib, false), (8 * mib, 0, true)]
        {
            trio.unarchived(unarchived);
            trio.leave_room(leader, LIMITS.reserve + left);
            tokio::time::sleep(Duration::from_millis(50)).await;
            let before = trio.node(leader).status().snapshot;
            let built = trio.node(leader).snapshot_and_purge().await;
            assert_eq!(built.is_ok(), fits, "{left} {unarchived}: {built:?}");
            assert_eq!(trio.node(leader).status().snapshot > before, fits);
            if let Err(why) = built {
                let folder = trio.data(leader).parent().unwrap().display().to_string();
                assert!(why.to_string().contains(&folder), "{why}");
            }
        }
        trio.shutdown().await;
    })
    .await;
}

/// Who leads in which term, as a node says.
fn leadership(trio: &Trio, on: NodeId) -> (Option<NodeId>, u64) {
    let status = trio.node(on).status();
    (status.leader.map(|(id, _)| id), status.term)
}

/// Waits until the one with room leads, and proposes on a node, which must not fail as long as that
/// one leads; where a slow machine had another lead for a moment, it is waited for and tried again.
async fn accepted_under(trio: &Trio, roomy: NodeId, on: NodeId) {
    loop {
        until("the one with room leads", || leadership(trio, roomy).0 == Some(roomy)).await;
        let before = [leadership(trio, roomy), leadership(trio, on)];
        let proposed = trio.node(on).propose(site()).await;
        let after = [leadership(trio, roomy), leadership(trio, on)];
        match proposed {
            Ok((receipt, _)) => return assert_eq!(receipt, Receipt::Accepted, "on {on}"),
            Err(cause) => {
                assert_ne!(before, after, "on {on}, while {roomy} led: {cause}");
                eprintln!("on {on}, from {before:?} to {after:?}: {cause}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_leader_hands_over_to_who_has_room() {
    bounded(async {
        let trio = Trio::start().await;
        trio.initialise(1).await;
        for free in [LOW, CRITICAL, 0] {
            let leader = trio.leader().await;
            let (full, roomy) = (trio.other_than(leader), 6 - leader - trio.other_than(leader));
            trio.leave_room(full, LOW);
            trio.leave_room(leader, free);
            // The old one may not even be able to write down that it follows.
            for on in [full, leader] {
                accepted_under(&trio, roomy, on).await;
            }
            (1..=3).for_each(|node| trio.leave_room(node, u64::MAX));
            trio.leader().await;
        }
        trio.shutdown().await;
    })
    .await;
}

/// Proposes on a node, and submits to whoever leads, until both are refused for want of room; while
/// nobody leads, for a moment, the cause is another.
async fn refused_for_want_of_room(trio: &Trio, on_leader: bool) {
    loop {
        // Who leads may change on a slow machine; that somebody does, may not.
        let leader = trio.leader().await;
        let on = if on_leader { leader } else { trio.other_than(leader) };
        let proposed = trio.node(on).propose(site()).await.unwrap_err();
        let batch = trio.node(leader).enqueue(submission(9, 0)).await.unwrap_err();
        if [&proposed, &batch].iter().all(|one| matches!(one, Unavailable::DiskFull { .. })) {
            return;
        }
        eprintln!("on {on}: {proposed}; on {leader}: {batch}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_all_are_full_writes_are_refused_and_go_on_by_themselves() {
    bounded(async {
        let trio = Trio::start().await;
        trio.initialise(1).await;
        for (free, on_leader) in [(LOW, true), (CRITICAL, false), (0, true)] {
            (1..=3).for_each(|node| trio.leave_room(node, free));
            tokio::time::sleep(Duration::from_millis(50)).await;
            refused_for_want_of_room(&trio, on_leader).await;
        }
        let leader = trio.leader().await;
        let follower = trio.other_than(leader);
        (1..=3).for_each(|node| trio.leave_room(node, u64::MAX));
        trio.submit_all(follower, 1, 0..20).await;
        until("it was reported", || says(&trio, leader, follower, true)).await;
        trio.shutdown().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_majority_that_has_room_the_leader_says_so() {
    bounded(async {
        let trio = Trio::start().await;
        trio.initialise(1).await;
        let leader = trio.leader().await;
        let others: Vec<NodeId> = (1..=3).filter(|node| *node != leader).collect();
        others.iter().for_each(|node| trio.leave_room(*node, CRITICAL));
        loop {
            let before = leadership(&trio, leader);
            // The first may be on its way before the leader has heard.
            let proposed =
                tokio::time::timeout(Duration::from_secs(4), trio.node(leader).propose(site()));
            if let Ok(Err(cause @ Unavailable::DiskFull { .. })) = proposed.await {
                if cause.to_string().contains("no majority") {
                    break;
                }
                // A full one that came to lead says so for itself until it has handed over.
                let after = leadership(&trio, leader);
                let led = before == after && after.0 == Some(leader);
                assert!(!led, "{cause}");
                eprintln!("from {before:?} to {after:?}: {cause}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        trio.leave_room(others[0], u64::MAX);
        trio.submit_all(leader, 1, 0..5).await;
        trio.shutdown().await;
    })
    .await;
}
