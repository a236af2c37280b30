//! The composition root: opens what is on disk, starts consensus, binds every port, and takes it all
//! down in order.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use quinn::{Endpoint, VarInt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use wardmesh_common::space::Space;
use wardmesh_common::tls::{Identity, Principal};

use crate::backend::NodeBackend;
use crate::config::Config;
use crate::ingest::{Ingest, Live};
use crate::metrics::Metrics;
use crate::raft::consensus::{Compaction, Consensus, Settings, Timing};
use crate::raft::snapshot::Snapshots;
use crate::raft::types::Member;
use crate::replica::Replica;
use crate::store::{Opening, Store};
use crate::{backfill, housekeeping, http, listener, waiting};

/// How long sensors' connections may linger so that they learn of the end.
const GOODBYE_PATIENCE: Duration = Duration::from_millis(500);

/// A running node.
pub struct Aggregator {
    consensus: Arc<Consensus>,
    ingest: Endpoint,
    tasks: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    housekeeping: Arc<AtomicBool>,
    keeper: Option<std::thread::JoinHandle<()>>,
    store: Arc<Store>,
}

impl Aggregator {
    /// Starts a node; returns when every port is bound.
    ///
    /// # Errors
    /// Where a file, an identity or a port cannot be used; the message names it.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let ingest_identity = Identity::load(&config.ingest.identity).context("ingest.identity")?;
        let raft_identity = Identity::load(&config.raft.identity).context("raft.identity")?;
        let cluster = cluster_name(&ingest_identity)?;
        // Ports first: a node that cannot be reached should not open its volume.
        let ingest_endpoint = listener::bind(config.ingest.listen, &ingest_identity)?;
        let api = bind(config.http.listen, "http.listen").await?;
        let probes = bind(config.metrics.listen, "metrics.listen").await?;
        let space = Arc::new(Space::new(config.node.data.clone(), config.disk.into()));
        let (api, probes) = waiting::for_room(&space, api, probes).await?;
        let store = open_store(config.node.data.clone()).await?;
        store.watch(Arc::clone(&space));
        let replica = Arc::new(Replica::new(Arc::clone(&store)));
        let settings =
            settings(&config, raft_identity, &api, (Arc::clone(&store), Arc::clone(&space)))?;
        let machine = Arc::clone(&replica);
        let consensus = Consensus::start(settings, machine).await.context("consensus")?;
        consensus.serve_history(Arc::clone(&replica) as _);
        let metrics = Arc::new(Metrics::new());
        let backend = NodeBackend::new(
            Arc::clone(&replica),
            Arc::clone(&consensus),
            Arc::clone(&metrics),
            Arc::clone(&space),
        );
        let backend: Arc<dyn http::Backend> = Arc::new(backend);
        let (stop, stopping) = watch::channel(false);
        let ingest = Arc::new(Ingest {
            consensus: Arc::clone(&consensus),
            registry: Arc::clone(&replica) as _,
            metrics: Arc::clone(&metrics),
            cluster,
            live: Live::default(),
        });
        let serve = |listener, router| {
            let mut stopping = stopping.clone();
            tokio::spawn(http::serve(listener, router, async move {
                // The sender lives as long as the node: an error is an end too.
                let _ = stopping.wait_for(|stop| *stop).await;
            }))
        };
        let backfill = backfill::Backfill {
            replica: Arc::clone(&replica),
            consensus: Arc::clone(&consensus),
            archive_bytes: config.retention.archive_bytes,
            space: Arc::clone(&space),
        };
        let tasks = vec![
            tokio::spawn(backfill.run(stopping.clone())),
            tokio::spawn(listener::accept(ingest_endpoint.clone(), ingest, Arc::clone(&metrics))),
            serve(api, http::router(Arc::clone(&backend))),
            serve(probes, http::metrics_router(backend)),
        ];
        let housekeeping = Arc::new(AtomicBool::new(false));
        let stop_keeping = Arc::clone(&housekeeping);
        let keeper = keep_house(&replica, &consensus, &config, (space, stop_keeping))?;
        tracing::info!(
            node = config.node.id,
            ingest = %config.ingest.listen,
            raft = %config.raft.listen,
            http = %config.http.listen,
            "started"
        );
        let keeper = Some(keeper);
        Ok(Self { consensus, ingest: ingest_endpoint, tasks, stop, housekeeping, keeper, store })
    }

    /// Resolves where the node cannot go on by itself, with the reason.
    pub async fn failed(&self) -> String {
        self.consensus.stopped().await
    }

    /// Hands leadership over, lets sensors and readers finish, and stops.
    pub async fn shutdown(mut self) {
        // Whatever waits for room must not hold this up.
        self.store.stopping();
        // Sensors first wait for a successor here, which takes less time than to go elsewhere.
        self.consensus.yield_leadership().await;
        self.ingest.close(VarInt::from_u32(0), b"draining");
        self.consensus.shutdown().await;
        // Every receiver may have gone already.
        let _ = self.stop.send(true);
        let _ = tokio::time::timeout(GOODBYE_PATIENCE, self.ingest.wait_idle()).await;
        for task in self.tasks {
            // A task that panicked has said so; the node stops all the same.
            let _ = task.await;
        }
        self.housekeeping.store(true, Ordering::Release);
        if let Some(keeper) = self.keeper.take() {
            let _ = tokio::task::spawn_blocking(move || keeper.join()).await;
        }
    }
}

fn cluster_name(identity: &Identity) -> anyhow::Result<String> {
    match identity.principal().context("ingest.identity.certificate")? {
        Principal::Node { cluster, .. } => Ok(cluster),
        other => anyhow::bail!("ingest.identity.certificate: {other} is no node's name"),
    }
}

async fn bind(address: std::net::SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{key} {address}; is another process using the port?"))
}

async fn open_store(data: PathBuf) -> anyhow::Result<Arc<Store>> {
    let open = move || {
        let snapshots = Snapshots::open(&data.join("raft/snapshots"))?;
        let applied = snapshots.current().and_then(|snapshot| snapshot.meta.last_log_id);
        let next = applied.map_or(1, |last| last.index + 1);
        let opening = Opening { cluster: None, next };
        let (store, rebuild) = Store::open(&data.join("store"), &opening)?;
        tracing::debug!(?rebuild, "store opened");
        Ok(Arc::new(store))
    };
    tokio::task::spawn_blocking(open).await?
}

fn settings(
    config: &Config,
    identity: Identity,
    api: &TcpListener,
    (store, space): (Arc<Store>, Arc<Space>),
) -> anyhow::Result<Settings> {
    let http_address = match config.http.advertise.as_str() {
        "" => api.local_addr()?.to_string(),
        advertise => advertise.to_owned(),
    };
    let unarchived = Arc::clone(&store);
    Ok(Settings {
        node_id: config.node.id,
        member: Member {
            name: config.node.name.clone(),
            raft_address: config.raft.advertise.clone(),
            ingest_address: config.ingest.advertise.clone(),
            http_address,
        },
        data: config.node.data.clone(),
        raft_listen: config.raft.listen,
        identity,
        timing: Timing::default(),
        lease_reads: config.raft.lease_reads,
        compaction: Compaction {
            laggard_bytes: config.retention.laggard_bytes,
            ..Compaction::every(config.retention.snapshot_entries)
        },
        archived_through: Arc::new(move || store.archived_through().unwrap_or(0)),
        unarchived_bytes: Arc::new(move || unarchived.unarchived_bytes()),
        space,
    })
}

fn keep_house(
    replica: &Arc<Replica>,
    consensus: &Arc<Consensus>,
    config: &Config,
    (space, stop): (Arc<Space>, Arc<AtomicBool>),
) -> anyhow::Result<std::thread::JoinHandle<()>> {
    let (replica, consensus) = (Arc::clone(replica), Arc::clone(consensus));
    let keeping = housekeeping::Keeping {
        archive_bytes: config.retention.archive_bytes,
        unarchived_entries: config.retention.snapshot_entries,
    };
    std::thread::Builder::new()
        .name("housekeeping".to_owned())
        .spawn(move || housekeeping::run(&replica, &consensus, keeping, (&space, &stop)))
        .context("the housekeeping thread")
}
