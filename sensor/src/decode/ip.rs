//! IPv4 headers (RFC 791), and what both versions of IP have in common once the header is read.

use std::net::{IpAddr, Ipv4Addr};

use super::Malformed;
use super::bytes::{at_most, header, malformed, split};

/// An IP packet, or one fragment of it, without its header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Datagram<'a> {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) ttl: u8,
    /// IANA protocol number of the payload.
    pub(super) protocol: u8,
    /// What was captured of the payload, without the link's padding.
    pub(super) payload: &'a [u8],
    /// What the header says of the payload's length, bytes.
    pub(super) wire_length: u32,
    pub(super) fragment: Option<Fragment>,
}

impl Datagram<'_> {
    /// Whether the capture (or a lying header) left bytes of the payload out.
    pub(super) fn is_cut(&self) -> bool {
        (self.payload.len() as u32) < self.wire_length
    }
}

/// Where a fragment lies in its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fragment {
    /// 16 bits in IPv4, 32 in IPv6.
    pub(super) id: u32,
    /// Bytes from the datagram's start; a multiple of eight.
    pub(super) offset: u32,
    /// Others follow.
    pub(super) more: bool,
}

impl Fragment {
    /// From the offset's field (units of eight bytes) and the flag; `None` for a whole datagram.
    pub(super) fn of(id: u32, offset: u16, more: bool) -> Option<Self> {
        (offset != 0 || more).then(|| Self { id, offset: u32::from(offset) * 8, more })
    }
}

/// Reads an IPv4 packet; `cut` bytes of the frame were on the wire but not captured.
///
/// A total length of zero (segmentation offload: the card fills it in) stands for all there is.
pub(super) fn ipv4(bytes: &[u8], cut: u32) -> Result<Datagram<'_>, Malformed> {
    let (head, _) = header::<20>(bytes, "ipv4")?;
    let &[v, _, l0, l1, i0, i1, f0, f1, ttl, protocol, _, _, ref addresses @ ..] = head;
    let (header_length, total) = (usize::from(v & 0x0f) * 4, u16::from_be_bytes([l0, l1]));
    if v >> 4 != 4 {
        return Err(malformed("ipv4", "wrong_version"));
    }
    if header_length < head.len() {
        return Err(malformed("ipv4", "header_length_too_small"));
    }
    let (_, rest) = split(bytes, header_length, "ipv4")?;
    let (payload, wire_length) = match total {
        0 => (rest, rest.len() as u32 + cut),
        _ => {
            let length = usize::from(total).checked_sub(header_length);
            let length = length.ok_or(malformed("ipv4", "total_length_too_small"))?;
            (at_most(rest, length), length as u32)
        }
    };
    let &[s0, s1, s2, s3, d0, d1, d2, d3] = addresses;
    let offset = u16::from_be_bytes([f0 & 0x1f, f1]);
    let id = u16::from_be_bytes([i0, i1]);
    Ok(Datagram {
        source: Ipv4Addr::new(s0, s1, s2, s3).into(),
        destination: Ipv4Addr::new(d0, d1, d2, d3).into(),
        ttl,
        protocol,
        payload,
        wire_length,
        fragment: Fragment::of(id.into(), offset, f0 & 0x20 != 0),
    })
}
