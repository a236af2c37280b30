//! A TCP connection (RFC 9293) as both ends see it on a good local network.
//!
//! Handshake, segments of at most one MSS, an acknowledgement at least every second segment, an
//! orderly close. No loss: captures with faults are another test's matter.

use super::hospital::Host;
use super::wire::{Script, TCP, transport_checksum};

/// Payload bytes a segment: Ethernet's 1,500 less two headers of 20.
const MSS: usize = 1_460;
const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;
/// Options of a SYN: MSS 1,460, SACK permitted, window scale 7 (RFC 9293, 2018, 7323).
const SYN_OPTIONS: [u8; 12] = [2, 4, 5, 0xb4, 1, 1, 4, 2, 1, 3, 3, 7];

/// Which end of a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Who opened it.
    Client,
    /// Who was called.
    Server,
}

struct Side {
    host: Host,
    port: u16,
    /// Sequence number of the next byte it sends.
    next: u32,
    /// Segments with data that it received and has not acknowledged.
    owed: u8,
}

/// An open connection that writes to a script.
pub(super) struct Tcp<'s, 'p> {
    /// Where the frames go; the conversation waits on it too.
    pub(super) script: &'s mut Script<'p>,
    client: Side,
    server: Side,
}

impl<'s, 'p> Tcp<'s, 'p> {
    /// Opens a connection: the three-way handshake.
    pub(super) fn open(
        script: &'s mut Script<'p>,
        client: (&Host, u16),
        server: (&Host, u16),
    ) -> Self {
        let mut side = |(host, port): (&Host, u16)| {
            let next = script.rng.draw() as u32;
            Side { host: *host, port, next, owed: 0 }
        };
        let (client, server) = (side(client), side(server));
        let mut tcp = Self { script, client, server };
        tcp.segment(End::Client, SYN, &[]);
        tcp.script.wait(150, 400);
        tcp.segment(End::Server, SYN | ACK, &[]);
        tcp.script.wait(50, 150);
        tcp.segment(End::Client, ACK, &[]);
        tcp
    }

    /// One end says `bytes`, in as many segments as they need.
    pub(super) fn say(&mut self, end: End, bytes: &[u8]) {
        self.script.wait(200, 900);
        let count = bytes.len().div_ceil(MSS);
        for (index, chunk) in bytes.chunks(MSS).enumerate() {
            let push = if index + 1 == count { PSH } else { 0 };
            self.segment(end, ACK | push, chunk);
            self.script.wait(12, 40);
            let other = end.other();
            if self.side(other).owed >= 2 {
                self.segment(other, ACK, &[]);
                self.script.wait(12, 40);
            }
        }
    }

    /// The client closes, the server follows.
    pub(super) fn close(mut self) {
        self.script.wait(300, 2_000);
        self.segment(End::Client, FIN | ACK, &[]);
        self.script.wait(60, 200);
        self.segment(End::Server, ACK, &[]);
        self.script.wait(60, 200);
        self.segment(End::Server, FIN | ACK, &[]);
        self.script.wait(60, 200);
        self.segment(End::Client, ACK, &[]);
    }

    fn side(&mut self, end: End) -> &mut Side {
        match end {
            End::Client => &mut self.client,
            End::Server => &mut self.server,
        }
    }

    fn segment(&mut self, end: End, flags: u8, payload: &[u8]) {
        let acknowledged = self.side(end.other()).next;
        let from = self.side(end);
        let bytes = header(from, flags, acknowledged);
        let (host, port) = (from.host, from.port);
        let length = payload.len() as u32 + u32::from(flags & (SYN | FIN) != 0);
        from.next = from.next.wrapping_add(length);
        from.owed = 0;
        let to = self.side(end.other());
        to.owed += u8::from(!payload.is_empty());
        let peer = to.host;
        let bytes = complete(bytes, (port, to.port), (&host, &peer), payload);
        self.script.ipv4(&host, &peer, TCP, &bytes);
    }
}

impl End {
    fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// The header from the sequence number on; ports go before it, the checksum into it.
fn header(from: &Side, flags: u8, acknowledged: u32) -> Vec<u8> {
    let syn = flags & SYN != 0;
    let (words, window): (u8, u16) = if syn { (8, 64_240) } else { (5, 502) };
    let acknowledged = if flags & ACK != 0 { acknowledged } else { 0 };
    let mut bytes = Vec::with_capacity(32 + MSS);
    bytes.extend_from_slice(&from.next.to_be_bytes());
    bytes.extend_from_slice(&acknowledged.to_be_bytes());
    bytes.extend_from_slice(&[words << 4, flags]);
    bytes.extend_from_slice(&window.to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
    if syn {
        bytes.extend_from_slice(&SYN_OPTIONS);
    }
    bytes
}

fn complete(rest: Vec<u8>, ports: (u16, u16), hosts: (&Host, &Host), payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4 + rest.len() + payload.len());
    bytes.extend_from_slice(&ports.0.to_be_bytes());
    bytes.extend_from_slice(&ports.1.to_be_bytes());
    bytes.extend_from_slice(&rest);
    bytes.extend_from_slice(payload);
    let sum = transport_checksum(hosts.0.ip, hosts.1.ip, TCP, &bytes);
    bytes.splice(16..18, sum.to_be_bytes());
    bytes
}
