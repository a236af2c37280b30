//! DHCPv4 (RFC 2131, RFC 2132): what clients say of themselves, and which server answers them.
//!
//! A client is known by its hardware address field, since a relay may have sent the frame. Of a
//! server only the server's own words are reported: it echoes names that are the client's.

use std::net::{IpAddr, Ipv4Addr};

use wardmesh_common::net::MacAddress;

use super::reader::{Reader, text};
use super::{Carrier, Dissector, Observation, Observations, Payload, Probe, Progress};
use option::{Fault, Options};

mod option;
mod value;

#[cfg(test)]
mod tests;

/// What follows BOOTP's fixed fields where options do (RFC 2131 section 3).
const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// Offset of the cookie, and the length of BOOTP's fixed fields.
const COOKIE_AT: usize = 236;
/// Hardware type Ethernet (IANA).
const ETHERNET: [u8; 2] = [1, 6];

/// Reports the `dhcp.*` keys of clients and servers.
#[derive(Debug)]
pub(super) struct Dhcp;

impl Dissector for Dhcp {
    fn protocol(&self) -> &'static str {
        "dhcp"
    }

    fn probe(&self, payload: &Payload<'_>) -> Probe {
        let known = payload.carrier == Carrier::Udp
            && matches!(payload.bytes.first(), Some(1 | 2))
            && payload.bytes.get(COOKIE_AT..).is_some_and(|rest| rest.starts_with(&COOKIE));
        if known { Probe::Yes } else { Probe::No }
    }

    fn dissect(&self, payload: &Payload<'_>, found: &mut Observations) -> Progress {
        let Some(header) = Header::read(payload.bytes) else {
            return Progress::Malformed { at: payload.bytes.len(), reason: "header_cut_short" };
        };
        let (options, fault) = Options::read(payload.bytes);
        let observation =
            if header.is_reply { server(&header, &options) } else { client(&header, &options) };
        if !observation.attributes.is_empty() {
            found.0.push(observation);
        }
        match fault {
            None => Progress::Consumed(payload.bytes.len()),
            Some(Fault { at, reason }) => Progress::Malformed { at, reason },
        }
    }
}

/// BOOTP's fixed fields that matter (RFC 2131 figure 1).
struct Header {
    is_reply: bool,
    /// `ciaddr`: the address that the client has and can be reached under.
    client: Ipv4Addr,
    /// `yiaddr`: the address that the server gives.
    yours: Ipv4Addr,
    /// `giaddr`: the relay that passed the message on.
    relay: Ipv4Addr,
    /// `chaddr`, where it is a station's MAC address.
    mac: Option<MacAddress>,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes.get(..COOKIE_AT)?);
        let is_reply = reader.u8()? == 2;
        let hardware: [u8; 2] = reader.array()?;
        reader.skip(9)?;
        let client = Ipv4Addr::from(reader.array::<4>()?);
        let yours = Ipv4Addr::from(reader.array::<4>()?);
        reader.skip(4)?;
        let relay = Ipv4Addr::from(reader.array::<4>()?);
        let mac = MacAddress(reader.array()?);
        let is_mac = hardware == ETHERNET && mac.is_unicast();
        Some(Self { is_reply, client, yours, relay, mac: is_mac.then_some(mac) })
    }

    /// The client behind the message. What a relay sent must not be told of the relay, so an
    /// address that the client does not give is "none" there.
    fn client(&self) -> Observation {
        let relayed = !self.relay.is_unspecified();
        let ip = (relayed || !self.client.is_unspecified()).then_some(IpAddr::V4(self.client));
        let mac = self.mac.or_else(|| relayed.then(MacAddress::default));
        Observation { device_mac: mac, device_ip: ip, ..Observation::default() }
    }
}

/// Renders an option's joined value.
type Render = fn(&[u8]) -> Vec<String>;

/// The options that a client says of itself, in the order of reporting, and how each is rendered.
const SAID: [(u8, &str, Render); 7] = [
    (option::HOST_NAME, "dhcp.hostname", |value| vec![text(value)]),
    (option::VENDOR_CLASS, "dhcp.vendor_class", |value| vec![text(value)]),
    (option::PARAMETERS, "dhcp.parameter_list", |value| vec![value::numbers(value)]),
    (option::CLIENT_ID, "dhcp.client_id", |value| vec![value::client_id(value)]),
    (option::FQDN, "dhcp.fqdn", |value| vec![value::fqdn(value)]),
    (option::USER_CLASS, "dhcp.user_class", value::user_class),
    (option::MUD_URL, "dhcp.mud_url", |value| vec![text(value)]),
];

fn client(header: &Header, options: &Options) -> Observation {
    let kind = options.byte(option::MESSAGE_TYPE);
    // A lease query (RFC 4388) comes from a relay or a switch and names the addresses of another.
    if kind.is_some_and(value::is_lease_query) {
        return said_type(Observation::default(), kind);
    }
    let mut said = said_type(header.client(), kind);
    for (code, key, render) in SAID {
        let values = options.bytes(code).map(render).unwrap_or_default();
        said.say_all(key, values.into_iter().filter(|value| !value.is_empty()).collect());
    }
    if let Some(ip) = options.address(option::REQUESTED_IP) {
        said.say("dhcp.requested_ip", ip.to_string());
    }
    said
}

fn server(header: &Header, options: &Options) -> Observation {
    let mut said = said_type(Observation::default(), options.byte(option::MESSAGE_TYPE));
    if let Some(ip) = options.address(option::SERVER_ID) {
        said.say("dhcp.server", ip.to_string());
    }
    if !header.yours.is_unspecified() {
        said.say("dhcp.your_ip", header.yours.to_string());
    }
    if let Some(mac) = header.mac {
        said.say("dhcp.client_mac", mac.to_string());
    }
    said
}

/// A BOOTP message (RFC 1534) has no type.
fn said_type(mut said: Observation, kind: Option<u8>) -> Observation {
    if let Some(kind) = kind {
        said.say("dhcp.message_type", value::message_type(kind));
    }
    said
}
