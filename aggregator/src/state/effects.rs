//! What applying a command asks the edges to do: nothing here has happened yet.

use wardmesh_common::id::{DeviceId, SensorId, SiteId, TenantId};
use wardmesh_common::time::Timestamp;
use wardmesh_common::wire::Lane;

use super::receipt::Receipt;

/// The outcome of one command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// The answer to the proposer.
    pub receipt: Receipt,
    /// One row for each batch that was applied now, for the query indexes.
    pub batches: Vec<AppliedBatch>,
    /// Devices whose class, maker, sites or addresses may be others now; some of them twice.
    pub refaceted: Vec<(TenantId, DeviceId)>,
}

/// Where an applied batch lies in the log and what it is about: enough to find its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedBatch {
    /// Its position among the command's submissions.
    pub ordinal: u32,
    /// Whose site it is.
    pub tenant: TenantId,
    /// The facility.
    pub site: SiteId,
    /// Who saw it.
    pub sensor: SensorId,
    /// The sensor's start.
    pub epoch: u64,
    /// The lane.
    pub lane: Lane,
    /// The place in the lane.
    pub seq: u64,
    /// Events in it.
    pub events: u32,
    /// The earliest observation time in it, by the sensor's clock.
    pub observed_min: Timestamp,
    /// The latest one.
    pub observed_max: Timestamp,
    /// The command's time.
    pub received_at: Timestamp,
    /// The devices that its events are about, each once, sorted.
    pub devices: Vec<DeviceId>,
}
