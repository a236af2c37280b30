//! Multicast DNS (RFC 6762) with service discovery (RFC 6763): what a device offers and is called.
//!
//! Its port is part of its grammar: by the bytes alone it is DNS. Of TXT records only the keys in
//! [`TXT_KEYS`] leave the sensor, since others may name a person or hold an account.

use super::dns::message::{Cursor, Fault, Header, Record, VALUES_MAX};
use super::dns::name::Name;
use super::reader::{Reader, text};
use super::{Carrier, Dissector, Observation, Observations, Payload, Probe, Progress};

#[cfg(test)]
mod tests;

/// RFC 6762 section 3.
pub(super) const PORT: u16 = 5353;

/// Record types (IANA).
const A: u16 = 1;
const PTR: u16 = 12;
const TXT: u16 = 16;
const AAAA: u16 = 28;
const SRV: u16 = 33;

/// TXT keys that describe a product, in lower case: Apple's (`am`, `model`, `md`), printers'
/// (Bonjour Printing 1.2: `ty`, `product`, `usb_mfg`, `usb_mdl`), and makers' and serial numbers.
const TXT_KEYS: [&str; 14] = [
    "am",
    "manufacturer",
    "md",
    "mdl",
    "mfg",
    "model",
    "modelname",
    "product",
    "serialnumber",
    "fv",
    "ty",
    "usb_mdl",
    "usb_mfg",
    "vendor",
];

/// Reports what a response announces, and `mdns.query` of a query.
#[derive(Debug)]
pub(super) struct Mdns;

impl Dissector for Mdns {
    fn protocol(&self) -> &'static str {
        "mdns"
    }

    fn probe(&self, payload: &Payload<'_>) -> Probe {
        let ports = [payload.source.port, payload.destination.port];
        let length = payload.bytes.len();
        let known = payload.carrier == Carrier::Udp
            && ports.contains(&Some(PORT))
            && Header::read(payload.bytes).is_some_and(|header| header.is_plausible(length));
        if known { Probe::Yes } else { Probe::No }
    }

    fn dissect(&self, payload: &Payload<'_>, found: &mut Observations) -> Progress {
        let Some(header) = Header::read(payload.bytes) else {
            return Progress::Malformed { at: 0, reason: "header_cut_short" };
        };
        let mut said = Said::default();
        let outcome = read(payload.bytes, &header, &mut said);
        found.0.extend(said.observe());
        match outcome {
            Ok(()) => Progress::Consumed(payload.bytes.len()),
            Err(fault) => fault.after(0),
        }
    }
}

/// A query's records are what the asker knows already or wants to be called: no claims.
fn read(message: &[u8], header: &Header, said: &mut Said) -> Result<(), Fault> {
    let mut cursor = Cursor::after_header(message);
    cursor.questions(header, |question| {
        if header.is_query() {
            keep(&mut said.queries, question.name.to_utf8());
        }
    })?;
    for _ in 0..header.records() {
        let record = cursor.record()?;
        if header.is_response() {
            said.take(&cursor, &record)?;
        }
    }
    Ok(())
}

/// What a message says, each value once, in wire order.
#[derive(Default)]
struct Said {
    services: Vec<String>,
    instances: Vec<String>,
    texts: Vec<String>,
    hosts: Vec<String>,
    queries: Vec<String>,
}

impl Said {
    fn take<'a>(&mut self, cursor: &Cursor<'a>, record: &Record<'a>) -> Result<(), Fault> {
        match record.kind {
            PTR => self.point(&record.owner, &cursor.name_in(record, 0)?),
            SRV => {
                keep(&mut self.instances, record.owner.to_utf8());
                // Priority, weight and port precede the target (RFC 2782).
                keep(&mut self.hosts, cursor.name_in(record, 6)?.to_utf8());
            }
            A | AAAA => keep(&mut self.hosts, record.owner.to_utf8()),
            TXT => self.describe(record.value),
            _ => {}
        }
        Ok(())
    }

    /// A pointer leads from a type to an instance, from the list of types to a type (RFC 6763
    /// sections 4.1 and 9), or from an address to a host.
    fn point(&mut self, owner: &Name<'_>, target: &Name<'_>) {
        if owner.ends_with(&["in-addr", "arpa"]) || owner.ends_with(&["ip6", "arpa"]) {
            keep(&mut self.hosts, target.to_utf8());
        } else if owner.ends_with(&["_services", "_dns-sd", "_udp", "local"]) {
            keep(&mut self.services, target.to_ascii_lower());
        } else {
            keep(&mut self.services, service_type(owner).to_ascii_lower());
            keep(&mut self.instances, target.to_utf8());
        }
    }

    /// The strings of a TXT record (RFC 6763 section 6) whose key may leave the sensor.
    fn describe(&mut self, value: &[u8]) {
        let mut reader = Reader::new(value);
        while let Some(string) = reader.prefixed_u8() {
            let key = string.split(|&byte| byte == b'=').next().unwrap_or_default();
            let is_named = TXT_KEYS.iter().any(|name| key.eq_ignore_ascii_case(name.as_bytes()));
            if is_named && key.len() < string.len() {
                keep(&mut self.texts, text(string));
            }
        }
    }

    fn observe(self) -> Option<Observation> {
        let mut observation = Observation::default();
        observation.say_all("mdns.service", self.services);
        observation.say_all("mdns.instance", self.instances);
        observation.say_all("mdns.txt", self.texts);
        observation.say_all("mdns.hostname", self.hosts);
        observation.say_all("mdns.query", self.queries);
        (!observation.attributes.is_empty()).then_some(observation)
    }
}

/// The type of `_printer._sub._http._tcp.local` is `_http._tcp.local` (RFC 6763 section 7.1).
fn service_type<'a>(owner: &Name<'a>) -> Name<'a> {
    let is_subtype = owner.labels.get(1).is_some_and(|label| label.eq_ignore_ascii_case(b"_sub"));
    owner.without_first(if is_subtype { 2 } else { 0 })
}

fn keep(values: &mut Vec<String>, value: String) {
    if values.len() < VALUES_MAX && !values.contains(&value) {
        values.push(value);
    }
}
