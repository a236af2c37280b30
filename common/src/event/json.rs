//! The one JSON form of an event, for `inspect` and for `/events`.
//!
//! Every member is always present, `null` where the wire had nothing, so that a reader needs no
//! guess about what is missing. An attribute is a string, or an array where the wire has several.

use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};

use super::{Attribute, Counter, Event, Party, Peer, Service};

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Event", 7)?;
        object.serialize_field("observed_at", &Text(&self.observed_at))?;
        object.serialize_field("kind", self.kind.as_str())?;
        object.serialize_field("device", &self.device)?;
        object.serialize_field("peer", &self.peer)?;
        object.serialize_field("service", &self.service)?;
        object.serialize_field("attributes", &Attributes(&self.attributes))?;
        object.serialize_field("counters", &Counters(&self.counters))?;
        object.end()
    }
}

impl Serialize for Party {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Party", 3)?;
        object.serialize_field("mac", &self.mac.as_ref().map(Text))?;
        object.serialize_field("ip", &self.ip.as_ref().map(Text))?;
        object.serialize_field("vlan", &self.vlan)?;
        object.end()
    }
}

impl Serialize for Peer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Peer", 3)?;
        object.serialize_field("mac", &self.mac.as_ref().map(Text))?;
        object.serialize_field("ip", &self.ip.as_ref().map(Text))?;
        object.serialize_field("port", &self.port)?;
        object.end()
    }
}

impl Serialize for Service {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Service", 3)?;
        object.serialize_field("transport", &Text(&self.transport))?;
        object.serialize_field("port", &self.port)?;
        object.serialize_field("protocol", &self.protocol)?;
        object.end()
    }
}

/// Attributes as an object in their own order.
pub struct Attributes<'a>(pub &'a [Attribute]);

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(self.0.len()))?;
        for Attribute { key, values } in self.0 {
            match values.as_slice() {
                [one] => object.serialize_entry(key, one)?,
                several => object.serialize_entry(key, several)?,
            }
        }
        object.end()
    }
}

/// Counters as an object in their own order.
pub struct Counters<'a>(pub &'a [Counter]);

impl Serialize for Counters<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|counter| (&counter.key, counter.value)))
    }
}

/// A value as its `Display` text.
struct Text<'a, T>(&'a T);

impl<T: std::fmt::Display> Serialize for Text<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self.0)
    }
}
