//! Sensors in: sessions, and the one door through which their bytes become batches.
//!
//! Any node takes any sensor; what is admitted goes to the leader. Nothing here is replicated.

use std::sync::Arc;

use wardmesh_common::id::{ClusterId, SensorId};

use crate::metrics::Metrics;
use crate::raft::consensus::Consensus;

pub mod admission;
mod greeting;
mod live;
pub mod session;

pub use live::{CONNECTIONS_PER_SENSOR_MAX, Live};

/// Batches that a lane may have unanswered: at 112 KiB each they fill a long fat link, and a node
/// holds at most 3.5 MiB for a lane.
pub const WINDOW: u16 = crate::state::dedup::WINDOW as u16;

/// What every session needs.
pub struct Ingest {
    /// Where batches go.
    pub consensus: Arc<Consensus>,
    /// The registry, as this node knows it.
    pub registry: Arc<dyn Registry>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The cluster's name: the trust domain of the certificates.
    pub cluster: String,
    /// The connections that are served now.
    pub live: Live,
}

/// What a session asks of the replicated registry on this node.
pub trait Registry: Send + Sync + 'static {
    /// The cluster's id; `None` before it was founded.
    fn cluster(&self) -> Option<ClusterId>;

    /// Whether the sensor has been revoked.
    fn is_revoked(&self, sensor: SensorId) -> bool;
}
