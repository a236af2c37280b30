//! The query index's keys: what sorts beside what in one sled tree. Each begins with the tenant.
//!
//! ```text
//! meta     0                                              →  see index/meta.rs
//! batches  1 · tenant · log index u64 · ordinal u32       →  this batch and others after it, see row.rs
//! blocks   2 sensor | 3 site | 4 device · tenant · subject · block u64  →  blocks from it on, u8
//! ```
//! Numbers are big-endian, names have one byte of length before them.

use wardmesh_common::id::{DeviceId, SensorId, SiteId, TenantId};

use super::fields::Fields;

/// Entries of the log that a secondary row stands for: a device that speaks in each of them costs
/// one key instead of 64 (a sled key costs 11 to 18 µs), and a reader scans at most so many.
pub(super) const BLOCK_ENTRIES: u64 = 64;

/// Blocks in a group. A row never stands for blocks of two groups, and whole groups are forgotten.
pub(super) const BLOCKS_PER_GROUP: u64 = 16;

/// Where the index keeps what it knows of itself.
pub(super) const META: [u8; 1] = [0];

/// The table of batches.
pub(super) const BATCHES: u8 = 1;
const SENSOR: u8 = 2;
const SITE: u8 = 3;
const DEVICE: u8 = 4;

/// What events are asked for by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Subject {
    Sensor(SensorId),
    Site(SiteId),
    Device(DeviceId),
}

/// A batch's place: its entry and its position among the entry's submissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) index: u64,
    pub(super) ordinal: u32,
}

/// The block of a log index.
pub(super) fn block(index: u64) -> u64 {
    index / BLOCK_ENTRIES
}

/// The first block of a block's group.
pub(super) fn group(block: u64) -> u64 {
    block - block % BLOCKS_PER_GROUP
}

fn begin(table: u8, tenant: &TenantId) -> Vec<u8> {
    let mut key = Vec::with_capacity(96);
    key.push(table);
    push_name(&mut key, tenant.as_str());
    key
}

/// Names are at most `NAME_LENGTH_MAX` bytes by their grammar.
pub(super) fn push_name(bytes: &mut Vec<u8>, name: &str) {
    bytes.push(name.len() as u8);
    bytes.extend_from_slice(name.as_bytes());
}

/// The key of a row that begins with a batch.
pub(super) fn batch(tenant: &TenantId, place: Place) -> Vec<u8> {
    let mut key = begin(BATCHES, tenant);
    key.extend_from_slice(&place.index.to_be_bytes());
    key.extend_from_slice(&place.ordinal.to_be_bytes());
    key
}

/// Reads such a key.
pub(super) fn read_batch(key: &[u8]) -> Option<(TenantId, Place)> {
    let mut fields = Fields(key);
    if fields.u8() != Some(BATCHES) {
        return None;
    }
    let tenant = fields.name()?.parse().ok()?;
    let index = fields.array().map(u64::from_be_bytes)?;
    let ordinal = fields.array().map(u32::from_be_bytes)?;
    fields.0.is_empty().then_some((tenant, Place { index, ordinal }))
}

/// What the key of every block of a subject begins with.
fn subject_prefix(tenant: &TenantId, subject: &Subject) -> Vec<u8> {
    match subject {
        Subject::Sensor(sensor) => {
            let mut key = begin(SENSOR, tenant);
            key.extend_from_slice(&sensor.0);
            key
        }
        Subject::Site(site) => {
            let mut key = begin(SITE, tenant);
            push_name(&mut key, site.as_str());
            key
        }
        Subject::Device(device) => {
            let mut key = begin(DEVICE, tenant);
            key.extend_from_slice(&device.0.0.to_be_bytes());
            key
        }
    }
}

/// The row that says: this block has batches of this subject, and those after it may have some.
pub(super) fn subject(tenant: &TenantId, subject: &Subject, block: u64) -> Vec<u8> {
    let mut key = subject_prefix(tenant, subject);
    key.extend_from_slice(&block.to_be_bytes());
    key
}

/// The block that such a row names.
pub(super) fn read_block(key: &[u8]) -> Option<u64> {
    key.last_chunk().map(|block| u64::from_be_bytes(*block))
}
