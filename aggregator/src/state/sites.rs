//! The registry of facilities.

use wardmesh_common::id::{SiteId, TenantId};
use wardmesh_common::time::Timestamp;

use super::record::record;
use super::table::Entity;

/// A facility.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its name in every URL.
    pub id: SiteId,
    /// Its name for people.
    pub title: String,
    /// The leader's time when it was defined.
    pub defined_at: Timestamp,
    /// Sensors enrolled there, revoked ones included.
    pub sensors: u32,
    /// Devices that were seen there.
    pub devices: u64,
    /// Events from there, those that a second sensor saw too counted once.
    pub events: u64,
    /// Events from there that a second sensor had seen already.
    pub merged: u64,
    /// The latest event from there (event time).
    pub last_event: Option<Timestamp>,
    /// The leader's time when a batch from there was last applied.
    pub last_received: Option<Timestamp>,
}

record!(Site {
    tenant,
    id,
    title,
    defined_at,
    sensors,
    devices,
    events,
    merged,
    last_event,
    last_received,
});

impl Entity for Site {
    type Key = (TenantId, SiteId);
    const KIND: u8 = 2;

    fn key(&self) -> Self::Key {
        (self.tenant.clone(), self.id.clone())
    }
}
