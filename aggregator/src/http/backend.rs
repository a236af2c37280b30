//! What the routes need of the node. They name neither Raft nor the store's files: the composition
//! root implements this, tests do with a fake.

use std::net::SocketAddr;
use std::ops::Deref;
use std::time::Duration;

use futures::future::BoxFuture;
use wardmesh_common::id::{ClusterId, NodeId, TenantId};

use crate::facets::Facets;
use crate::state::State;
use crate::state::command::Action;
use crate::state::receipt::Receipt;
use crate::store::{EventPage, EventQuery, EventRef, StoredEvent};

mod members;

pub use members::{ChangeFailure, ChangeFault, MemberChange, MemberChanged, MemberRole};

/// The state to read from, for as long as one answer is made and never across an await.
pub type Reading<'a> = Box<dyn Deref<Target = State> + 'a>;

/// The node as the routes see it.
pub trait Backend: Send + Sync + 'static {
    /// Waits until this node may answer under a consistency: at once for `Local`, else until the
    /// leader's commit index is applied here.
    fn ready_to_read(&self, wanted: Consistency) -> BoxFuture<'_, Result<Freshness, ReadError>>;

    /// The applied state. A lock behind it is held for one page at most.
    fn state(&self) -> Reading<'_>;

    /// By what devices are found; `None` where that is to be looked for in the state.
    fn facets(&self) -> Option<&Facets> {
        None
    }

    /// A page of events in log order.
    fn events(&self, query: EventQuery) -> BoxFuture<'_, Result<EventPage, EventsError>>;

    /// The tenant's event at a place in the log; `None` where there is none, or no more.
    fn event(
        &self,
        tenant: TenantId,
        at: EventRef,
    ) -> BoxFuture<'_, Result<Option<StoredEvent>, EventsError>>;

    /// Has a command agreed on and applied by the leader; its receipt and log index.
    fn propose(&self, action: Action) -> BoxFuture<'_, Result<(Receipt, u64), ProposeError>>;

    /// Where this node stands; never waits.
    fn status(&self) -> ClusterStatus;

    /// Where every member stands, as far as the leader knows.
    fn members(&self) -> BoxFuture<'_, Vec<MemberStatus>>;

    /// Founds the cluster.
    fn initialise(&self, request: InitRequest) -> BoxFuture<'_, Result<Founded, InitError>>;

    /// Changes who is a member, or who leads.
    fn change_members(
        &self,
        change: MemberChange,
    ) -> BoxFuture<'_, Result<MemberChanged, ChangeFailure>>;

    /// Builds a snapshot of this node's state and purges its log as far as the settings allow; the
    /// last log index in the snapshot.
    ///
    /// # Errors
    /// [`ProposeError::DiskFull`] where there is no room for it.
    fn snapshot(&self) -> BoxFuture<'_, Result<u64, ProposeError>>;

    /// All metrics as Prometheus text (OpenMetrics 1.0).
    fn render_metrics(&self) -> String;

    /// What has to hold before a load balancer sends requests here: caught up once since the start,
    /// and a leader known within 30 s.
    fn readiness(&self) -> Vec<Check>;

    /// Whether the node has opened its files and bound its ports.
    fn started(&self) -> bool {
        true
    }

    /// Told of each answer, for the metrics.
    fn answered(&self, answer: &Answered<'_>) {
        let _ = answer;
    }
}

/// How much an answer must know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// What this node has applied.
    Local,
    /// Everything that the leader had committed when the request came.
    #[default]
    Leader,
    /// The same, with a quorum's word that the leader still leads (ReadIndex).
    Linearizable,
}

impl Consistency {
    /// `local`, `leader` or `linearizable`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Leader => "leader",
            Self::Linearizable => "linearizable",
        }
    }
}

/// How fresh an answer of this node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// The leader that this node knows.
    pub leader: Option<NodeId>,
    /// Since the leader was last heard; zero on the leader, `None` where it never was.
    pub last_contact: Option<Duration>,
}

/// Why a read cannot be answered with the consistency that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Nobody leads, or this node cannot reach who does: `local` still answers.
    #[error("the cluster has no leader that this node can reach")]
    NoLeader {
        /// Since a leader was last heard.
        last_contact: Option<Duration>,
    },
    /// This node did not catch up in time: repeat, or ask another node.
    #[error("this node did not catch up with the leader in time")]
    TimedOut,
}

/// Why the events cannot be read now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventsError {
    /// The store is being rebuilt or another scan takes too long: repeat later.
    #[error("events cannot be read now: {reason}")]
    Unavailable {
        /// Why, in words.
        reason: String,
    },
}

/// Why a command was not agreed on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Nobody leads: repeat later.
    #[error("the cluster has no leader that this node can reach")]
    NoLeader,
    /// Too much is waiting: repeat after a while.
    #[error("the cluster has too much to do")]
    Overloaded {
        /// When to repeat.
        retry_after: Duration,
    },
    /// Volumes are full, so that nothing was proposed: repeat when there is room.
    #[error("{why}")]
    DiskFull {
        /// Whose, in words.
        why: String,
        /// When to repeat.
        retry_after: Duration,
    },
    /// It may or may not have been agreed on: look before repeating.
    #[error("the command was not confirmed in time; it may still take effect")]
    TimedOut,
}

/// Where a node stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterStatus {
    /// This node.
    pub node_id: NodeId,
    /// The leader that it knows.
    pub leader: Option<NodeId>,
    /// The Raft term.
    pub term: u64,
    /// The latest log index that it knows to be committed.
    pub committed: u64,
    /// The latest log index that it applied.
    pub applied: u64,
    /// All members by id.
    pub members: Vec<Member>,
}

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id, never used again after its removal.
    pub id: NodeId,
    /// Its name for people.
    pub name: String,
    /// Where its peers reach it, host and port.
    pub raft_address: String,
    /// Where sensors reach it.
    pub ingest_address: String,
    /// Where this API answers.
    pub http_address: String,
    /// Whether it has a vote.
    pub voter: bool,
}

/// A node of the cluster and how far it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberStatus {
    /// Who.
    pub member: Member,
    /// Whether it leads.
    pub leads: bool,
    /// The latest log index that it is known to hold; `None` where nobody knows.
    pub matched: Option<u64>,
    /// Since it was last heard; `None` where it never was.
    pub last_contact: Option<Duration>,
}

/// See [`Backend::initialise`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InitRequest {
    /// How many nodes must be found before the cluster is founded.
    pub expect: Option<u32>,
    /// Raft addresses of all nodes, this one included, host and port; empty: this node's own.
    pub seeds: Vec<String>,
}

/// A cluster that was just founded.
#[derive(Clone, PartialEq, Eq)]
pub struct Founded {
    /// Its id.
    pub cluster: ClusterId,
    /// The admin token: shown this once, and kept nowhere from then on.
    pub admin_token: String,
}

/// Without the token.
impl std::fmt::Debug for Founded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Founded({})", self.cluster)
    }
}

/// Why no cluster was founded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InitError {
    /// There is one already.
    #[error("this node belongs to a cluster already{}", cluster.map(|id| format!(": {id}")).unwrap_or_default())]
    Exists {
        /// Which.
        cluster: Option<ClusterId>,
    },
    /// What was asked for cannot be: what is in the way, in words.
    #[error("{0}")]
    Refused(String),
    /// The others were not reached in time: repeat.
    #[error("not all of the expected nodes were reached: {0}")]
    Unreachable(String),
    /// It may have been founded or not: repeat the same on the same node, which still has the token.
    #[error("it is not known whether the cluster was founded: {0}")]
    Unknown(String),
}

/// One thing that has to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name: `raft`.
    pub name: &'static str,
    /// Whether it holds.
    pub ok: bool,
    /// Why not, or what is behind it.
    pub detail: String,
}

/// One answer, for the metrics.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// The route's pattern, `/api/v1/devices/{id}`; `unmatched` where there is none.
    pub route: &'a str,
    /// The request's method; `other` beyond those of RFC 9110 section 9.
    pub method: &'a str,
    /// The status code.
    pub status: u16,
    /// From the head of the request to the head of the answer.
    pub elapsed: Duration,
    /// Whom it went to.
    pub peer: Option<SocketAddr>,
}
