//! The connections that are served now, by sensor: a few each, and the newest wins.
//!
//! A sensor that lost its connection comes back before the node has noticed; one that opens
//! connections without end only cuts its own.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use quinn::{Connection, VarInt};
use wardmesh_common::id::SensorId;

/// Connections of one sensor: its own, and those that it lost within the idle timeout.
pub const CONNECTIONS_PER_SENSOR_MAX: usize = 4;

/// The connections that are served now.
#[derive(Debug, Default)]
pub struct Live {
    sensors: Mutex<BTreeMap<SensorId, Vec<Connection>>>,
}

impl Live {
    /// Takes a connection in; the sensor's oldest is closed where it has too many.
    pub(super) fn enter(&self, sensor: SensorId, connection: &Connection) {
        let mut sensors = self.sensors.lock();
        let own = sensors.entry(sensor).or_default();
        if own.len() >= CONNECTIONS_PER_SENSOR_MAX {
            own.remove(0).close(VarInt::from_u32(2), b"superseded");
        }
        own.push(connection.clone());
    }

    /// Forgets a connection that has ended.
    pub(super) fn leave(&self, sensor: SensorId, connection: &Connection) {
        let mut sensors = self.sensors.lock();
        let Some(own) = sensors.get_mut(&sensor) else { return };
        own.retain(|other| other.stable_id() != connection.stable_id());
        if own.is_empty() {
            sensors.remove(&sensor);
        }
    }
}
