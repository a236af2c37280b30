//! DHCPv4 (RFC 2131): a client takes its lease, all four messages.
//!
//! Options sent: 12, 50, 53, 54, 55, 60, 61 by all, 81 by PCs (RFC 4702), 161 by the camera (RFC
//! 8520).

use std::net::Ipv4Addr;

use super::hospital::{Device, Hospital, Host};
use super::role::Role;
use super::wire::Script;

const CLIENT: u16 = 68;
const SERVER: u16 = 67;
/// The shortest message that relays and old clients accept, bytes (RFC 1542 section 2.1).
const MESSAGE_MIN: usize = 300;
const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const REQUEST: u8 = 3;
const ACK: u8 = 5;

/// DISCOVER, OFFER, REQUEST, ACK.
pub(super) fn lease(script: &mut Script<'_>, hospital: &Hospital, device: &Device) {
    let exchange = Exchange { hospital, device, id: script.rng.array() };
    exchange.ask(script, DISCOVER);
    script.wait(900, 4_000);
    exchange.answer(script, OFFER);
    script.wait(400, 2_000);
    exchange.ask(script, REQUEST);
    script.wait(900, 4_000);
    exchange.answer(script, ACK);
    script.wait(2_000, 9_000);
}

struct Exchange<'a> {
    hospital: &'a Hospital,
    device: &'a Device,
    id: [u8; 4],
}

impl Exchange<'_> {
    fn ask(&self, script: &mut Script<'_>, kind: u8) {
        let from = Host { ip: Ipv4Addr::UNSPECIFIED, ..self.device.host };
        let mut options = Options::of(kind);
        if kind == REQUEST {
            options.add(50, &self.device.host.ip.octets());
            options.add(54, &self.server().octets());
        }
        self.describe(&mut options);
        let message = self.message(1, Ipv4Addr::UNSPECIFIED, options);
        script.udp((&from, CLIENT), (&Host::BROADCAST, SERVER), &message);
    }

    /// What the client says of itself.
    fn describe(&self, options: &mut Options) {
        let (device, profile) = (self.device, self.device.profile());
        let mut identifier = vec![1];
        identifier.extend_from_slice(&device.host.mac.0);
        options.add(61, &identifier);
        options.add(12, device.name.as_bytes());
        if matches!(device.role, Role::Pc | Role::Research) {
            let mut name = vec![0, 0, 0];
            name.extend_from_slice(self.hospital.fqdn(device).as_bytes());
            options.add(81, &name);
        }
        options.add(60, profile.vendor_class.as_bytes());
        options.add(55, profile.parameters);
        if device.role == Role::Camera {
            options.add(161, b"https://mud.sentry-optics.example/domecam-31.json");
        }
    }

    fn answer(&self, script: &mut Script<'_>, kind: u8) {
        let mut options = Options::of(kind);
        options.add(54, &self.server().octets());
        options.add(51, &86_400_u32.to_be_bytes());
        options.add(1, &[255, 255, 0, 0]);
        options.add(3, &self.hospital.server(Role::Gateway).host.ip.octets());
        options.add(6, &self.server().octets());
        options.add(15, self.hospital.domain().as_bytes());
        let message = self.message(2, self.device.host.ip, options);
        let from = &self.hospital.server(Role::NameServer).host;
        script.udp((from, SERVER), (&Host::BROADCAST, CLIENT), &message);
    }

    fn server(&self) -> Ipv4Addr {
        self.hospital.server(Role::NameServer).host.ip
    }

    /// The fixed part (RFC 2131 section 2), with the broadcast flag, and the options.
    fn message(&self, operation: u8, yours: Ipv4Addr, options: Options) -> Vec<u8> {
        let mut message = vec![operation, 1, 6, 0];
        message.extend_from_slice(&self.id);
        message.extend_from_slice(&[0, 0, 0x80, 0, 0, 0, 0, 0]);
        message.extend_from_slice(&yours.octets());
        message.extend_from_slice(&[0; 8]);
        message.extend_from_slice(&self.device.host.mac.0);
        message.resize(236, 0);
        message.extend_from_slice(&[0x63, 0x82, 0x53, 0x63]);
        message.extend_from_slice(&options.0);
        message.push(255);
        message.resize(message.len().max(MESSAGE_MIN), 0);
        message
    }
}

struct Options(Vec<u8>);

impl Options {
    fn of(kind: u8) -> Self {
        Self(vec![53, 1, kind])
    }

    /// One option; an empty one is left out.
    fn add(&mut self, code: u8, value: &[u8]) {
        if !value.is_empty() {
            self.0.extend_from_slice(&[code, value.len() as u8]);
            self.0.extend_from_slice(value);
        }
    }
}
