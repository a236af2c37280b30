//! Frames written as hexadecimal, packets as one line of text.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fragments;
mod headers;

use wardmesh_common::time::Timestamp;

use super::{Body, Decoder, Ip, Malformed, Packet, Segment};
use crate::capture::{Frame, LinkType};

/// Bytes from hexadecimal with any white space; `xx*n` repeats a byte.
fn bytes(hex: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in hex.split_whitespace() {
        let (digits, times) = word.split_once('*').unwrap_or((word, "1"));
        let run: Vec<u8> = (0..digits.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
            .collect();
        bytes.extend(run.repeat(times.parse().unwrap()));
    }
    bytes
}

fn frame(link: LinkType, bytes: &[u8]) -> Frame<'_> {
    let at = Timestamp::from_parts(1_000, 0);
    Frame { at, interface: 0, link, bytes, wire_length: bytes.len() as u32 }
}

fn decode(decoder: &mut Decoder, frame: &Frame<'_>) -> String {
    match decoder.decode(frame) {
        Ok(Some(packet)) => describe(&packet),
        Ok(None) => "waits".to_owned(),
        Err(Malformed { protocol, reason }) => format!("{protocol} {reason}"),
    }
}

fn describe(packet: &Packet<'_>) -> String {
    let mut said = String::new();
    if let (Some(source), Some(destination)) = (packet.source, packet.destination) {
        said += &format!("{source}>{destination} ");
    } else if let Some(source) = packet.source {
        said += &format!("{source} ");
    }
    if let Some(vlan) = packet.vlan {
        said += &format!("vlan {vlan} ");
    }
    said + &match packet.body {
        Body::Link { ethertype, bytes } => format!("{ethertype:04x} [{}]", hex(bytes)),
        Body::Ip(ip) => describe_ip(&ip),
    }
}

fn describe_ip(ip: &Ip<'_>) -> String {
    let Ip { source, destination, ttl, segment } = ip;
    let segment = match segment {
        Segment::Tcp { source, destination, sequence, flags, payload, wire_length } => {
            let letters = [(flags.fin, 'F'), (flags.syn, 'S'), (flags.rst, 'R'), (flags.ack, 'A')];
            let flags: String = letters.iter().filter(|flag| flag.0).map(|flag| flag.1).collect();
            let payload = hex(payload);
            format!("tcp {source}>{destination} #{sequence} {flags} [{payload}]/{wire_length}")
        }
        Segment::Udp { source, destination, payload } => {
            format!("udp {source}>{destination} [{}]", hex(payload))
        }
        Segment::Other { protocol, payload } => format!("ip-{protocol} [{}]", hex(payload)),
    };
    format!("{source}>{destination} ttl {ttl} {segment}")
}

fn hex(bytes: &[u8]) -> String {
    let shown: String = bytes.iter().take(32).map(|byte| format!("{byte:02x}")).collect();
    if bytes.len() > 32 { format!("{shown}..{}", bytes.len()) } else { shown }
}
