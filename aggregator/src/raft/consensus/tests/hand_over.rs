//! Hand-overs that nobody waits for any more.

use std::sync::atomic::Ordering;

use super::trio::Trio;
use super::{bounded, site};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_gone_before_a_hand_over_ends_stops_nothing() {
    bounded(async {
        let trio = Trio::start().await;
        trio.initialise(1).await;
        let leader = trio.leader().await;
        let next = trio.other_than(leader);
        let node = &trio.node(leader).node;
        {
            let mut asked = std::pin::pin!(node.hand_over(Some(next)));
            while node.handing_over.load(Ordering::Acquire) == 0 {
                assert!(futures::poll!(asked.as_mut()).is_pending(), "it was over at once");
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(node.handing_over.load(Ordering::Acquire), 0);
        // It leads again, by itself or by being asked to, and takes what comes.
        while trio.leader().await != leader {
            let now = trio.leader().await;
            trio.node(now).transfer_leader(Some(leader)).await;
        }
        trio.node(leader).propose(site()).await.unwrap();
        trio.shutdown().await;
    })
    .await;
}
