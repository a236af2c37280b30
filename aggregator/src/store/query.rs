//! What is asked of the events, and what is answered: plain values.

use wardmesh_common::event::Event;
use wardmesh_common::id::{DeviceId, SensorId, SiteId, TenantId};
use wardmesh_common::time::Timestamp;
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::v1::ArchivedEvent;

use super::index::Missing;
pub use crate::correlate::reference::{EventRef, NotAnEventRef};
use crate::state::effects::AppliedBatch;

/// Events on one page: what a table or an export step takes at once.
pub const EVENTS_PER_PAGE_MAX: usize = 1_000;

/// Which events; every condition that is given must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventQuery {
    /// Whose.
    pub tenant: TenantId,
    /// Of this facility.
    pub site: Option<SiteId>,
    /// Seen by this sensor.
    pub sensor: Option<SensorId>,
    /// About this device.
    pub device: Option<DeviceId>,
    /// Observed then or later, by the sensor's clock.
    pub since: Option<Timestamp>,
    /// Observed before then, by the sensor's clock.
    pub until: Option<Timestamp>,
    /// After this place in the log: the last page's [`EventPage::next`].
    pub after: Option<EventRef>,
    /// Events at most; held to 1 to [`EVENTS_PER_PAGE_MAX`].
    pub limit: usize,
}

impl EventQuery {
    /// All of a tenant's events, from the beginning of history.
    #[must_use]
    pub fn all(tenant: TenantId, limit: usize) -> Self {
        let (site, sensor, device) = (None, None, None);
        let (since, until, after) = (None, None, None);
        Self { tenant, site, sensor, device, since, until, after, limit }
    }

    /// Whether a batch may hold events that are asked for.
    pub(super) fn admits(&self, batch: &AppliedBatch) -> bool {
        self.site.as_ref().is_none_or(|site| *site == batch.site)
            && self.sensor.is_none_or(|sensor| sensor == batch.sensor)
            && self.device.is_none_or(|device| batch.devices.contains(&device))
            && self.since.is_none_or(|since| batch.observed_max >= since)
            && self.until.is_none_or(|until| batch.observed_min < until)
    }

    /// Whether an event of such a batch is asked for.
    pub(super) fn matches(&self, observed_at: Timestamp, device: Option<DeviceId>) -> bool {
        self.since.is_none_or(|since| observed_at >= since)
            && self.until.is_none_or(|until| observed_at < until)
            && self.device.is_none_or(|wanted| device == Some(wanted))
    }
}

/// An event with where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place in the log.
    pub reference: EventRef,
    /// The facility.
    pub site: SiteId,
    /// Who saw it.
    pub sensor: SensorId,
    /// The sensor's start.
    pub epoch: u64,
    /// The lane.
    pub lane: Lane,
    /// Its batch's place in the lane.
    pub seq: u64,
    /// When its batch was applied, by the leader's clock.
    pub received_at: Timestamp,
    /// The interface or file that saw it, by name.
    pub interface: String,
    /// The device that it is about, as the resolver knows it now.
    pub device: Option<DeviceId>,
    /// What was seen.
    pub event: Event,
}

/// Some events in log order, and what the answer does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventPage {
    /// The events; fewer than asked for, even none, where the scan's bound was reached first.
    pub events: Vec<StoredEvent>,
    /// Where the next page goes on; `None` at the end of what is indexed.
    pub next: Option<EventRef>,
    /// The first log index that this node still has.
    pub history_from: u64,
    /// The first log index that was not indexed yet.
    pub indexed_below: u64,
    /// Entries whose events are left out while the index is being rebuilt.
    pub missing: Option<Missing>,
}

/// Knows which device an event is about.
pub trait DeviceResolver {
    /// The device, `None` where it cannot be told. `interface` is the name of the one that saw it.
    fn device_of(
        &self,
        batch: &AppliedBatch,
        interface: &str,
        event: &ArchivedEvent,
    ) -> Option<DeviceId>;
}

impl<F> DeviceResolver for F
where
    F: Fn(&AppliedBatch, &str, &ArchivedEvent) -> Option<DeviceId>,
{
    fn device_of(
        &self,
        batch: &AppliedBatch,
        interface: &str,
        event: &ArchivedEvent,
    ) -> Option<DeviceId> {
        self(batch, interface, event)
    }
}
