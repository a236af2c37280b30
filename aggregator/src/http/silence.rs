//! Which sensors are silent, so that an answer over all sites says what it does not know.

use std::time::Duration;

use wardmesh_common::id::TenantId;
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

/// `ok`, `degraded` (a sensor is not heard), `silent` (none is) or `unwatched` (there is none).
pub(crate) fn health_of<'a>(
    sensors: impl Iterator<Item = &'a Sensor>,
    at: Timestamp,
) -> &'static str {
    let states = sensors.map(|sensor| state_of(sensor, at)).filter(|state| *state != "revoked");
    let (all, online) = states.fold((0_u32, 0_u32), |(all, online), state| {
        (all + 1, online + u32::from(state == "online"))
    });
    match (all, online) {
        (0, _) => "unwatched",
        (_, 0) => "silent",
        (all, online) if online < all => "degraded",
        _ => "ok",
    }
}

/// The sites of which something is missing.
pub(crate) fn partial_sites(state: &State, tenant: &TenantId) -> Vec<String> {
    let missing = |site: &&crate::state::sites::Site| {
        let there = state.sensors(tenant).filter(|sensor| sensor.site == site.id);
        health_of(there, state.at()) != "ok"
    };
    state.sites(tenant).filter(missing).map(|site| site.id.to_string()).collect()
}
