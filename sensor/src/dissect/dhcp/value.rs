//! How the values of DHCP options are rendered.

use crate::dissect::dns::name::Name;
use crate::dissect::reader::{Reader, hex, text};

/// Numbers of a parameter list that are kept: there are 256 option codes.
const NUMBERS_MAX: usize = 256;
/// Values of a user class that are kept: one option of 255 bytes holds no more of two bytes each.
const USER_CLASSES_MAX: usize = 127;

/// Names of the message types from 1 (IANA, DHCP message type 53 values).
const MESSAGE_TYPES: [&str; 18] = [
    "discover",
    "offer",
    "request",
    "decline",
    "ack",
    "nak",
    "release",
    "inform",
    "forcerenew",
    "leasequery",
    "leaseunassigned",
    "leaseunknown",
    "leaseactive",
    "bulkleasequery",
    "leasequerydone",
    "activeleasequery",
    "leasequerystatus",
    "tls",
];

/// The name of a message type, or its number where it has none.
pub(super) fn message_type(kind: u8) -> String {
    let index = usize::from(kind).wrapping_sub(1);
    MESSAGE_TYPES.get(index).map_or_else(|| kind.to_string(), |name| (*name).to_owned())
}

/// Whether the message asks about the leases of others (RFC 4388, 6926, 7724).
pub(super) fn is_lease_query(kind: u8) -> bool {
    matches!(kind, 10 | 14 | 16)
}

/// Option codes in the client's order, which tells its software: `1,3,6`.
pub(super) fn numbers(value: &[u8]) -> String {
    let numbers: Vec<String> = value.iter().take(NUMBERS_MAX).map(u8::to_string).collect();
    numbers.join(",")
}

/// A MAC address where the identifier is of Ethernet's type 1; else all of it in hexadecimal, its
/// type first: `ff:12:34`.
pub(super) fn client_id(value: &[u8]) -> String {
    match value {
        [1, mac @ ..] if mac.len() == 6 => hex(mac),
        _ => hex(value),
    }
}

/// The name of a client FQDN option (RFC 4702): labels where flag E is set, else ASCII.
pub(super) fn fqdn(value: &[u8]) -> String {
    let mut reader = Reader::new(value);
    let Some([flags, ..]) = reader.array::<3>() else { return String::new() };
    let is_encoded = flags & 0b100 != 0;
    match is_encoded.then(|| Name::uncompressed(reader.rest())) {
        Some(Some(name)) => name.to_utf8(),
        _ => text(reader.rest()),
    }
}

/// The instances of a user class (RFC 3004); one that does not divide into those is the plain text
/// that many clients send.
pub(super) fn user_class(value: &[u8]) -> Vec<String> {
    instances(value).unwrap_or_else(|| vec![text(value)])
}

fn instances(value: &[u8]) -> Option<Vec<String>> {
    let mut reader = Reader::new(value);
    let mut classes = Vec::new();
    while !reader.is_empty() && classes.len() < USER_CLASSES_MAX {
        classes.push(text(reader.prefixed_u8().filter(|class| !class.is_empty())?));
    }
    Some(classes)
}
