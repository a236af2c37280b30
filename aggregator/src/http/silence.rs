//! Which sensors are silent, so that an answer over all sites says what it does not know.

use std::collections::BTreeMap;
use std::time::Duration;

use wardmesh_common::id::{SiteId, TenantId};
use wardmesh_common::time::Timestamp;

use crate::state::State;
use crate::state::sensors::Sensor;

/// A sensor reports at least its health every minute; after five it is silent (as the alert
/// `SensorSilent` has it).
pub(crate) const SILENT_AFTER: Duration = Duration::from_secs(5 * 60);

/// `revoked`, `enrolled` (never heard yet), `silent` or `online`, at the leader's time.
pub(crate) fn state_of(sensor: &Sensor, at: Timestamp) -> &'static str {
    match (sensor.revoked_at, sensor.last_received) {
        (Some(_), _) => "revoked",
        (None, None) => "enrolled",
        (None, Some(heard)) if at.since(heard) > SILENT_AFTER => "silent",
        (None, Some(_)) => "online",
    }
}

/// How many sensors of each site are admitted, and how many of them are heard.
pub(crate) struct Watch<'a>(BTreeMap<&'a SiteId, (u32, u32)>);

impl<'a> Watch<'a> {
    /// One look at each sensor.
    pub(crate) fn of(state: &'a State, tenant: &'a TenantId) -> Self {
        let mut sites = BTreeMap::<_, (u32, u32)>::new();
        for sensor in state.sensors(tenant).filter(|sensor| sensor.revoked_at.is_none()) {
            let (all, online) = sites.entry(&sensor.site).or_default();
            *all += 1;
            *online += u32::from(state_of(sensor, state.at()) == "online");
        }
        Self(sites)
    }

    /// `ok`, `degraded` (a sensor is not heard), `silent` (none is) or `unwatched` (there is none).
    pub(crate) fn health(&self, site: &SiteId) -> &'static str {
        match self.0.get(site).copied().unwrap_or_default() {
            (0, _) => "unwatched",
            (_, 0) => "silent",
            (all, online) if online < all => "degraded",
            (_, _) => "ok",
        }
    }
}

/// The sites of which something is missing.
pub(crate) fn partial_sites(state: &State, tenant: &TenantId) -> Vec<String> {
    let watch = Watch::of(state, tenant);
    let missing = state.sites(tenant).filter(|site| watch.health(&site.id) != "ok");
    missing.map(|site| site.id.to_string()).collect()
}
