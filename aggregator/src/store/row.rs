//! Batches' rows in the query index: what a reader needs to decide whether to open a batch.
//!
//! Small batches that follow each other in an entry share a row, since sled counts its work and memory by
//! keys. Own fixed fields, little-endian, under a crc32c: sled has been seen to hand back changed bytes.

use wardmesh_common::id::{DeviceId, MintedId, SensorId, TenantId};
use wardmesh_common::time::Timestamp;
use wardmesh_common::wire::Lane;

use super::fields::{Fields, checked, seal};
use super::key::{Subject, push_name};
use crate::state::effects::AppliedBatch;

/// Bytes of a batch's fixed part, the site's name at its longest.
const FIXED_LENGTH: usize = 160;

/// Bytes up to which batches share a row: a longer one would be copied whole with every neighbour.
const SHARED_LENGTH_MAX: usize = 4_096;

/// The rows of an entry, each with its first batch, which names it.
pub(super) fn rows(batches: &[AppliedBatch]) -> impl Iterator<Item = (&AppliedBatch, Vec<u8>)> {
    let mut length = batches.first().map_or(0, length);
    let shared = batches.chunk_by(move |one, next| {
        let joined = length + self::length(next);
        let shares = one.tenant == next.tenant && joined <= SHARED_LENGTH_MAX;
        length = if shares { joined } else { self::length(next) };
        shares
    });
    shared.filter_map(|row| Some((row.first()?, seal(encode_all(row)))))
}

/// Reads such a row; `None` where it is damaged.
pub(super) fn read(bytes: &[u8]) -> Option<Vec<AppliedBatch>> {
    decode_all(checked(bytes)?)
}

fn length(batch: &AppliedBatch) -> usize {
    FIXED_LENGTH + batch.devices.len() * 16
}

/// The bytes of one batch.
fn encode(batch: &AppliedBatch) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length(batch));
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

fn decode(tenant: TenantId, ordinal: u32, bytes: &[u8]) -> Option<AppliedBatch> {
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

/// Batches one after the other, each with its tenant and its position in the entry.
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn batch(ordinal: u32, tenant: &str, devices: u128) -> AppliedBatch {
        AppliedBatch {
            ordinal,
            tenant: tenant.parse().unwrap(),
            site: "north".parse().unwrap(),
            sensor: SensorId([7; 16]),
            epoch: 3,
            lane: Lane::Bulk,
            seq: u64::from(ordinal),
            events: 5,
            observed_min: Timestamp::EPOCH,
            observed_max: Timestamp::EPOCH,
            received_at: Timestamp::EPOCH,
            devices: (0..devices).map(|device| DeviceId(MintedId(device))).collect(),
        }
    }

    #[test]
    fn small_batches_of_a_tenant_share_a_row_and_all_come_back() {
        let tenants = ["a", "a", "b", "b", "a"];
        let mixed: Vec<_> = (0..).zip(tenants).map(|(at, tenant)| batch(at, tenant, 3)).collect();
        let small: Vec<_> = (0..60).map(|at| batch(at, "a", 5)).collect();
        let large: Vec<_> = (0..4).map(|at| batch(at, "a", 400)).collect();
        // (the batches, how many stand in each row)
        let cases = [
            (vec![], vec![]),
            (mixed, vec![2, 2, 1]),
            (small, vec![17, 17, 17, 9]),
            (large, vec![1, 1, 1, 1]),
        ];
        for (batches, shares) in cases {
            let rows: Vec<_> = rows(&batches).map(|(first, row)| (first.ordinal, row)).collect();
            let held: Vec<_> = rows.iter().map(|(_, row)| read(row).unwrap()).collect();
            assert_eq!(held.iter().map(Vec::len).collect::<Vec<_>>(), shares);
            for ((first, row), held) in rows.iter().zip(&held) {
                assert_eq!(*first, held[0].ordinal);
                let mut spoiled = row.clone();
                spoiled[9] ^= 1;
                assert_eq!(read(&spoiled), None);
            }
            assert_eq!(held.concat(), batches);
        }
    }
}
