//! The seam: a real node of one writes, snapshots, purges and restarts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{Config, RaftNetworkFactory, RaftNetworkV2, SnapshotPolicy};
use tempfile::TempDir;

use super::*;
use crate::raft::log_store::LogStore;
use crate::raft::testing::{Recorder, ingest, never};
use crate::raft::types::{Member, Raft, Vote};

/// The network of a node that is alone.
struct Nobody;

fn nobody() -> RPCError<TypeConfig> {
    RPCError::Unreachable(Unreachable::new(&io::Error::other("there is nobody")))
}

impl RaftNetworkFactory<TypeConfig> for Nobody {
    type Network = Self;

    async fn new_client(&mut self, _target: u64, _member: &Member) -> Self {
        Self
    }
}

impl RaftNetworkV2<TypeConfig> for Nobody {
    type SnapshotData = SnapshotFile;

    async fn append_entries(
        &mut self,
        _request: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(nobody())
    }

    async fn vote(
        &mut self,
        _request: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(nobody())
    }

    async fn full_snapshot(
        &mut self,
        _vote: Vote,
        _snapshot: Snapshot,
        _cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        Err(StreamingError::Unreachable(Unreachable::new(&io::Error::other("there is nobody"))))
    }
}

const PATIENCE: Option<Duration> = Some(Duration::from_secs(20));

/// The tasks of the node before let go of its log a little after its shutdown.
async fn open_log(folder: &Path) -> LogStore {
    for _ in 0..1000 {
        match LogStore::open(folder, never()) {
            Ok(log) => return log,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the log is still in use");
}

async fn start(folder: &TempDir) -> (Raft, Recorder) {
    let log = open_log(&folder.path().join("log")).await;
    let snapshots = Arc::new(Snapshots::open(&folder.path().join("snapshot")).unwrap());
    let machine = Recorder::default();
    let config = Config {
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX,
        ..Config::default()
    };
    let config = Arc::new(config.validate().unwrap());
    let adapter = StateMachine::new(Arc::new(machine.clone()), snapshots);
    (Raft::new(1, config, Nobody, log, adapter).await.unwrap(), machine)
}

async fn propose(raft: &Raft, count: usize) {
    for _ in 0..count {
        let EntryPayload::Normal(command) = ingest(1, 0, 100).payload else { panic!() };
        let applied = raft.client_write(command).await.unwrap();
        assert_eq!(applied.data.index, applied.log_id.index);
        assert_eq!(applied.data.receipt, Receipt::Accepted);
    }
}

async fn wait_applied(raft: &Raft, index: u64) {
    raft.wait(PATIENCE).applied_index_at_least(Some(index), "applied").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_restarts_has_every_command_applied_once() {
    let folder = tempfile::tempdir().unwrap();
    let (raft, machine) = start(&folder).await;
    raft.initialize(BTreeMap::from([(1, Member::default())])).await.unwrap();
    raft.wait(PATIENCE).current_leader(1, "alone").await.unwrap();
    propose(&raft, 10).await;
    raft.trigger().snapshot().await.unwrap();
    let snapshot = |m: &openraft::RaftMetrics<TypeConfig>| m.snapshot.is_some();
    let at = raft.wait(PATIENCE).metrics(snapshot, "snapshot").await.unwrap().snapshot.unwrap();
    propose(&raft, 5).await;
    raft.trigger().purge_log(at.index).await.unwrap();
    raft.wait(PATIENCE).purged(Some(at), "purged").await.unwrap();
    let applied = machine.applied();
    assert_eq!(applied, (0..=*applied.last().unwrap()).collect::<Vec<_>>());
    raft.shutdown().await.unwrap();
    drop(raft);

    let (raft, machine) = start(&folder).await;
    wait_applied(&raft, *applied.last().unwrap()).await;
    let again = machine.applied();
    assert!(again.starts_with(&applied), "{again:?}");
    raft.wait(PATIENCE).current_leader(1, "alone").await.unwrap();
    propose(&raft, 1).await;
    let again = machine.applied();
    assert_eq!(again, (0..=*again.last().unwrap()).collect::<Vec<_>>());
    assert_eq!(raft.metrics().borrow_watched().membership_config.voter_ids().count(), 1);
    raft.shutdown().await.unwrap();
}
