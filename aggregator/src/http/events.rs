//! The query that `/events` puts to the store, and what comes back.

use wardmesh_common::event::Event;
use wardmesh_common::id::{DeviceId, SensorId, SiteId, TenantId};
use wardmesh_common::time::Timestamp;
use wardmesh_common::wire::Lane;

pub use crate::state::findings::EventRef;

/// Which events are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventQuery {
    /// Whose.
    pub tenant: TenantId,
    /// From which facility.
    pub site: Option<SiteId>,
    /// By which sensor.
    pub sensor: Option<SensorId>,
    /// About which device.
    pub device: Option<DeviceId>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// After this one in log order.
    pub after: Option<EventRef>,
    /// At most this many.
    pub limit: usize,
}

/// Events in log order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPage {
    /// The events.
    pub events: Vec<StoredEvent>,
    /// Where the next page begins; `None` at the end of what is applied.
    pub next: Option<EventRef>,
    /// The first log index that this node still has.
    pub history_from: u64,
}

/// An event and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Where it lies in the log.
    pub reference: EventRef,
    /// The facility.
    pub site: SiteId,
    /// Who saw it.
    pub sensor: SensorId,
    /// The sensor's start.
    pub epoch: u64,
    /// The lane.
    pub lane: Lane,
    /// The batch's place in the lane.
    pub seq: u64,
    /// The command's time.
    pub received_at: Timestamp,
    /// The interface or file that it was seen on.
    pub interface: String,
    /// The device that it is about.
    pub device: Option<DeviceId>,
    /// What was seen.
    pub event: Event,
}
