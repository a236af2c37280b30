//! DNS messages (RFC 1035), and a device's look-up of a name.

use std::net::Ipv4Addr;

use super::hospital::{Device, Hospital};
use super::role::Role;
use super::wire::Script;

/// The UDP port of DNS.
const PORT: u16 = 53;
/// A host address.
pub(super) const A: u16 = 1;
/// The class Internet.
pub(super) const INTERNET: u16 = 1;
/// A query that wants recursion.
const QUERY: u16 = 0x0100;
/// Its answer, recursion available.
const ANSWER: u16 = 0x8180;

/// A resource record.
pub(super) struct Record {
    /// The owner's name, dotted.
    pub(super) name: String,
    /// Its type, as [`A`].
    pub(super) kind: u16,
    /// Its class, with mDNS' cache-flush bit where that is wanted.
    pub(super) class: u16,
    /// Seconds for which it holds.
    pub(super) ttl: u32,
    /// What it says.
    pub(super) value: Vec<u8>,
}

/// The device asks the site's server for the address of `name` and is told `answer`.
pub(super) fn look_up(
    script: &mut Script<'_>,
    hospital: &Hospital,
    device: &Device,
    name: &str,
    answer: Ipv4Addr,
) {
    let port = script.port(device);
    let id = u16::from_be_bytes(script.rng.array());
    let server = &hospital.server(Role::NameServer).host;
    let (from, to) = ((&device.host, port), (server, PORT));
    script.udp(from, to, &message(id, QUERY, &[(name, A)], &[]));
    script.wait(200, 3_000);
    let octets = answer.octets().to_vec();
    let record = Record { name: name.into(), kind: A, class: INTERNET, ttl: 300, value: octets };
    script.udp(to, from, &message(id, ANSWER, &[(name, A)], &[record]));
    script.wait(100, 600);
}

/// A message of questions (name, type) and answers, names uncompressed.
pub(super) fn message(
    id: u16,
    flags: u16,
    questions: &[(&str, u16)],
    answers: &[Record],
) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [id, flags, questions.len() as u16, answers.len() as u16, 0, 0] {
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    for (name, kind) in questions {
        bytes.extend_from_slice(&name_bytes(name));
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(&INTERNET.to_be_bytes());
    }
    for record in answers {
        bytes.extend_from_slice(&name_bytes(&record.name));
        bytes.extend_from_slice(&record.kind.to_be_bytes());
        bytes.extend_from_slice(&record.class.to_be_bytes());
        bytes.extend_from_slice(&record.ttl.to_be_bytes());
        bytes.extend_from_slice(&(record.value.len() as u16).to_be_bytes());
        bytes.extend_from_slice(&record.value);
    }
    bytes
}

/// A dotted name as length-prefixed labels.
pub(super) fn name_bytes(name: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(name.len() + 2);
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}
