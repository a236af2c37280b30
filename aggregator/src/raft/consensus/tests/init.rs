//! Two inits at once: never two clusters, and never one whose members were admitted to another.

use wardmesh_common::id::{ClusterId, NodeId};

use super::bounded;
use super::trio::{Trio, found};
use crate::raft::consensus::node::Counted;
use crate::raft::consensus::{InitError, Receipt};
use crate::state::command::Action;

fn founding(number: u8) -> Action {
    let Action::Found { key, admin_token, .. } = found() else { panic!("it founds a cluster") };
    Action::Found { cluster: ClusterId([number; 16]), key, admin_token }
}

async fn ask(trio: &Trio, on: NodeId, number: u8) -> Result<(Receipt, u64), InitError> {
    trio.node(on).initialise(3, &trio.seeds(), founding(number)).await
}

fn admitted(trio: &Trio) -> [Option<ClusterId>; 3] {
    [1, 2, 3].map(|node| trio.node(node).cluster())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_admitted_while_another_member_makes_a_cluster() {
    bounded(async {
        let trio = Trio::start().await;
        {
            let other = &trio.node(2).node;
            let _under_way = Counted::new(&other.founding);
            let refused = ask(&trio, 1, 1).await;
            assert!(
                matches!(&refused, Err(InitError::Silent { cause, .. })
                if cause.contains("an init is under way at node 2")),
                "{refused:?}"
            );
            assert_eq!(admitted(&trio), [None; 3]);
        }
        assert!(ask(&trio, 1, 1).await.is_ok());
        trio.shutdown().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_inits_at_once_at_most_one_makes_a_cluster() {
    bounded(async {
        let trio = Trio::start().await;
        let both = tokio::join!(ask(&trio, 1, 1), ask(&trio, 2, 2), ask(&trio, 1, 3));
        let made: Vec<_> = [both.0, both.1, both.2].into_iter().flatten().collect();
        if made.is_empty() {
            ask(&trio, 3, 4).await.unwrap();
        }
        let cluster = trio.node(1).cluster();
        assert!(cluster.is_some());
        assert_eq!(admitted(&trio), [cluster; 3]);
        for (receipt, _) in made {
            assert_eq!(Some(receipt), cluster.map(Receipt::Founded));
        }
        trio.submit_all(3, 1, 0..5).await;
        trio.agree(5).await;
        trio.shutdown().await;
    })
    .await;
}

/// It was asked for while this one was under way and came last: what was begun meanwhile stands.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_volume_that_has_a_log_is_admitted_to_nothing_else() {
    bounded(async {
        let trio = Trio::start().await;
        let node = &trio.node(1).node;
        node.admit_self(ClusterId([9; 16])).await.unwrap();
        trio.initialise(1).await;
        assert!(node.admit_self(ClusterId([9; 16])).await.is_err());
        assert_eq!(trio.node(1).cluster(), Some(ClusterId([1; 16])));
        trio.shutdown().await;
    })
    .await;
}
