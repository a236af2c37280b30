//! From a frame to a packet: the layers in order, with the fragments between them.

use super::bytes::malformed;
use super::ethernet::ethertype;
use super::fragment::{FragmentCounts, Fragments, Joined, Seen};
use super::ip::{self, Datagram};
use super::link::{self, Link};
use super::{Body, Ip, Malformed, Packet, ipv6, transport};
use crate::capture::Frame;

/// Decodes frames; holds nothing but the fragments of datagrams that are not whole yet.
#[derive(Debug, Default)]
pub struct Decoder {
    fragments: Fragments,
}

impl Decoder {
    /// Decodes one frame; `None` for a fragment that waits for others.
    ///
    /// Lengths follow the IP header, so padding is gone; where the capture cut a packet, or the first
    /// fragment of one, what is there is used. The packet borrows the frame, or the decoder where fragments were joined.
    ///
    /// # Errors
    /// [`Malformed`] for what breaks a header's grammar, and for link types that are not read
    /// (protocol `link`, reason `unsupported_link_type`).
    pub fn decode<'a>(&'a mut self, frame: &Frame<'a>) -> Result<Option<Packet<'a>>, Malformed> {
        let link = link::read(frame.link, frame.bytes)?;
        let cut = frame.wire_length.saturating_sub(frame.bytes.len() as u32);
        let datagram = match link.ethertype {
            ethertype::IPV4 => ip::ipv4(link.bytes, cut)?,
            ethertype::IPV6 => ipv6::ipv6(link.bytes, cut)?,
            ethertype => {
                let body = Body::Link { ethertype, bytes: link.bytes };
                return Ok(Some(packet(frame, &link, frame.wire_length, body)));
            }
        };
        let Some((datagram, wire_length)) = self.whole(frame, &link, datagram)? else {
            return Ok(None);
        };
        let segment = transport::segment(&datagram)?;
        let Datagram { source, destination, ttl, .. } = datagram;
        let body = Body::Ip(Ip { source, destination, ttl, segment });
        Ok(Some(packet(frame, &link, wire_length, body)))
    }

    /// What happened to fragments so far, for the caller's counters.
    #[must_use]
    pub fn fragment_counts(&self) -> FragmentCounts {
        self.fragments.counts
    }

    /// Bytes held for datagrams that are not whole yet, bookkeeping included.
    #[must_use]
    pub fn fragment_bytes(&self) -> usize {
        self.fragments.bytes()
    }

    /// The datagram itself, or the one that this fragment completes, and its bytes on the wire.
    fn whole<'a>(
        &'a mut self,
        frame: &Frame<'a>,
        link: &Link<'_>,
        datagram: Datagram<'a>,
    ) -> Result<Option<(Datagram<'a>, u32)>, Malformed> {
        let Some(fragment) = datagram.fragment else {
            return Ok(Some((datagram, frame.wire_length)));
        };
        if fragment.offset == 0 && datagram.is_cut() {
            // It can never be joined, but what was captured of it still tells who speaks what.
            let (protocol, payload) = upper_layer(&datagram, datagram.protocol, datagram.payload)?;
            let first = Datagram { protocol, payload, ..datagram };
            return Ok(Some((first, frame.wire_length)));
        }
        let Frame { at, interface, wire_length, .. } = *frame;
        let seen = Seen { at, interface, vlan: link.vlan, wire_length };
        let Some(joined) = self.fragments.push(&datagram, fragment, seen)? else {
            return Ok(None);
        };
        let (protocol, payload) = upper_layer(&datagram, joined.protocol, joined.payload)?;
        let wire_length = payload.len() as u32;
        let Joined { ttl, .. } = joined;
        let whole = Datagram { ttl, protocol, payload, wire_length, fragment: None, ..datagram };
        Ok(Some((whole, joined.wire_length)))
    }
}

/// What a joined payload begins with. In IPv6 a sender may leave extension headers to the fragments
/// (RFC 8200 section 4.5), so that the chain goes on in there.
fn upper_layer<'a>(
    datagram: &Datagram<'_>,
    protocol: u8,
    payload: &'a [u8],
) -> Result<(u8, &'a [u8]), Malformed> {
    if datagram.source.is_ipv4() {
        return Ok((protocol, payload));
    }
    let chain = ipv6::extensions(protocol, payload)?;
    match chain.fragment {
        None => Ok((chain.protocol, chain.rest)),
        Some(_) => Err(malformed("ipv6", "fragment_within_fragment")),
    }
}

fn packet<'a>(frame: &Frame<'a>, link: &Link<'a>, wire_length: u32, body: Body<'a>) -> Packet<'a> {
    Packet {
        at: frame.at,
        interface: frame.interface,
        source: link.source,
        destination: link.destination,
        vlan: link.vlan,
        wire_length,
        body,
    }
}
