//! Dissectors: each reads one protocol and reports what was said, to the keys of domain.md.
//!
//! A new protocol costs one file and two adjacent lines here. Recognition is by grammar, never by
//! port alone. Patient data is kept out by allow-list: a dissector copies named fields and nothing
//! else, and no payload byte reaches an error or a log.

use std::net::IpAddr;

use wardmesh_common::event::{Attribute, Name};
use wardmesh_common::net::MacAddress;

pub mod reader;

mod arp;
mod dhcp;
mod dicom;
mod dns;
mod hl7;
mod http;
mod lldp;
mod mdns;
mod tls;

#[cfg(test)]
mod stream_testing;
#[cfg(test)]
mod testing;

/// Probed in this order: most certain first.
pub static DISSECTORS: &[&dyn Dissector] = &[
    &dicom::Dicom,
    &hl7::Hl7,
    &tls::Tls,
    &http::Http,
    &arp::Arp,
    &lldp::Lldp,
    &dhcp::Dhcp,
    &mdns::Mdns,
    &dns::Dns,
];

/// Reads one protocol. Stateless: whatever must be remembered stays in the unconsumed bytes.
pub trait Dissector: Sync {
    /// The protocol's name, which is also the first part of its attribute keys.
    fn protocol(&self) -> &'static str;

    /// Whether these bytes are this protocol, by grammar. Called with what a flow's direction has
    /// carried so far (a stream) or with one datagram or frame.
    fn probe(&self, payload: &Payload<'_>) -> Probe;

    /// Reads one message from the start of the payload and reports what it says.
    ///
    /// Called again with what remains as long as it consumes; for a datagram or frame, once.
    fn dissect(&self, payload: &Payload<'_>, found: &mut Observations) -> Progress;
}

/// What is being dissected.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    /// What carries the bytes.
    pub carrier: Carrier,
    /// Who sent them.
    pub source: Endpoint,
    /// To whom.
    pub destination: Endpoint,
    /// A whole datagram or frame body; or the in-order bytes of a stream's direction from the first
    /// one that is not consumed yet.
    pub bytes: &'a [u8],
    /// A stream's direction has ended (FIN, RST, timeout or end of capture): no more will come.
    pub ended: bool,
}

/// One end of a payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// MAC address, where the link has one.
    pub mac: Option<MacAddress>,
    /// IP address, where there is IP.
    pub ip: Option<IpAddr>,
    /// TCP or UDP port.
    pub port: Option<u16>,
}

/// What carries a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// The link itself, by EtherType.
    Link(u16),
    /// A UDP datagram.
    Udp,
    /// A TCP stream.
    Tcp,
}

/// Whether bytes are a dissector's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// They are.
    Yes,
    /// They are not, and more of them will not change that.
    No,
    /// They may be: more of the stream will tell.
    Unsure,
}

/// How far a dissector came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// One message read (or passed over): so many bytes. More than the payload holds means that the
    /// stream may drop as many of what is still to come, unread.
    Consumed(usize),
    /// The message is not whole: at least so many bytes are needed from the payload's start. The
    /// stream waits for them up to its limit.
    NeedMore(usize),
    /// The bytes break the grammar at this offset; the reason is snake case and counted. The flow
    /// passes over what it holds and probes again at the next segment.
    Malformed {
        /// Offset of the offending byte.
        at: usize,
        /// Why: `length_beyond_limit`.
        reason: &'static str,
    },
}

/// One thing that a dissector saw: what becomes an observation event.
///
/// An unspecified IP address (`0.0.0.0`, `::`) or an all-zero MAC address, here or as the payload's
/// source, means that the device said it under none: the event's party then has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// Who said it where that is not the payload's source: the client of a relayed DHCP request;
    /// all zeros where it is another but unknown.
    pub device_mac: Option<MacAddress>,
    /// The IP address it said it under where that is not the payload's source (an ARP sender);
    /// `0.0.0.0` where it has none yet.
    pub device_ip: Option<IpAddr>,
    /// What was said.
    pub attributes: Vec<Attribute>,
}

impl Observation {
    /// Adds `key` with one value; an empty value adds nothing.
    pub fn say(&mut self, key: &'static str, value: impl Into<String>) {
        let value = value.into();
        if !value.is_empty() {
            self.attributes.push(Attribute { key: Name::Borrowed(key), values: vec![value] });
        }
    }

    /// Adds `key` with several values in wire order; none adds nothing.
    pub fn say_all(&mut self, key: &'static str, values: Vec<String>) {
        if !values.is_empty() {
            self.attributes.push(Attribute { key: Name::Borrowed(key), values });
        }
    }
}

/// What one payload yielded.
#[derive(Debug, Default)]
pub struct Observations(pub Vec<Observation>);
