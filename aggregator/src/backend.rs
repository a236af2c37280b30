//! The node as the HTTP routes see it: each method is one call into consensus, state or store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use wardmesh_common::id::TenantId;
use wardmesh_common::space::{Level, Room, Space};

use crate::facets::Facets;
use crate::http::backend::{
    Answered, Backend, ChangeFailure, Check, ClusterStatus, Consistency, EventsError, Founded,
    Freshness, InitError, InitRequest, Member, MemberChange, MemberChanged, MemberStatus,
    ProposeError, ReadError, Reading,
};
use crate::metrics::Metrics;
use crate::raft::consensus::{self, Consensus, Status};
use crate::raft::proposer::Unavailable;
use crate::replica::Replica;
use crate::state::command::Action;
use crate::state::receipt::Receipt;
use crate::store::{EventPage, EventQuery, EventRef, Store, StoreError, StoredEvent};

mod founding;
mod members;

use founding::{Founding, Running};

/// A leader must have been heard within so long for this node to be ready.
const LEADER_HEARD_WITHIN: Duration = Duration::from_secs(30);

/// How long a reader waits for the query index to come as far as the state.
const INDEX_PATIENCE: Duration = Duration::from_secs(5);

/// What the routes need of this node.
pub struct NodeBackend {
    replica: Arc<Replica>,
    consensus: Arc<Consensus>,
    metrics: Arc<Metrics>,
    space: Arc<Space>,
    /// Whether this node has once applied all that it knew to be committed.
    caught_up: AtomicBool,
    founding: Founding,
}

impl NodeBackend {
    /// A view of a running node.
    #[must_use]
    pub fn new(
        replica: Arc<Replica>,
        consensus: Arc<Consensus>,
        metrics: Arc<Metrics>,
        space: Arc<Space>,
    ) -> Self {
        let (caught_up, founding) = (AtomicBool::new(false), Founding::default());
        Self { replica, consensus, metrics, space, caught_up, founding }
    }

    /// Whether the volume has room for what the others agree on.
    fn disk(&self) -> Check {
        let (level, free) = (self.space.level(), self.space.room().free);
        let detail = match level {
            Level::Ample => String::new(),
            level => {
                let (folder, level) = (self.space.folder().display(), level.as_str());
                format!("{folder} has {free} bytes left ({level}): free space or enlarge it")
            }
        };
        Check { name: "disk", ok: level >= Level::Low, detail }
    }
}

impl NodeBackend {
    /// Reads the store, which waits for disks, once its index has come as far as the state.
    async fn scan<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Store, &Replica) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, EventsError> {
        let replica = Arc::clone(&self.replica);
        let scan = move || {
            let applied = replica.state().applied();
            let store = Arc::clone(replica.store());
            store.wait_for(applied, INDEX_PATIENCE)?;
            read(&store, &replica).inspect_err(|cause| store.note_damage(cause))
        };
        let unavailable = |reason: String| EventsError::Unavailable { reason };
        let scanned = tokio::task::spawn_blocking(scan).await;
        let read = scanned.map_err(|cause| unavailable(cause.to_string()))?;
        read.map_err(|cause| {
            // Other nodes have it whole: this one must not go on as if nothing were.
            if cause.is_damage() {
                self.consensus.stop(cause.to_string());
            }
            unavailable(cause.to_string())
        })
    }
}

impl Backend for NodeBackend {
    fn ready_to_read(&self, wanted: Consistency) -> BoxFuture<'_, Result<Freshness, ReadError>> {
        Box::pin(async move {
            let wanted = match wanted {
                Consistency::Local => consensus::Consistency::Local,
                Consistency::Leader => consensus::Consistency::Leader,
                Consistency::Linearizable => consensus::Consistency::Linearizable,
            };
            let read = self.consensus.read_index(wanted).await;
            let status = self.consensus.status();
            let last_contact = status.last_leader_contact;
            match read {
                Ok(_) => Ok(Freshness { leader: status.leader.map(|(id, _)| id), last_contact }),
                Err(consensus::ReadError::Behind { .. }) => Err(ReadError::TimedOut),
                Err(_) => Err(ReadError::NoLeader { last_contact }),
            }
        })
    }

    fn state(&self) -> Reading<'_> {
        Box::new(self.replica.state())
    }

    fn facets(&self) -> Option<&Facets> {
        Some(self.replica.facets())
    }

    fn events(&self, query: EventQuery) -> BoxFuture<'_, Result<EventPage, EventsError>> {
        let log = self.consensus.log();
        Box::pin(async move {
            let scan = move |store: &Store, replica: &Replica| store.events(&query, &log, replica);
            let page = self.scan(scan).await?;
            match page.missing {
                None => Ok(page),
                Some(missing) => Err(EventsError::Unavailable {
                    reason: StoreError::Lacking(missing).to_string(),
                }),
            }
        })
    }

    fn event(
        &self,
        tenant: TenantId,
        at: EventRef,
    ) -> BoxFuture<'_, Result<Option<StoredEvent>, EventsError>> {
        let log = self.consensus.log();
        Box::pin(self.scan(move |store, replica| store.event(&tenant, at, &log, replica)))
    }

    fn propose(&self, action: Action) -> BoxFuture<'_, Result<(Receipt, u64), ProposeError>> {
        Box::pin(async move { self.consensus.propose(action).await.map_err(not_agreed) })
    }

    fn status(&self) -> ClusterStatus {
        let Status { node_id, leader, term, committed, applied, voters, members, .. } =
            self.consensus.status();
        let members = members.into_iter().map(|(id, of)| member(id, of, voters.contains(&id)));
        let leader = leader.map(|(id, _)| id);
        ClusterStatus { node_id, leader, term, committed, applied, members: members.collect() }
    }

    fn members(&self) -> BoxFuture<'_, Vec<MemberStatus>> {
        Box::pin(async move {
            let leader = self.consensus.status().leader.map(|(id, _)| id);
            let members = self.consensus.members().await;
            let view = |asked: consensus::MemberStatus| MemberStatus {
                leads: leader == Some(asked.node_id),
                matched: asked.status.as_ref().ok().map(|status| status.applied),
                last_contact: asked.status.ok().map(|_| Duration::ZERO),
                member: member(asked.node_id, asked.member, asked.voter),
            };
            members.into_iter().map(view).collect()
        })
    }

    fn initialise(&self, request: InitRequest) -> BoxFuture<'_, Result<Founded, InitError>> {
        Box::pin(async move {
            let node = Running { consensus: &self.consensus, replica: &self.replica };
            self.founding.ask(&node, &request).await
        })
    }

    fn change_members(
        &self,
        change: MemberChange,
    ) -> BoxFuture<'_, Result<MemberChanged, ChangeFailure>> {
        Box::pin(members::change(&self.consensus, change))
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<u64, ProposeError>> {
        Box::pin(async move {
            self.consensus.snapshot_and_purge().await.map_err(not_agreed)?;
            Ok(self.consensus.status().snapshot)
        })
    }

    fn render_metrics(&self) -> String {
        let (status, counts) = (self.consensus.status(), self.consensus.counts());
        let gauges = &self.metrics.raft;
        let leader = status.leader.as_ref().map(|(id, _)| *id);
        gauges.has_leader.set(i64::from(leader.is_some()));
        gauges.is_leader.set(i64::from(leader == Some(status.node_id)));
        gauges.term.set(status.term);
        gauges.commit_index.set(status.committed);
        gauges.applied_index.set(status.applied);
        gauges.queued_bytes.set(counts.queued_bytes as u64);
        let Room { free, total, .. } = self.space.room();
        gauges.disk_free_bytes.set(free);
        gauges.disk_total_bytes.set(total);
        if let Ok(bytes) = self.replica.store().disk_bytes() {
            gauges.store_bytes.set(bytes.archive + bytes.index);
        }
        let state = self.replica.state();
        gauges.devices.set(state.device_count() as u64);
        gauges.findings_open.set(state.pending_finding_count() as u64);
        drop(state);
        self.metrics.render()
    }

    fn answered(&self, answer: &Answered<'_>) {
        let Answered { route, method, status, elapsed, .. } = *answer;
        self.metrics.requested(route, method, status, elapsed);
    }

    fn readiness(&self) -> Vec<Check> {
        let status = self.consensus.status();
        let founded = self.replica.state().cluster().is_some();
        let heard = status.last_leader_contact.is_some_and(|since| since <= LEADER_HEARD_WITHIN);
        let leader = status.leader.is_some() && heard;
        let detail = match (founded, leader) {
            (false, _) => "no cluster yet: run 'wardmesh cluster init'",
            (true, false) => "no leader has been heard of",
            (true, true) => "",
        };
        // Latched: a node that falls behind for a moment still serves what it has.
        let behind = status.committed.saturating_sub(status.applied);
        if leader && status.committed > 0 && behind == 0 {
            self.caught_up.store(true, Ordering::Release);
        }
        let fault = self.consensus.fault();
        let caught_up = self.caught_up.load(Ordering::Acquire);
        let lag = if caught_up { String::new() } else { format!("{behind} entries to apply") };
        vec![
            Check { name: "cluster", ok: founded, detail: detail.to_owned() },
            Check { name: "raft", ok: leader, detail: detail.to_owned() },
            Check { name: "volume", ok: fault.is_none(), detail: fault.unwrap_or_default() },
            Check { name: "caught-up", ok: caught_up, detail: lag },
            self.disk(),
        ]
    }
}

fn member(id: u64, member: crate::raft::types::Member, voter: bool) -> Member {
    let crate::raft::types::Member { name, raft_address, ingest_address, http_address } = member;
    Member { id, name, raft_address, ingest_address, http_address, voter }
}

fn not_agreed(cause: Unavailable) -> ProposeError {
    match cause {
        Unavailable::Overloaded { retry_after } => ProposeError::Overloaded { retry_after },
        Unavailable::DiskFull { why, retry_after } => ProposeError::DiskFull { why, retry_after },
        Unavailable::NoLeader { .. } | Unavailable::Stopped(_) => ProposeError::NoLeader,
        Unavailable::Unknown(_) => ProposeError::TimedOut,
    }
}
