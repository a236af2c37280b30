//! An event as the API shows it: where it came from, then the one JSON form of its contents.

use serde::{Serialize, Serializer};
use utoipa::ToSchema;
use wardmesh_common::event::json::{Attributes, Counters};
use wardmesh_common::event::{Attribute, Counter, Party, Peer, Service};

use crate::http::form::{hex, time};
use crate::store::StoredEvent;

/// What a sensor saw.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(super) struct EventItem {
    /// Its id: where it lies in the log, the same on every node.
    id: String,
    /// The facility.
    site: String,
    /// Who saw it.
    sensor: String,
    /// The sensor's start: 16 hexadecimal digits.
    epoch: String,
    /// `urgent` or `bulk`.
    lane: &'static str,
    /// Its batch's place in the lane.
    seq: u64,
    /// Its position in the batch.
    position: u32,
    /// When it was seen, by the sensor's clock (RFC 3339 UTC, nanoseconds).
    observed_at: String,
    /// When its batch was agreed on, by the leader's clock.
    received_at: String,
    /// The log index of its batch.
    index: u64,
    /// `sighting`, `observation`, `flow` or `health`.
    kind: &'static str,
    /// Who said it.
    #[schema(value_type = PartySchema)]
    device: Party,
    /// Whom it was said to.
    #[schema(value_type = Option<PeerSchema>)]
    peer: Option<Peer>,
    /// Over which service.
    #[schema(value_type = Option<ServiceSchema>)]
    service: Option<Service>,
    /// What was said: a string, or an array of strings where the wire has several.
    #[serde(serialize_with = "attributes")]
    #[schema(value_type = std::collections::BTreeMap<String, ValuesSchema>)]
    attributes: Vec<Attribute>,
    /// How much, within the interval of the event.
    #[serde(serialize_with = "counters")]
    #[schema(value_type = std::collections::BTreeMap<String, u64>)]
    counters: Vec<Counter>,
}

impl EventItem {
    pub(super) fn of(stored: StoredEvent) -> Self {
        Self {
            id: stored.reference.to_string(),
            site: stored.site.to_string(),
            sensor: stored.sensor.to_string(),
            epoch: hex(stored.epoch),
            lane: stored.lane.as_str(),
            seq: stored.seq,
            position: stored.reference.position,
            observed_at: stored.event.observed_at.to_string(),
            received_at: time(stored.received_at),
            index: stored.reference.index,
            kind: stored.event.kind.as_str(),
            device: stored.event.device,
            peer: stored.event.peer,
            service: stored.event.service,
            attributes: stored.event.attributes,
            counters: stored.event.counters,
        }
    }
}

fn attributes<S: Serializer>(attributes: &[Attribute], serializer: S) -> Result<S::Ok, S::Error> {
    Attributes(attributes).serialize(serializer)
}

fn counters<S: Serializer>(counters: &[Counter], serializer: S) -> Result<S::Ok, S::Error> {
    Counters(counters).serialize(serializer)
}

/// The party that an event is about.
#[derive(ToSchema)]
#[schema(as = Party)]
#[expect(dead_code, reason = "describes the JSON form of `Party`")]
struct PartySchema {
    /// Its MAC address.
    mac: Option<String>,
    /// Its IP address.
    ip: Option<String>,
    /// Its VLAN; null when untagged.
    vlan: Option<u16>,
}

/// The other end.
#[derive(ToSchema)]
#[schema(as = Peer)]
#[expect(dead_code, reason = "describes the JSON form of `Peer`")]
struct PeerSchema {
    /// Its MAC address.
    mac: Option<String>,
    /// Its IP address.
    ip: Option<String>,
    /// Its TCP or UDP port.
    port: Option<u16>,
}

/// The service that the two speak over.
#[derive(ToSchema)]
#[schema(as = Service)]
#[expect(dead_code, reason = "describes the JSON form of `Service`")]
struct ServiceSchema {
    /// `tcp`, `udp`, `icmp`, `link` or `ip-<number>`.
    transport: String,
    /// The server's port.
    port: Option<u16>,
    /// The protocol that was recognised by its grammar.
    protocol: Option<String>,
}

/// One value or several.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Values)]
#[expect(dead_code, reason = "describes the JSON form of `Attributes`")]
enum ValuesSchema {
    /// The wire had one.
    #[schema(title = "one")]
    One(String),
    /// The wire had several, in this order.
    #[schema(title = "several")]
    Several(Vec<String>),
}
