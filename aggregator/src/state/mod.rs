//! What all replicas agree on: the same commands in the same order give the same state, byte for byte.
//!
//! Pure: no clock, no randomness, no floats, no I/O. [`State::apply`] is the only place where it
//! changes and cannot fail; its clone is cheap, so that a snapshot or a reader never stops it.

use wardmesh_common::id::{ClusterId, TenantId};
use wardmesh_common::map::{HashKey, ShardedMap};
use wardmesh_common::time::Timestamp;

pub mod classify;
pub mod command;
pub mod dedup;
pub mod devices;
pub mod digest;
pub mod effects;
pub mod evidence;
pub mod findings;
pub mod identity;
pub mod presence;
mod read;
pub mod receipt;
pub(crate) mod record;
pub mod sensors;
pub mod sites;
pub mod source;
mod table;

use devices::Device;
use digest::Digests;
use findings::Finding;
use identity::Identity;
use sensors::Sensor;
use sites::Site;
use table::Table;

/// Devices kept: past it new ones are only counted. 2 kB each keep a node below 4 GB.
pub const DEVICES_MAX: usize = 1_000_000;

/// What all replicas agree on.
#[derive(Clone, Debug)]
pub struct State {
    core: Core,
    applied: u64,
    digests: Digests,
    sites: Table<Site>,
    sensors: Table<Sensor>,
    devices: Table<Device>,
    findings: Table<Finding>,
    /// Which device an identity is; follows from `devices`.
    identities: ShardedMap<Identity, Known>,
}

/// What there is one of.
#[derive(Clone, Debug, Default)]
struct Core {
    cluster: Option<ClusterId>,
    key: [u8; 16],
    admin_token: [u8; 32],
    at: Timestamp,
    findings_refused: u64,
    devices_refused: u64,
}

/// The device of an identity, with what decides whether an address behind it is its own.
#[derive(Clone, Copy, Debug)]
struct Known {
    device: wardmesh_common::id::DeviceId,
    router: bool,
}
