//! A small made-up fleet for the store's tests: its log, its rows, and what a reader must find.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use wardmesh_common::event::{Attribute, Counter, Event, EventKind, Party, Service};
use wardmesh_common::id::{DeviceId, MintedId, SensorId, SiteId, TenantId};
use wardmesh_common::net::{MacAddress, Transport};
use wardmesh_common::time::Timestamp;
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::frame::{self, Schema, Seal};
use wardmesh_common::wire::v1::{ArchivedEvent, BatchBuilder};

use super::{CommandLog, EventQuery, EventRef, StoredEvent};
use crate::state::command::{Action, Command, Submission};
use crate::state::effects::AppliedBatch;

/// A log in memory.
#[derive(Default)]
pub(super) struct MemoryLog {
    entries: Mutex<BTreeMap<u64, Bytes>>,
    first: AtomicU64,
    end: Option<u64>,
}

impl MemoryLog {
    /// A log that ends before an index.
    pub(super) fn ending(end: u64) -> Self {
        Self { end: Some(end), ..Self::default() }
    }

    pub(super) fn put(&self, index: u64, bytes: Bytes) {
        self.entries.lock().insert(index, bytes);
    }

    pub(super) fn purge(&self, through: u64) {
        self.first.store(through + 1, Ordering::SeqCst);
        self.entries.lock().retain(|index, _| *index > through);
    }
}

impl CommandLog for MemoryLog {
    fn read(&self, index: u64) -> io::Result<Option<Bytes>> {
        let entries = self.entries.lock();
        if index < self.first() || self.end.is_some_and(|end| index >= end) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(entries.get(&index).cloned())
    }

    fn first(&self) -> u64 {
        self.first.load(Ordering::SeqCst)
    }

    fn bytes_from(&self, index: u64) -> u64 {
        self.entries.lock().range(index..).map(|(_, bytes)| bytes.len() as u64).sum()
    }
}

impl CommandLog for Arc<Fleet> {
    fn read(&self, index: u64) -> io::Result<Option<Bytes>> {
        self.log.read(index)
    }

    fn first(&self) -> u64 {
        self.log.first()
    }

    fn bytes_from(&self, index: u64) -> u64 {
        self.log.bytes_from(index)
    }
}

/// xorshift64: the same numbers at every run.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

pub(super) fn tenant() -> TenantId {
    TenantId::default_tenant()
}

pub(super) fn device(number: u8) -> DeviceId {
    DeviceId(MintedId(u128::from(number) << 64))
}

/// Devices are known by the last byte of their MAC address.
pub(super) fn resolve(_: &AppliedBatch, _: &str, event: &ArchivedEvent) -> Option<DeviceId> {
    Some(device(event.party().mac?.0[5]))
}

fn event(at: u64, number: u8, text: u64) -> Event {
    let attribute = Attribute { key: "dns.query".into(), values: vec![format!("host-{text}")] };
    Event {
        observed_at: Timestamp::from_parts(at, 0),
        kind: EventKind::Observation,
        interface: u16::from(number % 2),
        device: Party { mac: Some(MacAddress([2, 0, 0, 0, 0, number])), ip: None, vlan: Some(7) },
        peer: None,
        service: Some(Service {
            transport: Transport::Udp,
            port: Some(53),
            protocol: Some("dns".into()),
        }),
        attributes: vec![attribute],
        counters: vec![Counter { key: "packets".into(), value: text }],
    }
}

/// A fleet of sensors whose batches are applied one entry after the other.
pub(super) struct Fleet {
    pub(super) log: MemoryLog,
    pub(super) rows: BTreeMap<u64, Vec<AppliedBatch>>,
    pub(super) events: Vec<StoredEvent>,
    pub(super) next: u64,
    dice: Dice,
    seqs: BTreeMap<SensorId, u64>,
}

impl Fleet {
    /// A fleet after so many entries.
    pub(super) fn after(entries: u64) -> Self {
        let (log, rows, events) = (MemoryLog::default(), BTreeMap::new(), Vec::new());
        let (dice, seqs) = (Dice(0x9e37_79b9_7f4a_7c15), BTreeMap::new());
        let mut fleet = Self { log, rows, events, next: 0, dice, seqs };
        (0..entries).for_each(|_| fleet.step());
        fleet
    }

    /// One entry: of Raft's own, a tick, or batches of some sensors.
    fn step(&mut self) {
        let (index, at) = (self.next, Timestamp::from_parts(1_000 + self.next, 0));
        self.next += 1;
        let count = if index == 0 { 0 } else { self.dice.below(5) };
        let batches: Vec<_> = (0..count as u32).map(|ordinal| self.batch(ordinal, at)).collect();
        let (submissions, rows): (Vec<_>, Vec<_>) = batches.into_iter().unzip();
        let action = if count == 0 { Action::Tick } else { Action::Ingest(submissions) };
        if index > 0 {
            self.log.put(index, Command::new(at, action).encode().unwrap());
        }
        self.rows.insert(index, rows);
    }

    fn batch(&mut self, ordinal: u32, received_at: Timestamp) -> (Submission, AppliedBatch) {
        let number = self.dice.below(4) as u8;
        let sensor = SensorId([number; 16]);
        let seq = self.seqs.entry(sensor).or_default();
        *seq += 1;
        let seq = *seq;
        let site = format!("site-{}", number % 2).parse().unwrap();
        let lane = if number == 0 { Lane::Urgent } else { Lane::Bulk };
        let interfaces = ["eth0".to_owned(), "eth1".to_owned()];
        let mut builder = BatchBuilder::new(sensor, &interfaces);
        let mut devices = Vec::new();
        let mut times = Vec::new();
        for position in 0..1 + self.dice.below(6) as u32 {
            let at = 900 + self.next + self.dice.below(200);
            let event = event(at, self.dice.below(9) as u8, self.dice.below(1_000));
            builder.push(&event);
            times.push(event.observed_at);
            devices.push(device(event.device.mac.unwrap().0[5]));
            self.events.push(StoredEvent {
                reference: EventRef { index: self.next - 1, ordinal, position },
                site: SiteId::clone(&site),
                sensor,
                epoch: 7,
                lane,
                seq,
                received_at,
                interface: interfaces[usize::from(event.interface)].clone(),
                device: devices.last().copied(),
                event,
            });
        }
        devices.sort();
        devices.dedup();
        let (archive, events) = builder.finish().unwrap();
        let (schema, epoch, sealed_at, previous_chain) = (Schema::Batch, 7, received_at, 0);
        let seal = Seal { schema, lane, events, epoch, seq, sealed_at, previous_chain };
        let frame = frame::seal(&seal, &archive, self.dice.below(2) == 0);
        let row = AppliedBatch {
            ordinal,
            tenant: tenant(),
            site,
            sensor,
            epoch,
            lane,
            seq,
            events,
            observed_min: times.iter().copied().min().unwrap(),
            observed_max: times.iter().copied().max().unwrap(),
            received_at,
            devices,
        };
        (Submission { sensor, clock_offset: 0, frame }, row)
    }

    /// The rows of an entry.
    pub(super) fn rows(&self, index: u64) -> Vec<AppliedBatch> {
        self.rows.get(&index).cloned().unwrap_or_default()
    }

    /// What a query must find from a log index on, whatever its pages.
    pub(super) fn expected(&self, query: &EventQuery, from: u64) -> Vec<StoredEvent> {
        let asked = |stored: &&StoredEvent| {
            stored.reference.index >= from
                && query.site.as_ref().is_none_or(|site| *site == stored.site)
                && query.sensor.is_none_or(|sensor| sensor == stored.sensor)
                && query.device.is_none_or(|device| Some(device) == stored.device)
                && query.since.is_none_or(|since| stored.event.observed_at >= since)
                && query.until.is_none_or(|until| stored.event.observed_at < until)
        };
        self.events.iter().filter(asked).cloned().collect()
    }
}
