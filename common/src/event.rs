//! What a sensor saw, by whom, where and when: a normalised core plus dotted attributes.
//!
//! One shape for every protocol: a new dissector adds attribute keys, never a variant, because rkyv
//! archives do not describe themselves and each variant would break the wire. Rules read the core.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use crate::net::{MacAddress, Transport};
use crate::time::Timestamp;

pub mod json;

/// A short machine name: a protocol (`dicom`), an attribute key (`dicom.calling_ae`), a counter.
pub type Name = Cow<'static, str>;

/// What an event reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// A device was present under this MAC address, IP address and VLAN.
    Sighting,
    /// A device said something of itself or of another in a protocol that a dissector reads.
    Observation,
    /// What two parties exchanged in an interval, as counts.
    Flow,
    /// What the sensor could not see, drop or read.
    Health,
}

impl EventKind {
    /// All kinds, in wire order.
    pub const ALL: [Self; 4] = [Self::Sighting, Self::Observation, Self::Flow, Self::Health];

    /// `sighting`, `observation`, `flow` or `health`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sighting => "sighting",
            Self::Observation => "observation",
            Self::Flow => "flow",
            Self::Health => "health",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who said it: the device that an event is about, as it appeared on the segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Party {
    /// Source MAC address; absent on links without one, and behind a router it is the router's.
    pub mac: Option<MacAddress>,
    /// Source IP address; IPv4-mapped IPv6 addresses are kept as IPv6.
    pub ip: Option<IpAddr>,
    /// IEEE 802.1Q VLAN id (1-4094), the inner one of a QinQ pair; absent when untagged.
    pub vlan: Option<u16>,
}

/// The other end of what was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Destination MAC address.
    pub mac: Option<MacAddress>,
    /// Destination IP address.
    pub ip: Option<IpAddr>,
    /// The peer's TCP or UDP port.
    pub port: Option<u16>,
}

/// The service that the two parties speak over.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Service {
    /// What carries it.
    pub transport: Transport,
    /// The server's TCP or UDP port; absent on the link layer and for ICMP.
    pub port: Option<u16>,
    /// The protocol that was recognised by its grammar, such as `dicom`; absent when none was.
    pub protocol: Option<Name>,
}

/// One thing that was said: a dotted key and its values in wire order (at least one).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attribute {
    /// Dotted snake case under the protocol's name: `dhcp.hostname`.
    pub key: Name,
    /// The values, in wire order; never empty.
    pub values: Vec<String>,
}

/// One count of an interval.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Counter {
    /// Snake case with its unit: `packets`, `bytes`, `malformed.dns.label_too_long`.
    pub key: Name,
    /// The count within the interval of the event, never a running total.
    pub value: u64,
}

/// What a sensor saw.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    /// The frame's capture time by the sensor's clock; a flow's is that of its first frame in the
    /// interval.
    pub observed_at: Timestamp,
    /// What it reports.
    pub kind: EventKind,
    /// Which of the sensor's interfaces or files saw it: an index into the batch's `interfaces`.
    pub interface: u16,
    /// Who said it.
    pub device: Party,
    /// Whom it was said to.
    pub peer: Option<Peer>,
    /// Over which service.
    pub service: Option<Service>,
    /// What was said, in the order in which the dissector reports it.
    pub attributes: Vec<Attribute>,
    /// How much.
    pub counters: Vec<Counter>,
}

impl Event {
    /// A report of counters.
    #[must_use]
    pub fn health(observed_at: Timestamp, counters: Vec<Counter>) -> Self {
        Self {
            observed_at,
            kind: EventKind::Health,
            interface: 0,
            device: Party::default(),
            peer: None,
            service: None,
            attributes: Vec::new(),
            counters,
        }
    }

    /// The values under `key`, empty where the event has none.
    #[must_use]
    pub fn values(&self, key: &str) -> &[String] {
        self.attributes.iter().find(|attribute| attribute.key == key).map_or(&[], |a| &a.values)
    }

    /// The count under `key`.
    #[must_use]
    pub fn count(&self, key: &str) -> Option<u64> {
        self.counters.iter().find(|counter| counter.key == key).map(|counter| counter.value)
    }
}
