//! Between the domain's event and the wire's: the builder on the sensor, the reader on the node.

use std::net::IpAddr;

use indexmap::IndexSet;
use rkyv::api::high::to_bytes_in;
use rkyv::rancor;

use super::{
    Address, ArchivedAddress, ArchivedEvent, ArchivedKind, ArchivedPeer, ArchivedService,
    ArchivedTransport, Attribute, Batch, Batched, Counter, Event, Kind, Party, Peer, Service,
    Transport,
};
use crate::event::{self, EventKind, Name};
use crate::id::SensorId;
use crate::net::MacAddress;
use crate::sighting::SightingKey;
use crate::time::Timestamp;
use crate::wire::{ARCHIVE_LENGTH_MAX, EVENTS_PER_BATCH_MAX};
use crate::{net, sighting};

/// Collects events until they fill a batch.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    names: IndexSet<String>,
    recent: Recent,
    batch: Batch,
    /// An upper bound of the archive's length so far.
    length: usize,
}

/// Bytes that an archived event takes beside its strings, rounded up (alignment is one byte).
const EVENT_LENGTH: usize = 128;

/// Bytes that a reference to a string takes beside its characters: key, vector and string headers.
const ENTRY_LENGTH: usize = 24;

impl BatchBuilder {
    /// An empty batch of a sensor whose interfaces have these names.
    #[must_use]
    pub fn new(sensor: SensorId, interfaces: &[String]) -> Self {
        let length = interfaces.iter().map(|name| name.len() + ENTRY_LENGTH).sum::<usize>() + 64;
        let batch = Batch {
            sensor: sensor.0,
            interfaces: interfaces.to_vec(),
            names: Vec::new(),
            events: Vec::new(),
        };
        Self { names: IndexSet::new(), recent: Recent::default(), batch, length }
    }

    /// Events so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.batch.events.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batch.events.is_empty()
    }

    /// Whether `event` still goes in: at most [`EVENTS_PER_BATCH_MAX`] events and
    /// [`ARCHIVE_LENGTH_MAX`] bytes. An event that alone is larger never does.
    #[must_use]
    pub fn has_room(&self, event: &event::Event) -> bool {
        self.len() < EVENTS_PER_BATCH_MAX
            && self.length + length_of(event) <= ARCHIVE_LENGTH_MAX
            && self.names.len() + event.attributes.len() + event.counters.len()
                < usize::from(u16::MAX)
    }

    /// Adds an event that [`has_room`](Self::has_room) said yes to.
    pub fn push(&mut self, event: &event::Event) {
        self.push_owned(event.clone());
    }

    /// The same for an event that is not needed any more: none of its texts is copied.
    pub fn push_owned(&mut self, event: event::Event) {
        self.length += length_of(&event);
        let event = Event {
            observed_at: event.observed_at.as_nanos(),
            sighting: sighting::key(&event).0,
            kind: kind(event.kind),
            interface: event.interface,
            device: Party {
                mac: event.device.mac.map(|mac| mac.0),
                ip: event.device.ip.map(address),
                vlan: event.device.vlan,
            },
            peer: event.peer.map(|peer| Peer {
                mac: peer.mac.map(|mac| mac.0),
                ip: peer.ip.map(address),
                port: peer.port,
            }),
            service: event.service.as_ref().map(|service| Service {
                transport: transport(service.transport),
                port: service.port,
                protocol: service.protocol.as_ref().map(|name| self.name(name)),
            }),
            attributes: event
                .attributes
                .into_iter()
                .map(|a| Attribute { key: self.name(&a.key), values: a.values })
                .collect(),
            counters: event
                .counters
                .iter()
                .map(|c| Counter { key: self.name(&c.key), value: c.value })
                .collect(),
        };
        self.batch.events.push(event);
    }

    fn name(&mut self, name: &Name) -> u16 {
        let constant = match name {
            Name::Borrowed(text) => Some(*text),
            Name::Owned(_) => None,
        };
        if let Some(index) = constant.and_then(|text| self.recent.find(text)) {
            return index;
        }
        let index = match self.names.get_index_of(name.as_ref()) {
            Some(index) => index,
            None => self.names.insert_full(name.clone().into_owned()).0,
        } as u16;
        if let Some(text) = constant {
            self.recent.note(text, index);
        }
        index
    }

    /// The archive of what was collected, and how many events it holds.
    ///
    /// # Errors
    /// Only if memory cannot be had: the writer is a growing vector.
    pub fn finish(mut self) -> Result<(Vec<u8>, u32), rancor::Error> {
        self.batch.names = self.names.into_iter().collect();
        let room = Vec::with_capacity(self.length);
        let archive = to_bytes_in::<_, rancor::Error>(&self.batch, room)?;
        Ok((archive, self.batch.events.len() as u32))
    }
}

/// Where names that are constants of the program stand in the batch, found by their address instead
/// of their text: an event has up to ten names, each of which would be hashed.
#[derive(Clone, Debug)]
struct Recent([Option<(&'static str, u16)>; RECENT_NAMES]);

/// Names of a batch are some forty; two that share a place only take turns.
const RECENT_NAMES: usize = 128;

impl Default for Recent {
    fn default() -> Self {
        Self([None; RECENT_NAMES])
    }
}

impl Recent {
    fn place(text: &'static str) -> usize {
        // Fibonacci hashing: neighbours among the program's constants come to lie far apart.
        let mixed = (text.as_ptr().addr() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32) as usize % RECENT_NAMES
    }

    fn find(&self, text: &'static str) -> Option<u16> {
        let (known, index) = self.0[Self::place(text)]?;
        (std::ptr::eq(known, text)).then_some(index)
    }

    fn note(&mut self, text: &'static str, index: u16) {
        self.0[Self::place(text)] = Some((text, index));
    }
}

fn length_of(event: &event::Event) -> usize {
    let attribute = |attribute: &event::Attribute| {
        let values = attribute.values.iter().map(|value| value.len() + ENTRY_LENGTH);
        attribute.key.len() + ENTRY_LENGTH + values.sum::<usize>()
    };
    let attributes = event.attributes.iter().map(attribute).sum::<usize>();
    let counters = event.counters.iter().map(|counter| counter.key.len() + ENTRY_LENGTH);
    EVENT_LENGTH + attributes + counters.sum::<usize>()
}

impl Batched<'_> {
    /// The event at a position, owned; `None` past the end.
    #[must_use]
    pub fn event(&self, position: usize) -> Option<event::Event> {
        let event = self.events.get(position)?;
        let attributes = event.attributes.iter().map(|attribute| event::Attribute {
            key: Name::Owned(self.name(attribute.key.to_native()).to_owned()),
            values: attribute.values.iter().map(|value| value.as_str().to_owned()).collect(),
        });
        let counters = event.counters.iter().map(|counter| event::Counter {
            key: Name::Owned(self.name(counter.key.to_native()).to_owned()),
            value: counter.value.to_native(),
        });
        Some(event::Event {
            observed_at: event.observed_at(),
            kind: event.kind(),
            interface: event.interface.to_native(),
            device: event.party(),
            peer: event.peer(),
            service: event.service.as_ref().map(|service| event::Service {
                transport: service.transport(),
                port: service.port.as_ref().map(|port| port.to_native()),
                protocol: self.protocol(event).map(|name| Name::Owned(name.to_owned())),
            }),
            attributes: attributes.collect(),
            counters: counters.collect(),
        })
    }

    /// The name at an index, which [`open`](fn@super::open) has checked.
    #[must_use]
    pub fn name(&self, index: u16) -> &str {
        self.names.get(usize::from(index)).map_or("", |name| name.as_str())
    }

    /// The protocol that an event's service names.
    #[must_use]
    pub fn protocol(&self, event: &ArchivedEvent) -> Option<&str> {
        let index = event.service.as_ref()?.protocol.as_ref()?;
        Some(self.name(index.to_native()))
    }

    /// The interface that saw an event, by name.
    #[must_use]
    pub fn interface(&self, event: &ArchivedEvent) -> &str {
        let index = usize::from(event.interface.to_native());
        self.interfaces.get(index).map_or("", |name| name.as_str())
    }
}

impl ArchivedEvent {
    /// When it was seen, by the sensor's clock.
    #[must_use]
    pub fn observed_at(&self) -> Timestamp {
        Timestamp::from_nanos(self.observed_at.to_native())
    }

    /// The content's sameness key.
    #[must_use]
    pub fn sighting_key(&self) -> SightingKey {
        SightingKey(self.sighting.to_native())
    }

    /// What it reports.
    #[must_use]
    pub fn kind(&self) -> EventKind {
        match self.kind {
            ArchivedKind::Sighting => EventKind::Sighting,
            ArchivedKind::Observation => EventKind::Observation,
            ArchivedKind::Flow => EventKind::Flow,
            ArchivedKind::Health => EventKind::Health,
        }
    }

    /// Who said it.
    #[must_use]
    pub fn party(&self) -> event::Party {
        event::Party {
            mac: self.device.mac.as_ref().map(|mac| MacAddress(*mac)),
            ip: self.device.ip.as_ref().map(ArchivedAddress::to_ip),
            vlan: self.device.vlan.as_ref().map(|vlan| vlan.to_native()),
        }
    }

    /// To whom.
    #[must_use]
    pub fn peer(&self) -> Option<event::Peer> {
        self.peer.as_ref().map(|peer: &ArchivedPeer| event::Peer {
            mac: peer.mac.as_ref().map(|mac| MacAddress(*mac)),
            ip: peer.ip.as_ref().map(ArchivedAddress::to_ip),
            port: peer.port.as_ref().map(|port| port.to_native()),
        })
    }
}

impl ArchivedService {
    /// What carries it.
    #[must_use]
    pub fn transport(&self) -> net::Transport {
        match self.transport {
            ArchivedTransport::Link => net::Transport::Link,
            ArchivedTransport::Tcp => net::Transport::Tcp,
            ArchivedTransport::Udp => net::Transport::Udp,
            ArchivedTransport::Icmp => net::Transport::Icmp,
            ArchivedTransport::Other(number) => net::Transport::Other(number),
        }
    }
}

impl ArchivedAddress {
    /// As the standard library's address.
    #[must_use]
    pub fn to_ip(&self) -> IpAddr {
        match self {
            Self::V4(octets) => IpAddr::from(*octets),
            Self::V6(octets) => IpAddr::from(*octets),
        }
    }
}

fn address(ip: IpAddr) -> Address {
    match ip {
        IpAddr::V4(ip) => Address::V4(ip.octets()),
        IpAddr::V6(ip) => Address::V6(ip.octets()),
    }
}

fn kind(kind: EventKind) -> Kind {
    match kind {
        EventKind::Sighting => Kind::Sighting,
        EventKind::Observation => Kind::Observation,
        EventKind::Flow => Kind::Flow,
        EventKind::Health => Kind::Health,
    }
}

fn transport(transport: net::Transport) -> Transport {
    match transport {
        net::Transport::Link => Transport::Link,
        net::Transport::Tcp => Transport::Tcp,
        net::Transport::Udp => Transport::Udp,
        net::Transport::Icmp => Transport::Icmp,
        net::Transport::Other(number) => Transport::Other(number),
    }
}
