//! A batch's row in the query index: what a reader needs to decide whether to open the batch.
//!
//! Tenant and place are in the key. Own fixed fields, little-endian, under a crc32c: sled has
//! been seen to hand back changed bytes.

use wardmesh_common::id::{DeviceId, MintedId, SensorId, TenantId};
use wardmesh_common::time::Timestamp;
use wardmesh_common::wire::Lane;

use super::fields::{Fields, checked, seal};
use super::key::{Subject, push_name};
use crate::state::effects::AppliedBatch;

/// Bytes of a row's fixed part, the site's name at its longest.
const FIXED_LENGTH: usize = 160;

/// The bytes of a row.
pub(super) fn encode(batch: &AppliedBatch) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FIXED_LENGTH + batch.devices.len() * 16);
    push_name(&mut bytes, batch.site.as_str());
    bytes.extend_from_slice(&batch.sensor.0);
    bytes.push(batch.lane.number());
    bytes.extend_from_slice(&batch.events.to_le_bytes());
    let times = [batch.observed_min, batch.observed_max, batch.received_at];
    for field in [batch.epoch, batch.seq].into_iter().chain(times.map(Timestamp::as_nanos)) {
        bytes.extend_from_slice(&field.to_le_bytes());
    }
    for device in &batch.devices {
        bytes.extend_from_slice(&device.0.0.to_le_bytes());
    }
    seal(bytes)
}

/// Reads a row; `None` where it is damaged.
pub(super) fn decode(tenant: TenantId, ordinal: u32, bytes: &[u8]) -> Option<AppliedBatch> {
    let mut fields = Fields(checked(bytes)?);
    let site = fields.name()?.parse().ok()?;
    let sensor = SensorId(fields.array()?);
    let lane = Lane::from_number(fields.u8()?)?;
    let events = fields.u32()?;
    let (epoch, seq) = (fields.u64()?, fields.u64()?);
    let mut time = || fields.u64().map(Timestamp::from_nanos);
    let (observed_min, observed_max, received_at) = (time()?, time()?, time()?);
    let mut devices = Vec::with_capacity(fields.0.len() / 16);
    while let Some(device) = fields.array() {
        devices.push(DeviceId(MintedId(u128::from_le_bytes(device))));
    }
    fields.0.is_empty().then_some(AppliedBatch {
        ordinal,
        tenant,
        site,
        sensor,
        epoch,
        lane,
        seq,
        events,
        observed_min,
        observed_max,
        received_at,
        devices,
    })
}

/// The rows of one entry, with what the index keeps in their keys: for the archive.
pub(super) fn encode_all(batches: &[AppliedBatch]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for batch in batches {
        push_name(&mut bytes, batch.tenant.as_str());
        bytes.extend_from_slice(&batch.ordinal.to_le_bytes());
        let row = encode(batch);
        bytes.extend_from_slice(&(row.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&row);
    }
    bytes
}

/// Reads what [`encode_all`] wrote; `None` where it is damaged.
pub(super) fn decode_all(bytes: &[u8]) -> Option<Vec<AppliedBatch>> {
    let mut fields = Fields(bytes);
    let mut batches = Vec::new();
    while !fields.0.is_empty() {
        let tenant = fields.name()?.parse().ok()?;
        let ordinal = fields.u32()?;
        let length = fields.u32()? as usize;
        batches.push(decode(tenant, ordinal, fields.bytes(length)?)?);
    }
    Some(batches)
}

/// What a batch is found by.
pub(super) fn subjects(batch: &AppliedBatch) -> impl Iterator<Item = Subject> {
    let devices = batch.devices.iter().copied().map(Subject::Device);
    [Subject::Sensor(batch.sensor), Subject::Site(batch.site.clone())].into_iter().chain(devices)
}
