//! Which sensors are silent, so that an answer over all sites says what it does not know.
//!
//! A node that lost touch with the leader knows of no sensor: what it last heard is no sign of life.

use std::collections::BTreeMap;
use std::time::Duration;

use wardmesh_common::id::{SiteId, TenantId};
use wardmesh_common::time::Timestamp;

use crate::state::State;
use crate::state::sensors::Sensor;

/// A sensor reports at least its health every minute; after five it is silent (as the alert
/// `SensorSilent` has it).
pub(crate) const SILENT_AFTER: Duration = Duration::from_secs(5 * 60);

/// What [`Now::state_of`] may say.
pub(crate) const STATES: [&str; 5] = ["online", "silent", "enrolled", "revoked", "unknown"];

/// What a sensor's last word is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Now {
    /// The leader's time, as this node knows it.
    At(Timestamp),
    /// The leader was not heard for as long as makes a sensor silent, or never.
    Unknown,
}

impl Now {
    /// The leader's time in a state that was in touch with the leader so long ago.
    pub(crate) fn of(state: &State, last_contact: Option<Duration>) -> Self {
        let touched = last_contact.is_some_and(|since| since <= SILENT_AFTER);
        if touched { Self::At(state.at()) } else { Self::Unknown }
    }

    /// `revoked`, `unknown` (this node knows no time), `enrolled` (never heard yet), `silent` or
    /// `online`.
    pub(crate) fn state_of(self, sensor: &Sensor) -> &'static str {
        match (sensor.revoked_at, self, sensor.last_received) {
            (Some(_), _, _) => "revoked",
            (None, Self::Unknown, _) => "unknown",
            (None, Self::At(_), None) => "enrolled",
            (None, Self::At(at), Some(heard)) if at.since(heard) > SILENT_AFTER => "silent",
            (None, Self::At(_), Some(_)) => "online",
        }
    }
}

/// How many sensors of each site are admitted, and how many of them are heard.
pub(crate) struct Watch<'a> {
    now: Now,
    sites: BTreeMap<&'a SiteId, (u32, u32)>,
}

impl<'a> Watch<'a> {
    /// One look at each sensor.
    pub(crate) fn of(state: &'a State, tenant: &'a TenantId, now: Now) -> Self {
        let mut sites = BTreeMap::<_, (u32, u32)>::new();
        for sensor in state.sensors(tenant).filter(|sensor| sensor.revoked_at.is_none()) {
            let (all, online) = sites.entry(&sensor.site).or_default();
            *all += 1;
            *online += u32::from(now.state_of(sensor) == "online");
        }
        Self { now, sites }
    }

    /// `unknown` (this node knows no time), `ok`, `degraded` (a sensor is not heard), `silent` (none
    /// is) or `unwatched` (there is none).
    pub(crate) fn health(&self, site: &SiteId) -> &'static str {
        match (self.now, self.sites.get(site).copied().unwrap_or_default()) {
            (Now::Unknown, _) => "unknown",
            (_, (0, _)) => "unwatched",
            (_, (_, 0)) => "silent",
            (_, (all, online)) if online < all => "degraded",
            (_, (_, _)) => "ok",
        }
    }
}

/// The sites of which something is missing.
pub(crate) fn partial_sites(state: &State, tenant: &TenantId, now: Now) -> Vec<String> {
    let watch = Watch::of(state, tenant, now);
    let missing = state.sites(tenant).filter(|site| watch.health(&site.id) != "ok");
    missing.map(|site| site.id.to_string()).collect()
}
