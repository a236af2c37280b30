//! Multicast DNS announcements (RFC 6762, 6763) of the printer and the camera.

use std::net::Ipv4Addr;

use wardmesh_common::net::MacAddress;

use super::dns::{A, INTERNET, Record, message, name_bytes};
use super::hospital::{Device, Host};
use super::role::Role;
use super::wire::Script;

const PORT: u16 = 5353;
const GROUP: Host = Host {
    mac: MacAddress([0x01, 0x00, 0x5e, 0x00, 0x00, 0xfb]),
    ip: Ipv4Addr::new(224, 0, 0, 251),
    ttl: 255,
};
/// An authoritative answer.
const ANNOUNCEMENT: u16 = 0x8400;
/// The class with "forget what you had" set (RFC 6762 section 10.2).
const FLUSH: u16 = INTERNET | 0x8000;
const PTR: u16 = 12;
const TXT: u16 = 16;
const SRV: u16 = 33;

/// The device announces its service: PTR, SRV, TXT with the model, A.
pub(super) fn announce(script: &mut Script<'_>, device: &Device) {
    let (service, port, texts) = offer(device);
    let profile = device.profile();
    let instance = format!("{} ({}).{service}", profile.model, device.name);
    let target = format!("{}.local", device.name);
    let mut location = vec![0, 0, 0, 0];
    location.extend_from_slice(&u16::to_be_bytes(port));
    location.extend_from_slice(&name_bytes(&target));
    let record = |name: &str, kind, class, value| {
        let ttl = if kind == A || kind == SRV { 120 } else { 4_500 };
        Record { name: name.to_owned(), kind, class, ttl, value }
    };
    let records = [
        record(service, PTR, INTERNET, name_bytes(&instance)),
        record(&instance, SRV, FLUSH, location),
        record(&instance, TXT, FLUSH, text_bytes(&texts)),
        record(&target, A, FLUSH, device.host.ip.octets().to_vec()),
    ];
    let from = Host { ttl: 255, ..device.host };
    script.udp((&from, PORT), (&GROUP, PORT), &message(0, ANNOUNCEMENT, &[], &records));
}

/// The service, its port and the strings of its TXT record.
fn offer(device: &Device) -> (&'static str, u16, Vec<String>) {
    let profile = device.profile();
    if device.role == Role::Printer {
        let texts = vec![
            "txtvers=1".to_owned(),
            format!("ty={} {}", profile.maker, profile.model),
            format!("product=({})", profile.model),
            "pdl=application/pdf,image/pwg-raster".to_owned(),
        ];
        return ("_ipp._tcp.local", 631, texts);
    }
    let texts = vec![
        format!("model={}", profile.model),
        format!("manufacturer={}", profile.maker),
        format!("fw={}", profile.version),
        format!("macaddress={}", device.host.mac),
    ];
    ("_rtsp._tcp.local", 554, texts)
}

fn text_bytes(texts: &[String]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for text in texts {
        bytes.push(text.len() as u8);
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}
