//! Sensors, events and commands for tests: what a sensor would send, without one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use wardmesh_common::event::{Attribute, Event, EventKind, Party, Peer, Service};
use wardmesh_common::id::{ClusterId, SensorId, SiteId, TenantId};
use wardmesh_common::map::HashKey;
use wardmesh_common::net::{MacAddress, Transport};
use wardmesh_common::time::Timestamp;
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::frame::{Frame, Schema, Seal, seal};
use wardmesh_common::wire::v1::BatchBuilder;

use super::State;
use super::command::{Action, Command, DefineSite, Enrol, OpenEpoch, Submission};
use super::devices::Device;
use super::effects::Effects;
use super::findings::Finding;
use super::receipt::{BatchReceipt, Receipt};

/// Seconds after the scene's beginning, 2026-01-05T08:00:00Z.
pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_parts(1_767_600_000 + seconds, 0)
}

pub(crate) fn tenant() -> TenantId {
    TenantId::default_tenant()
}

pub(crate) fn site(name: &str) -> SiteId {
    name.parse().unwrap()
}

pub(crate) fn sensor(number: u8) -> SensorId {
    SensorId([number; 16])
}

pub(crate) fn mac(text: &str) -> MacAddress {
    text.parse().unwrap()
}

/// A sighting of a station.
pub(crate) fn sighting(station: &str, seconds: u64) -> Event {
    Event {
        observed_at: at(seconds),
        kind: EventKind::Sighting,
        interface: 0,
        device: Party { mac: Some(mac(station)), ip: None, vlan: None },
        peer: None,
        service: None,
        attributes: Vec::new(),
        counters: Vec::new(),
    }
}

/// A station that says things: `key=value|value`.
pub(crate) fn says(station: &str, seconds: u64, what: &[&str]) -> Event {
    let attribute = |text: &&str| {
        let (key, values) = text.split_once('=').unwrap();
        Attribute {
            key: key.to_owned().into(),
            values: values.split('|').map(str::to_owned).collect(),
        }
    };
    let protocol = what.first().and_then(|first| first.split('.').next()).unwrap_or("none");
    let protocol = Some(protocol.to_owned().into());
    Event {
        kind: EventKind::Observation,
        service: Some(Service { transport: Transport::Tcp, port: Some(104), protocol }),
        attributes: what.iter().map(attribute).collect(),
        ..sighting(station, seconds)
    }
}

pub(crate) fn from_ip(event: Event, ip: [u8; 4]) -> Event {
    Event { device: Party { ip: Some(ip.into()), ..event.device }, ..event }
}

pub(crate) fn to(event: Event, station: &str) -> Event {
    let peer = Peer { mac: Some(mac(station)), ip: None, port: Some(104) };
    Event { peer: Some(peer), ..event }
}

/// The last place of a lane.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tail {
    pub(crate) seq: u64,
    pub(crate) chain: u64,
}

/// What one start of a sensor sends.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    pub(crate) sensor: SensorId,
    pub(crate) epoch: u64,
    pub(crate) interface: String,
    pub(crate) marks: [Tail; 2],
    /// When the next batch is sealed, by the sensor's clock.
    pub(crate) sealed_at: Timestamp,
}

impl Feed {
    pub(crate) fn new(sensor: SensorId, epoch: u64) -> Self {
        Self {
            sensor,
            epoch,
            interface: "eth0".to_owned(),
            marks: Default::default(),
            sealed_at: at(10 * 31_536_000),
        }
    }

    /// The next batch of the bulk lane.
    pub(crate) fn batch(&mut self, events: &[Event]) -> Bytes {
        self.batch_on(Lane::Bulk, events)
    }

    pub(crate) fn batch_on(&mut self, lane: Lane, events: &[Event]) -> Bytes {
        let mut builder = BatchBuilder::new(self.sensor, std::slice::from_ref(&self.interface));
        events.iter().for_each(|event| builder.push(event));
        let (archive, count) = builder.finish().unwrap();
        self.seal(lane, Schema::Batch, &archive, count)
    }

    pub(crate) fn seal(
        &mut self,
        lane: Lane,
        schema: Schema,
        archive: &[u8],
        events: u32,
    ) -> Bytes {
        let mark = &mut self.marks[usize::from(lane.number())];
        let with = Seal {
            schema,
            lane,
            events,
            epoch: self.epoch,
            seq: mark.seq + 1,
            sealed_at: self.sealed_at,
            previous_chain: mark.chain,
        };
        let bytes = seal(&with, archive, true);
        let chain = Frame::open(&bytes).unwrap().header.chain;
        *mark = Tail { seq: mark.seq + 1, chain };
        bytes
    }

    pub(crate) fn submission(&self, frame: Bytes) -> Submission {
        Submission { sensor: self.sensor, clock_offset: 0, frame }
    }
}

/// A founded state whose log goes on by itself.
#[derive(Clone, Debug)]
pub(crate) struct Fleet {
    pub(crate) state: State,
    pub(crate) now: Timestamp,
}

impl Fleet {
    /// One sensor at each site, in order: `sensor(1)` with epoch 1 open, and so on.
    pub(crate) fn at(sites: &[&str]) -> Self {
        let mut fleet = Self { state: State::new(), now: at(86_400) };
        let (cluster, key) = (ClusterId([9; 16]), HashKey([7; 16]));
        fleet.apply(Action::Found { cluster, key, admin_token: [1; 32] });
        for (number, name) in (1..).zip(sites) {
            fleet.define(name);
            assert_eq!(fleet.enrol(number, name), Receipt::Accepted);
            fleet.open(number, u64::from(number), &[]);
        }
        fleet
    }

    pub(crate) fn apply(&mut self, action: Action) -> Effects {
        let index = self.state.applied() + 1;
        self.state.apply(index, &Command::new(self.now, action))
    }

    pub(crate) fn define(&mut self, name: &str) -> Receipt {
        let (tenant, site, title) = (tenant(), site(name), name.to_uppercase());
        self.apply(Action::DefineSite(DefineSite { tenant, site, title })).receipt
    }

    pub(crate) fn enrol(&mut self, number: u8, name: &str) -> Receipt {
        let (sensor, tenant, site) = (sensor(number), tenant(), site(name));
        let name = format!("sensor-{number}");
        self.apply(Action::Enrol(Enrol { sensor, tenant, site, name })).receipt
    }

    pub(crate) fn open(&mut self, number: u8, epoch: u64, held: &[u64]) -> Receipt {
        let (sensor, held) = (sensor(number), held.to_vec());
        let tenant = TenantId::default_tenant();
        let (lane, tails, remote) = (Lane::Bulk, Vec::new(), String::new());
        let version = "0.1.0".into();
        let open = OpenEpoch { sensor, tenant, epoch, held, lane, tails, remote, version };
        self.apply(Action::OpenEpoch(open)).receipt
    }

    /// A start says hello on the bulk lane as the sensor does: with what it knows of each start.
    pub(crate) fn hello(&mut self, feed: &Feed, held: &[&Feed], remote: &str) -> Receipt {
        let tail = |feed: &Feed| feed.marks[1].seq;
        self.apply(Action::OpenEpoch(OpenEpoch {
            sensor: feed.sensor,
            tenant: tenant(),
            epoch: feed.epoch,
            held: held.iter().map(|held| held.epoch).collect(),
            lane: Lane::Bulk,
            tails: std::iter::once(tail(feed)).chain(held.iter().map(|held| tail(held))).collect(),
            remote: remote.to_owned(),
            version: "0.1.0".to_owned(),
        }))
        .receipt
    }

    pub(crate) fn feed(&self, number: u8) -> Feed {
        Feed::new(sensor(number), u64::from(number))
    }

    /// The answer to one batch.
    pub(crate) fn submit(&mut self, feed: &Feed, frame: Bytes) -> BatchReceipt {
        let effects = self.apply(Action::Ingest(vec![feed.submission(frame)]));
        let Receipt::Ingested(mut receipts) = effects.receipt else { panic!("not ingested") };
        receipts.remove(0)
    }

    /// Applies the events as the feed's next batch.
    pub(crate) fn hear(&mut self, feed: &mut Feed, events: &[Event]) {
        let frame = feed.batch(events);
        assert_eq!(self.submit(feed, frame), BatchReceipt::Applied);
    }

    pub(crate) fn device(&self, station: &str) -> &Device {
        let devices = self.state.devices_by_mac(&tenant(), mac(station));
        assert_eq!(devices.len(), 1, "{station}");
        devices[0]
    }

    pub(crate) fn devices(&self) -> Vec<&Device> {
        self.state.devices(&tenant(), None).collect()
    }

    pub(crate) fn findings(&self) -> Vec<&Finding> {
        self.state.findings(&tenant(), None).collect()
    }
}

/// A small generator for tests (xorshift64*); the seed is printed by whoever uses it.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % sides
    }
}
