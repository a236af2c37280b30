//! The devices of one site and their addresses.
//!
//! Every site numbers its hosts from the same 10.20.0.0/16, so that an address alone identifies
//! nothing across sites. MAC addresses differ from site to site, except those of `visitors`.

use std::net::Ipv4Addr;

use wardmesh_common::net::MacAddress;

use super::rng::{Rng, text_key};
use super::role::{Profile, ROLES, Role};
use super::visitors::{Visitor, visitors};

/// The servers, in the order of their addresses 10.20.0.1 and up; then one device each of the other
/// roles. What a site has beyond these follows [`GROWTH`].
const CORE: [Role; 14] = [
    Role::Gateway,
    Role::Switch,
    Role::NameServer,
    Role::Pacs,
    Role::Engine,
    Role::Ehr,
    Role::PumpServer,
    Role::Central,
    Role::Ct,
    Role::Mr,
    Role::Analyser,
    Role::Research,
    Role::Printer,
    Role::Camera,
];
/// How many of [`CORE`] are servers with fixed addresses.
const SERVERS: u32 = 8;
/// What a site grows by, over and over: every twenty devices bring eight pumps, six monitors, four
/// PCs and a pair of scanners.
const GROWTH: [Role; 20] = [
    Role::Pump,
    Role::Monitor,
    Role::Pc,
    Role::Pump,
    Role::Monitor,
    Role::Pc,
    Role::Pump,
    Role::Monitor,
    Role::Pc,
    Role::Pump,
    Role::Monitor,
    Role::Pump,
    Role::Monitor,
    Role::Pump,
    Role::Pc,
    Role::Pump,
    Role::Monitor,
    Role::Pump,
    Role::Ct,
    Role::Mr,
];
/// The fewest devices of a site: the core, two pumps, a monitor and a PC.
pub(super) const DEVICES_MIN: u32 = 18;
/// The most devices of a site: what fits 10.20.1.0 to 10.20.240.250 with 250 addresses a /24.
pub(super) const DEVICES_MAX: u32 = 60_000;
/// Multiplies a device's ordinal into the NIC part of its MAC address: odd, so that no two devices
/// of a site with one OUI share an address.
const NIC_STEP: u32 = 0x9e_3779;

/// Where a frame comes from or goes to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Host {
    /// The address on the link.
    pub(super) mac: MacAddress,
    /// The address on the network.
    pub(super) ip: Ipv4Addr,
    /// The TTL of what it sends.
    pub(super) ttl: u8,
}

impl Host {
    /// Everybody on the link, at 255.255.255.255.
    pub(super) const BROADCAST: Self =
        Self { mac: MacAddress::BROADCAST, ip: Ipv4Addr::BROADCAST, ttl: 64 };
}

/// A device of the site.
#[derive(Clone, Debug)]
pub(super) struct Device {
    /// Its place in [`Hospital::devices`].
    pub(super) ordinal: u32,
    /// What it is.
    pub(super) role: Role,
    /// Its addresses.
    pub(super) host: Host,
    /// Its host name, one DNS label.
    pub(super) name: String,
    /// The part of the capture in which it is at this site, per mille: from, until.
    pub(super) stay: (u32, u32),
}

impl Device {
    /// What its role says of itself.
    pub(super) fn profile(&self) -> Profile {
        self.role.profile()
    }

    /// The invented serial number: the NIC part of the MAC address.
    pub(super) fn serial(&self) -> String {
        let [.., a, b, c] = self.host.mac.0;
        format!("SN{a:02X}{b:02X}{c:02X}")
    }

    /// The EUI-64 made from the MAC address (IEEE, as in IHE PCD-01 OBX-18).
    pub(super) fn eui64(&self) -> String {
        let [a, b, c, d, e, f] = self.host.mac.0;
        format!("{a:02X}{b:02X}{c:02X}FFFE{d:02X}{e:02X}{f:02X}")
    }
}

/// One site.
pub(super) struct Hospital {
    /// The site's name.
    pub(super) site: String,
    /// The scenario's seed.
    pub(super) seed: u64,
    /// All devices, the servers first.
    pub(super) devices: Vec<Device>,
}

impl Hospital {
    /// A site with `count` devices of its own, at most [`DEVICES_MAX`], and those that visit it.
    pub(super) fn new(site: &str, seed: u64, count: u32) -> Self {
        let mut hospital = Self { site: site.to_owned(), seed, devices: Vec::new() };
        let mut numbers = [0; ROLES];
        let grown = GROWTH.into_iter().cycle();
        for role in CORE.into_iter().chain(grown).take(count as usize) {
            numbers[role as usize] += 1;
            hospital.add(role, numbers[role as usize]);
        }
        for visitor in visitors(site) {
            hospital.welcome(visitor);
        }
        hospital
    }

    /// The first device of a role of [`CORE`].
    pub(super) fn server(&self, role: Role) -> &Device {
        let slot = CORE.iter().position(|core| *core == role).unwrap_or_default();
        &self.devices[slot]
    }

    /// The site's DNS domain.
    pub(super) fn domain(&self) -> String {
        format!("{}.hospital.example", self.site)
    }

    /// A device's name in the site's domain.
    pub(super) fn fqdn(&self, device: &Device) -> String {
        format!("{}.{}", device.name, self.domain())
    }

    /// The HL7 facility and the DICOM AE prefix: `SITE_A`.
    pub(super) fn facility(&self) -> String {
        format!("SITE_{}", self.site.to_ascii_uppercase().replace('-', "_"))
    }

    /// A host beyond the gateway, in the documentation range 198.51.100.0/24 (RFC 5737).
    pub(super) fn outside(&self, last: u8) -> Host {
        let mac = self.server(Role::Gateway).host.mac;
        Host { mac, ip: Ipv4Addr::new(198, 51, 100, last), ttl: 52 }
    }

    /// The key of everything random about this site.
    pub(super) fn key(&self) -> [u64; 2] {
        [text_key(&self.site), self.seed]
    }

    fn add(&mut self, role: Role, number: usize) {
        let profile = role.profile();
        let oui = profile.ouis[number % profile.ouis.len()];
        let mac = self.mac(oui, self.devices.len() as u32);
        let name = format!("{}-{number}", profile.label);
        self.place(role, mac, name, (0, 1_000));
    }

    fn welcome(&mut self, (visitor, stay): (&Visitor, (u32, u32))) {
        self.place(visitor.role, visitor.mac, visitor.name.to_owned(), stay);
    }

    fn place(&mut self, role: Role, mac: MacAddress, name: String, stay: (u32, u32)) {
        let ordinal = self.devices.len() as u32;
        let host = Host { mac, ip: address(ordinal), ttl: role.profile().ttl };
        self.devices.push(Device { ordinal, role, host, name, stay });
    }

    fn mac(&self, oui: [u8; 3], ordinal: u32) -> MacAddress {
        let [site, seed] = self.key();
        let [a, b, c] = oui;
        let base = Rng::keyed(&[site, seed, text_key("mac")]).draw();
        let nic = (base as u32).wrapping_add(ordinal.wrapping_mul(NIC_STEP));
        let [_, d, e, f] = nic.to_be_bytes();
        MacAddress([a, b, c, d, e, f])
    }
}

/// 10.20.0.1 and up for servers, 10.20.1.1 and up, 250 a /24, for all others.
fn address(ordinal: u32) -> Ipv4Addr {
    if ordinal < SERVERS {
        return Ipv4Addr::new(10, 20, 0, 1 + ordinal as u8);
    }
    let client = ordinal - SERVERS;
    Ipv4Addr::new(10, 20, 1 + (client / 250) as u8, 1 + (client % 250) as u8)
}
