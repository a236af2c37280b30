//! The connections that are served now, by sensor: a few each, and the newest wins.
//!
//! A sensor that lost its connection comes back before the node has noticed; one that opens
//! connections without end only cuts its own.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use wardmesh_common::id::SensorId;
use wardmesh_common::link::Connection;

/// Connections of one sensor: its own, and those that it lost within the idle timeout.
pub const CONNECTIONS_PER_SENSOR_MAX: usize = 4;

/// The connections that are served now.
#[derive(Default)]
pub struct Live {
    sensors: Mutex<BTreeMap<SensorId, Vec<Arc<dyn Connection>>>>,
}

/// Names the sensors.
impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.sensors.lock().keys()).finish()
    }
}

impl Live {
    /// Takes a connection in; the sensor's oldest is closed where it has too many.
    pub(super) fn enter(&self, sensor: SensorId, connection: &Arc<dyn Connection>) {
        let mut sensors = self.sensors.lock();
        let own = sensors.entry(sensor).or_default();
        if own.len() >= CONNECTIONS_PER_SENSOR_MAX {
            own.remove(0).close(2, "superseded");
        }
        own.push(Arc::clone(connection));
    }

    /// Forgets a connection that has ended.
    pub(super) fn leave(&self, sensor: SensorId, connection: &Arc<dyn Connection>) {
        let mut sensors = self.sensors.lock();
        let Some(own) = sensors.get_mut(&sensor) else { return };
        own.retain(|other| !Arc::ptr_eq(other, connection));
        if own.is_empty() {
            sensors.remove(&sensor);
        }
    }
}
