//! IPv6 headers and extension headers (RFC 8200).

use std::net::Ipv6Addr;

use super::Malformed;
use super::bytes::{at_most, header, malformed, split};
use super::ip::{Datagram, Fragment};

/// RFC 8200 section 4.1 knows seven in a packet at most; a longer chain only costs time.
const EXTENSIONS_MAX: usize = 8;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const NO_NEXT_HEADER: u8 = 59;
const DESTINATION_OPTIONS: u8 = 60;
const MOBILITY: u8 = 135;
const HOST_IDENTITY: u8 = 139;
const SHIM6: u8 = 140;

/// Where a chain of extension headers ends: at an upper-layer protocol or at a fragment.
#[derive(Debug)]
pub(super) struct Chain<'a> {
    pub(super) protocol: u8,
    pub(super) rest: &'a [u8],
    pub(super) fragment: Option<Fragment>,
}

/// Reads an IPv6 packet; `cut` bytes of the frame were on the wire but not captured.
///
/// A payload length of zero (a jumbogram, RFC 2675, or segmentation offload) stands for all there
/// is.
pub(super) fn ipv6(bytes: &[u8], cut: u32) -> Result<Datagram<'_>, Malformed> {
    let (head, rest) = header::<40>(bytes, "ipv6")?;
    let &[v, _, _, _, l0, l1, next, hop_limit, ref addresses @ ..] = head;
    if v >> 4 != 6 {
        return Err(malformed("ipv6", "wrong_version"));
    }
    let (payload, length) = match u16::from_be_bytes([l0, l1]) {
        0 if next != NO_NEXT_HEADER => (rest, rest.len() as u32 + cut),
        length => (at_most(rest, length.into()), u32::from(length)),
    };
    let chain = extensions(next, payload)?;
    let (source, destination) = addresses.split_at(16);
    Ok(Datagram {
        source: address(source).into(),
        destination: address(destination).into(),
        ttl: hop_limit,
        protocol: chain.protocol,
        payload: chain.rest,
        wire_length: length.saturating_sub((payload.len() - chain.rest.len()) as u32),
        fragment: chain.fragment,
    })
}

/// Walks extension headers up to the upper-layer header or past the first fragment header that
/// splits (an atomic one, RFC 6946, is passed over).
pub(super) fn extensions(mut next: u8, mut bytes: &[u8]) -> Result<Chain<'_>, Malformed> {
    for _ in 0..=EXTENSIONS_MAX {
        match next {
            FRAGMENT => {
                let (&[following, _, o0, o1, i0, i1, i2, i3], rest) = header(bytes, "ipv6")?;
                let field = u16::from_be_bytes([o0, o1]);
                let id = u32::from_be_bytes([i0, i1, i2, i3]);
                (next, bytes) = (following, rest);
                if let Some(fragment) = Fragment::of(id, field >> 3, field & 1 != 0) {
                    return Ok(Chain { protocol: next, rest, fragment: Some(fragment) });
                }
            }
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS | AUTHENTICATION | MOBILITY
            | HOST_IDENTITY | SHIM6 => {
                let (&[following, units], _) = header(bytes, "ipv6")?;
                let length = match next {
                    AUTHENTICATION => (usize::from(units) + 2) * 4,
                    _ => (usize::from(units) + 1) * 8,
                };
                let (_, rest) = split(bytes, length, "ipv6")?;
                (next, bytes) = (following, rest);
            }
            _ => return Ok(Chain { protocol: next, rest: bytes, fragment: None }),
        }
    }
    Err(malformed("ipv6", "extensions_beyond_limit"))
}

fn address(bytes: &[u8]) -> Ipv6Addr {
    bytes.first_chunk::<16>().map_or(Ipv6Addr::UNSPECIFIED, |&octets| octets.into())
}
