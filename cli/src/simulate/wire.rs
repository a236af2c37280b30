//! Ethernet, IPv4 and UDP as bytes, and the [`Script`] on which a conversation writes its frames.
//!
//! Pure. Lengths are the generator's own, so nothing here can fail; TCP is in `tcp`.

use std::net::Ipv4Addr;

use wardmesh_common::net::MacAddress;

use super::hospital::{Device, Host};
use super::rng::Rng;

/// The shortest Ethernet frame without its check sequence, bytes (IEEE 802.3 section 4A.4.2).
const FRAME_MIN: usize = 60;
/// EtherType of IPv4.
const IPV4: u16 = 0x0800;
/// IANA protocol number of TCP.
pub(super) const TCP: u8 = 6;
/// IANA protocol number of UDP.
const UDP: u8 = 17;
/// The first ephemeral port and how many there are (Linux's default range); a host that opens more
/// connections within one capture uses a port again.
const EPHEMERAL: (u32, u32) = (32_768, 28_232);

/// The frames of one conversation in the order of time.
pub(super) struct Script<'a> {
    /// The frames so far: nanoseconds since the epoch, bytes.
    pub(super) frames: Vec<(u64, Vec<u8>)>,
    /// The conversation's own chance.
    pub(super) rng: Rng,
    at: u64,
    ports: &'a mut [u32],
}

impl<'a> Script<'a> {
    /// A conversation that begins at `at` nanoseconds; `ports` counts what each device has opened.
    pub(super) fn new(at: u64, rng: Rng, ports: &'a mut [u32]) -> Self {
        Self { frames: Vec::new(), rng, at, ports }
    }

    /// When the next frame would be sent, nanoseconds since the epoch.
    pub(super) fn now(&self) -> u64 {
        self.at
    }

    /// Lets between `low` and `high` microseconds pass.
    pub(super) fn wait(&mut self, low: u64, high: u64) {
        self.at += self.rng.between(low * 1_000, high * 1_000);
    }

    /// An ephemeral port that the device has not used lately.
    pub(super) fn port(&mut self, device: &Device) -> u16 {
        let [.., low, last] = device.host.mac.0;
        let mut opened = 0;
        if let Some(counter) = self.ports.get_mut(device.ordinal as usize) {
            opened = *counter;
            *counter = counter.wrapping_add(1);
        }
        let offset = u32::from(u16::from_be_bytes([low, last])).wrapping_add(opened);
        (EPHEMERAL.0 + offset % EPHEMERAL.1) as u16
    }

    /// A frame of any EtherType.
    pub(super) fn link(&mut self, to: MacAddress, from: MacAddress, ethertype: u16, body: &[u8]) {
        let mut frame = Vec::with_capacity(FRAME_MIN.max(14 + body.len()));
        frame.extend_from_slice(&to.0);
        frame.extend_from_slice(&from.0);
        frame.extend_from_slice(&ethertype.to_be_bytes());
        frame.extend_from_slice(body);
        frame.resize(frame.len().max(FRAME_MIN), 0);
        self.frames.push((self.at, frame));
    }

    /// An IPv4 packet (RFC 791) that is not to be fragmented.
    pub(super) fn ipv4(&mut self, from: &Host, to: &Host, protocol: u8, segment: &[u8]) {
        let mut packet = Vec::with_capacity(20 + segment.len());
        packet.extend_from_slice(&[0x45, 0]);
        packet.extend_from_slice(&((20 + segment.len()) as u16).to_be_bytes());
        packet.extend_from_slice(&self.rng.array::<2>());
        packet.extend_from_slice(&[0x40, 0, from.ttl, protocol, 0, 0]);
        packet.extend_from_slice(&from.ip.octets());
        packet.extend_from_slice(&to.ip.octets());
        let sum = fold(sum_words(&packet)).to_be_bytes();
        packet.splice(10..12, sum);
        packet.extend_from_slice(segment);
        self.link(to.mac, from.mac, IPV4, &packet);
    }

    /// A UDP datagram (RFC 768).
    pub(super) fn udp(&mut self, from: (&Host, u16), to: (&Host, u16), payload: &[u8]) {
        let mut datagram = Vec::with_capacity(8 + payload.len());
        datagram.extend_from_slice(&from.1.to_be_bytes());
        datagram.extend_from_slice(&to.1.to_be_bytes());
        datagram.extend_from_slice(&((8 + payload.len()) as u16).to_be_bytes());
        datagram.extend_from_slice(&[0, 0]);
        datagram.extend_from_slice(payload);
        let sum = transport_checksum(from.0.ip, to.0.ip, UDP, &datagram);
        // Zero would mean "no checksum" (RFC 768); its other one's-complement form is sent instead.
        let sum = if sum == 0 { 0xffff } else { sum };
        datagram.splice(6..8, sum.to_be_bytes());
        self.ipv4(from.0, to.0, UDP, &datagram);
    }
}

/// The Internet checksum over the pseudo header and a segment whose checksum field is zero (RFC
/// 9293 section 3.1); zero for a segment that carries its right checksum.
pub(super) fn transport_checksum(
    from: Ipv4Addr,
    to: Ipv4Addr,
    protocol: u8,
    segment: &[u8],
) -> u16 {
    let pseudo = sum_words(&from.octets()) + sum_words(&to.octets());
    fold(pseudo + u64::from(protocol) + segment.len() as u64 + sum_words(segment))
}

/// The sum of big-endian 16-bit words, an odd last byte padded with zero.
pub(super) fn sum_words(bytes: &[u8]) -> u64 {
    let word = |pair: &[u8]| match *pair {
        [high, low] => u64::from(u16::from_be_bytes([high, low])),
        [high] => u64::from(high) << 8,
        _ => 0,
    };
    bytes.chunks(2).map(word).sum()
}

/// A sum of words as an Internet checksum (RFC 1071).
pub(super) fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
