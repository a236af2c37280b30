//! Makes batches as a sensor would, and such as no sensor would.

use bytes::Bytes;
use wardmesh_common::clock;
use wardmesh_common::event::{Attribute, Event, EventKind, Party};
use wardmesh_common::id::SensorId;
use wardmesh_common::net::MacAddress;
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::frame::{self, Frame, HEADER_LENGTH, Schema, Seal};
use wardmesh_common::wire::v1::BatchBuilder;

/// One lane of one start of a sensor.
#[derive(Clone)]
pub struct Forge {
    sensor: SensorId,
    lane: Lane,
    epoch: u64,
    seq: u64,
    chain: u64,
}

impl Forge {
    /// A start that has sent nothing yet on the bulk lane.
    pub fn new(sensor: SensorId, epoch: u64) -> Self {
        Self { sensor, lane: Lane::Bulk, epoch, seq: 0, chain: 0 }
    }

    /// The place of the last batch.
    pub fn place(&self) -> (u64, u64) {
        (self.epoch, self.seq)
    }

    /// The next batch with one event.
    pub fn batch(&mut self) -> Bytes {
        let sensor = self.sensor;
        self.batch_naming(sensor)
    }

    /// The next batch, which names this sensor.
    pub fn batch_naming(&mut self, sensor: SensorId) -> Bytes {
        let mut builder = BatchBuilder::new(sensor, &["eth0".to_owned()]);
        builder.push(&event(self.seq + 1));
        let (archive, events) = builder.finish().unwrap();
        self.seal(&archive, events, true)
    }

    /// The next batch, with an archive that is none.
    pub fn malformed(&mut self) -> Bytes {
        self.seal(b"no archive", 1, false)
    }

    /// The next batch, whose block expands to more than its header admits to.
    pub fn bomb(&mut self) -> Bytes {
        let sealed = self.seal(&[0; 64 * 1024], 1, true);
        patched(&sealed, 16, &1_000_u32.to_le_bytes())
    }

    /// Passes over a place, as if a batch had been lost.
    pub fn lose(&mut self) {
        drop(self.batch());
    }

    fn seal(&mut self, archive: &[u8], events: u32, compress: bool) -> Bytes {
        self.seq += 1;
        let seal = Seal {
            schema: Schema::Batch,
            lane: self.lane,
            events,
            epoch: self.epoch,
            seq: self.seq,
            sealed_at: clock::now(),
            previous_chain: self.chain,
        };
        let bytes = frame::seal(&seal, archive, compress);
        self.chain = Frame::open(&bytes).unwrap().header.chain;
        bytes
    }
}

/// The same frame with other bytes in its header at `at`, under a checksum that holds.
pub fn patched(frame: &[u8], at: usize, bytes: &[u8]) -> Bytes {
    let mut patched = frame.to_vec();
    patched[at..at + bytes.len()].copy_from_slice(bytes);
    let payload = crc32c::crc32c(&patched[HEADER_LENGTH..]);
    let checksum = crc32c::crc32c_append(payload, &patched[..60]);
    patched[60..64].copy_from_slice(&checksum.to_le_bytes());
    patched.into()
}

fn event(number: u64) -> Event {
    let [.., d, e, f] = number.to_be_bytes();
    Event {
        observed_at: clock::now(),
        kind: EventKind::Observation,
        interface: 0,
        device: Party { mac: Some(MacAddress([0x00, 0x09, 0x02, d, e, f])), ip: None, vlan: None },
        peer: None,
        service: None,
        attributes: vec![Attribute { key: "dns.query".into(), values: vec!["x".repeat(40)] }],
        counters: Vec::new(),
    }
}
