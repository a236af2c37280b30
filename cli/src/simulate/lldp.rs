//! LLDP (IEEE 802.1AB) of the switch, and with LLDP-MED inventory (ANSI/TIA-1057) of the camera.

use wardmesh_common::net::MacAddress;

use super::hospital::{Device, Hospital};
use super::role::Role;
use super::wire::Script;

const ETHERTYPE: u16 = 0x88cc;
/// The nearest bridge: not forwarded.
const NEAREST_BRIDGE: MacAddress = MacAddress([0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e]);
const ORGANISATION_TIA: [u8; 3] = [0x00, 0x12, 0xbb];
/// System capabilities: bridge.
const BRIDGE: u8 = 0x04;
/// System capabilities: station only.
const STATION: u8 = 0x80;

/// One advertisement.
pub(super) fn advertise(script: &mut Script<'_>, hospital: &Hospital, device: &Device) {
    let (mac, profile) = (device.host.mac, device.profile());
    let mut unit = Unit(Vec::new());
    unit.add(1, &[&[4], &mac.0]);
    let (port, description, capability) = if device.role == Role::Switch {
        ([&[5], b"Gi1/0/24".as_slice()].concat(), "uplink to the wards", BRIDGE)
    } else {
        ([&[3], mac.0.as_slice()].concat(), "eth0", STATION)
    };
    unit.add(2, &[&port]);
    unit.add(3, &[&120_u16.to_be_bytes()]);
    unit.add(4, &[description.as_bytes()]);
    unit.add(5, &[hospital.fqdn(device).as_bytes()]);
    let description = format!("{} {} version {}", profile.maker, profile.model, profile.version);
    unit.add(6, &[description.as_bytes()]);
    unit.add(7, &[&[0, capability, 0, capability]]);
    unit.add(8, &[&[5, 1], &device.host.ip.octets(), &[2, 0, 0, 0, 1, 0]]);
    if device.role == Role::Camera {
        inventory(&mut unit, device);
    }
    unit.add(0, &[]);
    script.link(NEAREST_BRIDGE, mac, ETHERTYPE, &unit.0);
}

/// MED capabilities of an endpoint class I, then hardware, firmware and software revision, serial
/// number, manufacturer, model and asset id (ANSI/TIA-1057 section 10.2.6).
fn inventory(unit: &mut Unit, device: &Device) {
    let profile = device.profile();
    unit.add(127, &[&ORGANISATION_TIA, &[1, 0x00, 0x21, 1]]);
    let serial = device.serial();
    let texts = ["rev B", profile.version, "linux-rt 5.10", &serial, profile.maker, profile.model];
    for (subtype, text) in (5_u8..).zip(texts) {
        unit.add(127, &[&ORGANISATION_TIA, &[subtype], text.as_bytes()]);
    }
    let asset = format!("ASSET-{:05}", device.ordinal);
    unit.add(127, &[&ORGANISATION_TIA, &[11], asset.as_bytes()]);
}

struct Unit(Vec<u8>);

impl Unit {
    /// One type-length-value: seven bits of type, nine of length.
    fn add(&mut self, kind: u16, parts: &[&[u8]]) {
        let value = parts.concat();
        let head = kind << 9 | value.len() as u16;
        self.0.extend_from_slice(&head.to_be_bytes());
        self.0.extend_from_slice(&value);
    }
}
