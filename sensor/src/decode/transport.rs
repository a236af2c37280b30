//! TCP (RFC 9293) and UDP (RFC 768) headers. Options are passed over, checksums not verified.

use super::bytes::{at_most, header, malformed, split};
use super::ip::Datagram;
use super::{Malformed, Segment, TcpFlags};

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Reads what IP carries.
pub(super) fn segment<'a>(datagram: &Datagram<'a>) -> Result<Segment<'a>, Malformed> {
    let Datagram { protocol, payload, wire_length, fragment, .. } = *datagram;
    match protocol {
        TCP => tcp(payload, wire_length),
        // A first fragment alone is shorter than its datagram says, and rightly so.
        UDP => udp(payload, fragment.map_or(wire_length, |_| u32::MAX)),
        _ => Ok(Segment::Other { protocol, payload }),
    }
}

fn tcp(bytes: &[u8], wire_length: u32) -> Result<Segment<'_>, Malformed> {
    let (head, _) = header::<20>(bytes, "tcp")?;
    let [s0, s1, d0, d1, q0, q1, q2, q3, _, _, _, _, offset, flags, ..] = *head;
    let header_length = usize::from(offset >> 4) * 4;
    if header_length < head.len() {
        return Err(malformed("tcp", "data_offset_too_small"));
    }
    let (_, payload) = split(bytes, header_length, "tcp")?;
    Ok(Segment::Tcp {
        source: u16::from_be_bytes([s0, s1]),
        destination: u16::from_be_bytes([d0, d1]),
        sequence: u32::from_be_bytes([q0, q1, q2, q3]),
        flags: TcpFlags {
            fin: flags & 0x01 != 0,
            syn: flags & 0x02 != 0,
            rst: flags & 0x04 != 0,
            ack: flags & 0x10 != 0,
        },
        payload,
        wire_length: wire_length.saturating_sub(header_length as u32),
    })
}

/// A length of zero stands for all there is (RFC 2675, and segmentation offload).
fn udp(bytes: &[u8], wire_length: u32) -> Result<Segment<'_>, Malformed> {
    let (&[s0, s1, d0, d1, l0, l1, _, _], rest) = header(bytes, "udp")?;
    let payload = match u16::from_be_bytes([l0, l1]) {
        0 => rest,
        1..=7 => return Err(malformed("udp", "length_too_small")),
        length if u32::from(length) > wire_length => {
            return Err(malformed("udp", "length_beyond_packet"));
        }
        length => at_most(rest, usize::from(length) - 8),
    };
    Ok(Segment::Udp {
        source: u16::from_be_bytes([s0, s1]),
        destination: u16::from_be_bytes([d0, d1]),
        payload,
    })
}
