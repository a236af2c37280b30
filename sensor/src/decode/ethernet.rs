//! IEEE 802.3: Ethernet II, LLC/SNAP and stacked 802.1Q / 802.1ad tags.

use wardmesh_common::net::MacAddress;

use super::Malformed;
use super::bytes::{at_most, header, malformed};
use super::link::Link;

/// EtherTypes (IEEE registry) that decoding itself knows.
pub(super) mod ethertype {
    pub(in crate::decode) const IPV4: u16 = 0x0800;
    pub(in crate::decode) const IPV6: u16 = 0x86dd;
    pub(in crate::decode) const PPP: u16 = 0x880b;
    /// 802.1Q, 802.1ad, and two that switches used for stacked tags before 802.1ad.
    pub(super) const TAGS: [u16; 4] = [0x8100, 0x88a8, 0x9100, 0x9200];
}

/// The largest value of the type field that is a length (IEEE 802.3 section 3.2.6).
const LENGTH_MAX: u16 = 1500;

/// The smallest that is an EtherType.
pub(super) const ETHERTYPE_MIN: u16 = 1536;

/// A QinQ pair, and as many again from a provider in between; more is an attack on parsers.
const TAGS_MAX: usize = 4;

/// Reads a whole Ethernet frame.
pub(super) fn read(bytes: &[u8]) -> Result<Link<'_>, Malformed> {
    let (head, rest) = header::<14>(bytes, "ethernet")?;
    let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1] = *head;
    Ok(Link {
        source: Some(MacAddress([s0, s1, s2, s3, s4, s5])),
        destination: Some(MacAddress([d0, d1, d2, d3, d4, d5])),
        ..payload(u16::from_be_bytes([t0, t1]), rest)?
    })
}

/// Reads what follows a type field: tags, then a payload by EtherType or by length and LLC.
pub(super) fn payload(first: u16, mut bytes: &[u8]) -> Result<Link<'_>, Malformed> {
    let (mut ethertype, mut vlan, mut tags) = (first, None, 0);
    while ethertype::TAGS.contains(&ethertype) {
        let (&[c0, c1, t0, t1], rest) = header::<4>(bytes, "vlan")?;
        tags += 1;
        if tags > TAGS_MAX {
            return Err(malformed("vlan", "tags_beyond_limit"));
        }
        let id = u16::from_be_bytes([c0, c1]) & 0x0fff;
        // A priority tag leaves the frame in the VLAN of the tag around it.
        vlan = if id == 0 { vlan } else { Some(id) };
        (ethertype, bytes) = (u16::from_be_bytes([t0, t1]), rest);
    }
    let (ethertype, bytes) = match ethertype {
        length @ 0..=LENGTH_MAX => llc(at_most(bytes, length.into()))?,
        ETHERTYPE_MIN.. => (ethertype, bytes),
        _ => return Err(malformed("ethernet", "neither_length_nor_type")),
    };
    Ok(Link { vlan, ethertype, bytes, ..Link::default() })
}

/// IEEE 802.2; with SNAP and organisation 00-00-00 (RFC 1042) or 00-00-f8 (802.1H) an EtherType.
pub(super) fn llc(bytes: &[u8]) -> Result<(u16, &[u8]), Malformed> {
    match bytes {
        [0xaa, 0xaa, 0x03, 0x00, 0x00, 0x00 | 0xf8, high, low, rest @ ..] => {
            Ok((u16::from_be_bytes([*high, *low]), rest))
        }
        [_, _, _, ..] => Ok((0, bytes)),
        _ => Err(malformed("llc", "header_cut_short")),
    }
}
