//! Sameness of one thing seen by two sensors of one segment.
//!
//! Dedupe of resends is by sequence and exact; this is the second, separate step. The key is over
//! what an event says, not when or on which interface it was seen, nor how much.

use std::hash::{Hash, Hasher};

use siphasher::sip::SipHasher13;

use crate::event::Event;
use crate::net::Transport;

/// Equal for two events that say the same of the same parties.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SightingKey(pub u64);

/// The key of an event. Part of the wire: it must never change for a given content.
#[must_use]
pub fn key(event: &Event) -> SightingKey {
    let mut hasher = Fields::new();
    hasher.text(event.kind.as_str());
    hasher.field(event.device.mac.map(|mac| mac.0));
    hasher.ip(event.device.ip);
    hasher.field(event.device.vlan.map(u16::to_le_bytes));
    let peer = event.peer.unwrap_or_default();
    hasher.field(peer.mac.map(|mac| mac.0));
    hasher.ip(peer.ip);
    hasher.field(peer.port.map(u16::to_le_bytes));
    if let Some(service) = &event.service {
        hasher.transport(service.transport);
        hasher.field(service.port.map(u16::to_le_bytes));
        hasher.text(service.protocol.as_deref().unwrap_or_default());
    }
    for attribute in &event.attributes {
        hasher.text(&attribute.key);
        // Without the count a key without values could be taken for one more value.
        hasher.put(&(attribute.values.len() as u32).to_le_bytes());
        attribute.values.iter().for_each(|value| hasher.text(value));
    }
    hasher.finish()
}

/// Most events' fields are shorter and hashed in one go: many small writes take twice as long.
const BUFFER_BYTES: usize = 192;

/// Fields with their lengths, so that no two lists of fields are the same bytes.
struct Fields {
    hasher: SipHasher13,
    buffer: [u8; BUFFER_BYTES],
    used: usize,
}

impl Fields {
    fn new() -> Self {
        let hasher = SipHasher13::new_with_key(b"wardmesh sighted");
        Self { hasher, buffer: [0; BUFFER_BYTES], used: 0 }
    }

    fn finish(mut self) -> SightingKey {
        self.flush();
        SightingKey(self.hasher.finish())
    }

    fn flush(&mut self) {
        self.hasher.write(&self.buffer[..self.used]);
        self.used = 0;
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.put(&(bytes.len() as u32).to_le_bytes());
        self.put(bytes);
    }

    fn put(&mut self, bytes: &[u8]) {
        if self.used + bytes.len() > BUFFER_BYTES {
            self.flush();
        }
        match self.buffer.get_mut(self.used..self.used + bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.used += bytes.len();
            }
            None => self.hasher.write(bytes),
        }
    }

    fn transport(&mut self, transport: Transport) {
        match transport {
            Transport::Link => self.text("link"),
            Transport::Tcp => self.text("tcp"),
            Transport::Udp => self.text("udp"),
            Transport::Icmp => self.text("icmp"),
            Transport::Other(_) => self.text(&transport.to_string()),
        }
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn field<const N: usize>(&mut self, field: Option<[u8; N]>) {
        self.bytes(field.as_ref().map_or(&[], |bytes| bytes.as_slice()));
    }

    fn ip(&mut self, ip: Option<std::net::IpAddr>) {
        match ip {
            None => self.bytes(&[]),
            Some(std::net::IpAddr::V4(ip)) => self.bytes(&ip.octets()),
            Some(std::net::IpAddr::V6(ip)) => self.bytes(&ip.octets()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Attribute, Counter, EventKind, Party};
    use crate::time::Timestamp;

    fn event() -> Event {
        Event {
            observed_at: Timestamp::EPOCH,
            kind: EventKind::Observation,
            interface: 0,
            device: Party { mac: None, ip: Some([10, 0, 0, 1].into()), vlan: Some(7) },
            peer: None,
            service: None,
            attributes: vec![Attribute { key: "dns.query".into(), values: vec!["a".into()] }],
            counters: Vec::new(),
        }
    }

    #[test]
    fn ignores_time_interface_and_counts_only() {
        let first = event();
        let again = Event {
            observed_at: Timestamp::from_nanos(9),
            interface: 3,
            counters: vec![Counter { key: "packets".into(), value: 4 }],
            ..event()
        };
        assert_eq!(key(&first), key(&again));
        let mut other = event();
        other.attributes[0].values[0].push('b');
        assert_ne!(key(&first), key(&other));
        let elsewhere = Event { device: Party { vlan: None, ..first.device }, ..event() };
        assert_ne!(key(&first), key(&elsewhere));
    }

    #[test]
    fn keys_and_values_are_told_apart() {
        let with = |lists: &[&[&str]]| {
            let attribute = |list: &&[&str]| Attribute {
                key: list[0].to_owned().into(),
                values: list[1..].iter().map(|value| (*value).to_owned()).collect(),
            };
            key(&Event { attributes: lists.iter().map(attribute).collect(), ..event() })
        };
        let all: [&[&[&str]]; 4] = [
            &[&["k", "a"], &["b", "c"]],
            &[&["k", "a", "b", "c"]],
            &[&["k", "a"]],
            &[&["k"], &["a"]],
        ];
        for (at, one) in all.iter().enumerate() {
            for other in &all[..at] {
                assert_ne!(with(one), with(other), "{one:?} {other:?}");
            }
        }
    }

    /// Part of the wire: two sensors of different builds must agree.
    #[test]
    fn is_frozen() {
        assert_eq!(key(&event()), SightingKey(14_369_335_225_490_495_322));
    }
}
