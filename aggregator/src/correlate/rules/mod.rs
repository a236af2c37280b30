//! The registry of rules: a new one costs one file and two adjacent lines here.

use super::Rule;

mod clock_suspect;
mod disk_full;
mod same_identity;
mod sensor_cloned;
mod sensor_forked;

/// Every rule judges every subject that a command changed, in this order.
pub static RULES: &[&dyn Rule] = &[
    &same_identity::SameIdentity,
    &sensor_forked::SensorForked,
    &sensor_cloned::SensorCloned,
    &clock_suspect::ClockSuspect,
    &disk_full::NodeDiskFull,
    &disk_full::SensorDiskFull,
];
