//! What is asked of the events, and what is answered: plain values.

use std::fmt;
use std::str::FromStr;

use wardmesh_common::event::Event;
use wardmesh_common::id::{DeviceId, SensorId, SiteId, TenantId};
use wardmesh_common::time::Timestamp;
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::v1::ArchivedEvent;

use super::index::Missing;
use crate::state::effects::AppliedBatch;

/// Events on one page: what a table or an export step takes at once.
pub const EVENTS_PER_PAGE_MAX: usize = 1_000;

/// An event's place in the log; sorted so, and the same on every replica. Its text is
/// `<index>-<ordinal>-<position>`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventRef {
    /// The log index of its command.
    pub index: u64,
    /// Its batch among the command's submissions.
    pub ordinal: u32,
    /// Its position in the batch.
    pub position: u32,
}

impl fmt::Display for EventRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.index, self.ordinal, self.position)
    }
}

/// A text that is no event's place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an event's place such as 412-0-17")]
pub struct NotAnEventRef(String);

impl FromStr for EventRef {
    type Err = NotAnEventRef;

    fn from_str(text: &str) -> Result<Self, NotAnEventRef> {
        let read = || {
            let (index, rest) = text.split_once('-')?;
            let (ordinal, position) = rest.split_once('-')?;
            let place = Self {
                index: index.parse().ok()?,
                ordinal: ordinal.parse().ok()?,
                position: position.parse().ok()?,
            };
            // One text a place: no signs, no leading zeros.
            (place.to_string() == text).then_some(place)
        };
        read().ok_or_else(|| NotAnEventRef(text.chars().take(80).collect()))
    }
}

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
