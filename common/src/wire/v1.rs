//! Version 1 of the batch archive: frozen once released. Changes only by a `v2` beside it.
//!
//! Wire types hold integers, booleans, fixed arrays, plain enums, `String`, `Vec` and `Option` only.
//! Names (keys, protocols, counters) and interfaces stand once in a batch; events refer to them by
//! index, so that the archive describes itself and stays small.

use rkyv::{Archive, Deserialize, Serialize};

mod convert;
mod open;
#[cfg(test)]
mod tests;

pub use convert::BatchBuilder;
pub use open::{Batched, NotABatch, open};

/// Everything that a sensor seals into one frame.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Batch {
    /// Who saw it: the UUID of the sensor's certificate. Admission refuses another's.
    pub sensor: [u8; 16],
    /// The interfaces or files that events refer to, by name.
    pub interfaces: Vec<String>,
    /// The names that events refer to: attribute keys, protocols, counters; each once.
    pub names: Vec<String>,
    /// What was seen, in the order in which the pipeline emitted it.
    pub events: Vec<Event>,
}

/// One event: the core of `crate::event::Event`.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Event {
    /// Nanoseconds since the Unix epoch by the sensor's clock.
    pub observed_at: u64,
    /// The content's sameness key (`crate::sighting`).
    pub sighting: u64,
    /// What it reports.
    pub kind: Kind,
    /// Index into [`Batch::interfaces`].
    pub interface: u16,
    /// Who said it.
    pub device: Party,
    /// To whom.
    pub peer: Option<Peer>,
    /// Over what.
    pub service: Option<Service>,
    /// What was said.
    pub attributes: Vec<Attribute>,
    /// How much.
    pub counters: Vec<Counter>,
}

/// The event kinds, in the order of `EventKind::ALL`.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Presence.
    Sighting,
    /// Something said.
    Observation,
    /// Counts of a conversation.
    Flow,
    /// The sensor's own state.
    Health,
}

/// An IP address in network order.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// RFC 791.
    V4([u8; 4]),
    /// RFC 8200.
    V6([u8; 16]),
}

/// Who said it.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party {
    /// MAC address.
    pub mac: Option<[u8; 6]>,
    /// IP address.
    pub ip: Option<Address>,
    /// VLAN id, 1 to 4094.
    pub vlan: Option<u16>,
}

/// To whom.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// MAC address.
    pub mac: Option<[u8; 6]>,
    /// IP address.
    pub ip: Option<Address>,
    /// TCP or UDP port.
    pub port: Option<u16>,
}

/// Over what.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// The transport.
    pub transport: Transport,
    /// The server's port.
    pub port: Option<u16>,
    /// Index of the protocol in [`Batch::names`].
    pub protocol: Option<u16>,
}

/// What carries a service.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// The link itself.
    Link,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP or ICMPv6.
    Icmp,
    /// Another IP protocol, by number.
    Other(u8),
}

/// One thing said.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Index of the key in [`Batch::names`].
    pub key: u16,
    /// The values in wire order; never empty.
    pub values: Vec<String>,
}

/// One count.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Index of the counter's name in [`Batch::names`].
    pub key: u16,
    /// The count.
    pub value: u64,
}
