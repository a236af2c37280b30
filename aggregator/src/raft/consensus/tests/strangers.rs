//! Who is not who they say is refused.

use std::sync::Arc;
use std::time::Duration;

use openraft::raft::{AppendEntriesRequest, VoteRequest};
use wardmesh_common::id::{ClusterId, SensorId, TenantId};
use wardmesh_common::time::Timestamp;
use wardmesh_common::tls::{Identity, Principal, authority::Authority};

use super::bounded;
use super::trio::{Trio, identity};
use crate::raft::network::{CallError, Peer, Peers};
use crate::raft::rpc::{Failure, Reply, Request, SnapshotOffer};
use crate::raft::snapshot::Snapshots;
use crate::raft::testing::Written;
use crate::raft::types::{Entry, LeaderId, LogId, Payload, SnapshotMeta, StoredMembership, Vote};
use crate::state::command::{Action, Command};

const PATIENCE: Duration = Duration::from_secs(3);

fn peers(own: u64, identity: &Identity) -> Arc<Peers> {
    Arc::new(Peers::new(own, "test".into(), identity).unwrap())
}

fn node_one(trio: &Trio) -> Peer {
    Peer { node: Some(1), address: trio.seeds()[0].clone() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_speaks_only_for_itself() {
    bounded(async {
        let trio = Trio::start().await;
        let identity = identity(&trio.authority, 3);
        let candidate = LeaderId { term: 9, node_id: 2 };
        let vote = Vote { leader_id: candidate, committed: false };
        let request = Request::Vote(VoteRequest::new(vote, None));
        // As itself with another's vote, and as another altogether.
        for own in [3, 2] {
            let reply = peers(own, &identity).call(&node_one(&trio), &request, PATIENCE).await;
            let refused = matches!(reply, Ok(Reply::Failed(Failure::Refused(_))));
            assert!(refused, "{own}: {reply:?}");
        }
        let status = peers(3, &identity).call(&node_one(&trio), &Request::Status, PATIENCE).await;
        assert!(matches!(status, Ok(Reply::Status(_))), "{status:?}");
        trio.shutdown().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_sensors_nor_other_clusters_get_in() {
    bounded(async {
        let trio = Trio::start().await;
        let sensor = Principal::Sensor {
            cluster: "test".into(),
            tenant: TenantId::default_tenant(),
            sensor: SensorId([1; 16]),
        };
        let sensor = trio.authority.issue(&sensor).unwrap().identity();
        let elsewhere = Principal::Node { cluster: "other".into(), node: 2 };
        let elsewhere = trio.authority.issue(&elsewhere).unwrap().identity();
        let other_authority = identity(&Authority::new("other").unwrap(), 2);
        for stranger in [sensor, elsewhere, other_authority] {
            let call = peers(2, &stranger);
            let reply = call.call(&node_one(&trio), &Request::Status, PATIENCE).await;
            assert!(reply.is_err(), "{reply:?}");
        }
        trio.shutdown().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_leads_to_another_node_is_not_used() {
    bounded(async {
        let trio = Trio::start().await;
        let identity = identity(&trio.authority, 3);
        let wrong = Peer { node: Some(2), address: trio.seeds()[0].clone() };
        let reply = peers(3, &identity).call(&wrong, &Request::Status, PATIENCE).await;
        assert!(matches!(reply, Err(CallError::Unreachable { .. })), "{reply:?}");
        trio.shutdown().await;
    })
    .await;
}

/// Node 2, updated before node 1, sends it a command that needs a newer `apply`.
pub(super) async fn append_from_the_future(trio: &Trio) {
    let leader_id = LeaderId { term: 1, node_id: 2 };
    let command = Command { apply_version: 99, at: Timestamp::EPOCH, action: Action::Tick };
    let log_id = LogId::new(leader_id, 5);
    let request = Request::Append(AppendEntriesRequest {
        vote: Vote { leader_id, committed: true },
        prev_log_id: None,
        entries: vec![Entry { log_id, payload: Payload::Normal(command) }],
        leader_commit: None,
    });
    let identity = identity(&trio.authority, 2);
    let reply = peers(2, &identity).call(&node_one(trio), &request, PATIENCE).await;
    assert!(matches!(reply, Ok(Reply::Failed(Failure::Unreadable(_)))), "{reply:?}");
}

/// Node 2 sends node 1 a file cut short, one longer than announced, and one that stands for another
/// entry than it says.
pub(super) async fn send_bad_snapshots(trio: &Trio) {
    let folder = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::open(folder.path()).unwrap();
    let leader_id = LeaderId { term: 1, node_id: 2 };
    let meta = SnapshotMeta {
        last_log_id: Some(LogId::new(leader_id, 9)),
        last_membership: StoredMembership::default(),
    };
    let snapshot = snapshots.write(&meta, &Written(vec![1, 2, 3])).unwrap();
    let length = snapshot.snapshot.length();
    let other = SnapshotMeta { last_log_id: Some(LogId::new(leader_id, 8)), ..meta.clone() };
    let peers = peers(2, &identity(&trio.authority, 2));
    let admitted = peers.call(&node_one(trio), &Request::Join(ClusterId([1; 16])), PATIENCE).await;
    assert_eq!(admitted, Ok(Reply::Joined));
    for (meta, length) in [(&meta, length - 9), (&meta, length + 9), (&other, length)] {
        let vote = Vote { leader_id, committed: true };
        let offer = SnapshotOffer { vote, meta: meta.clone(), length, sum: 0, offset: 0 };
        let sent = peers.send_offered(&node_one(trio), offer, snapshot.snapshot.clone()).await;
        let taken = matches!(sent, Ok(Reply::Snapshot(_)));
        assert!(!taken, "{length}: {sent:?}");
    }
    assert_eq!(trio.machine(1).restored(), 0);
}

/// Node 2's file ends in the midst of being sent; what had arrived is not sent again.
pub(super) async fn send_a_snapshot_in_two_parts(trio: &Trio) {
    let folder = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::open(folder.path()).unwrap();
    let leader_id = LeaderId { term: 1, node_id: 2 };
    let vote = Vote { leader_id, committed: true };
    // Older than what node 1 has: it takes all of it in and then leaves it.
    let meta = SnapshotMeta {
        last_log_id: Some(LogId::new(LeaderId { term: 0, node_id: 0 }, 1)),
        last_membership: StoredMembership::default(),
    };
    let numbers = (0..1_000_000).collect();
    let snapshot = snapshots.write(&meta, &Written(numbers)).unwrap();
    let file = snapshot.snapshot.clone();
    let (length, sum) = (file.length(), file.sum().unwrap());
    let offer = SnapshotOffer { vote, meta, length, sum, offset: 0 };
    let asking = Request::SnapshotHeld(offer.name());
    let (peers, one) = (peers(2, &identity(&trio.authority, 2)), node_one(trio));

    let whole = std::fs::read(file.path()).unwrap();
    let half = whole.len() / 2;
    let truncated = std::fs::OpenOptions::new().write(true).open(file.path()).unwrap();
    truncated.set_len(half as u64).unwrap();
    let broken = peers.send_offered(&one, offer, file.clone()).await;
    assert!(!matches!(broken, Ok(Reply::Snapshot(_))), "{broken:?}");
    std::fs::write(file.path(), &whole).unwrap();
    let mut held = peers.call(&one, &asking, PATIENCE).await;
    while matches!(held, Ok(Reply::Failed(Failure::Overloaded { .. }))) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        held = peers.call(&one, &asking, PATIENCE).await;
    }
    let Ok(Reply::SnapshotHeld { offset, checksum }) = held else { panic!("{held:?}") };
    assert!(offset > 0 && offset <= half as u64, "{offset} of {half}");
    assert_eq!(checksum, crc32c::crc32c(&whole[..offset as usize]));

    let sent = peers.send_snapshot(&one, vote, snapshot).await;
    assert!(matches!(sent, Ok(Reply::Snapshot(_))), "{sent:?}");
    let held = peers.call(&one, &asking, PATIENCE).await;
    assert_eq!(held, Ok(Reply::SnapshotHeld { offset: 0, checksum: 0 }));
    assert_eq!(trio.machine(1).restored(), 0);
}
