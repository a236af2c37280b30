//! One flow: its two parties, what they exchanged in the interval, and what reads their bytes.

use wardmesh_common::event::{Counter, Event, EventKind, Name, Peer, Service};
use wardmesh_common::net::Transport;
use wardmesh_common::time::Timestamp;

use super::connection::Connection;
use super::reassembly::TcpSegment;
use super::scene::{Dissectors, Scene, Sink, party, read_datagram};
use super::stream::Reader;
use super::timeout;
use super::tuple::{FiveTuple, Side, endpoints, side_of_first};
use crate::decode::{Ip, Packet, Segment};
use crate::dissect::{Carrier, Endpoint, Observations};

/// What was exchanged since the last flow event.
struct Interval {
    began: Timestamp,
    /// By the clock that only goes forward: when this interval is to be reported.
    due: Timestamp,
    first: Timestamp,
    last: Timestamp,
    interface: u16,
    packets: [u64; 2],
    bytes: [u64; 2],
}

/// A conversation.
pub(crate) struct Flow {
    /// Counts flows in the order of their first packets.
    pub(crate) serial: u64,
    /// The deadline that the table's timer was armed for.
    pub(crate) armed: Timestamp,
    vlan: Option<u16>,
    transport: Transport,
    /// Originator and responder.
    ends: [Endpoint; 2],
    last_used: Timestamp,
    interval: Option<Interval>,
    /// The index of the dissector that recognised it.
    protocol: Option<usize>,
    connection: Option<Box<Connection>>,
}

impl Flow {
    pub(crate) fn new(tuple: &FiveTuple, packet: &Packet<'_>, ip: &Ip<'_>, serial: u64) -> Self {
        let [source, destination] = endpoints(packet, ip);
        let ends = match side_of_first(ip) {
            Side::Originator => [source, destination],
            Side::Responder => [destination, source],
        };
        Self {
            serial,
            armed: Timestamp::EPOCH,
            vlan: tuple.vlan,
            transport: tuple.transport,
            ends,
            last_used: Timestamp::EPOCH,
            interval: None,
            protocol: None,
            connection: (tuple.transport == Transport::Tcp).then(Box::default),
        }
    }

    /// Memory held for its bytes.
    pub(crate) fn held(&self) -> usize {
        self.connection.as_ref().map_or(0, |connection| connection.held())
    }

    /// When it must be looked at: its interval is over, or it is.
    pub(crate) fn deadline(&self) -> Timestamp {
        let idle = self.idle_deadline();
        self.interval.as_ref().map_or(idle, |interval| interval.due.min(idle))
    }

    /// Whether it has been silent for too long.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.idle_deadline() <= now
    }

    fn idle_deadline(&self) -> Timestamp {
        let closed = self.connection.as_ref().is_some_and(|connection| connection.is_closed());
        self.last_used.plus(timeout::idle_max(self.transport, closed))
    }

    /// Whether this packet begins a new conversation between the same ends.
    pub(crate) fn is_reopened_by(&self, packet: &Packet<'_>, ip: &Ip<'_>) -> bool {
        let side = self.side(packet, ip);
        match (&self.connection, tcp_segment(ip)) {
            (Some(connection), Some(segment)) => connection.is_reopened_by(side, &segment),
            _ => false,
        }
    }

    /// Counts a packet and reads what it carries.
    pub(crate) fn advance(
        &mut self,
        packet: &Packet<'_>,
        ip: &Ip<'_>,
        now: Timestamp,
        dissectors: Dissectors,
        sink: &mut Sink<'_>,
    ) {
        let side = self.side(packet, ip);
        self.count(packet, side, now);
        match ip.segment {
            Segment::Tcp { .. } => {
                let scene = self.scene(packet, endpoints(packet, ip), Carrier::Tcp);
                if let (Some(connection), Some(segment)) = (&mut self.connection, tcp_segment(ip)) {
                    let protocol = &mut self.protocol;
                    let mut reader = Reader { dissectors, protocol, scene, sink };
                    connection.push(side, &segment, now, &mut reader);
                }
            }
            Segment::Udp { payload, .. } => {
                let scene = self.scene(packet, endpoints(packet, ip), Carrier::Udp);
                self.read_datagram(payload, &scene, dissectors, sink);
            }
            Segment::Other { .. } => {}
        }
    }

    /// Reads what is left and reports the last interval.
    pub(crate) fn end(&mut self, dissectors: Dissectors, sink: &mut Sink<'_>) {
        if let Some(connection) = &mut self.connection {
            let [source, destination] = self.ends;
            let scene = Scene {
                at: Timestamp::EPOCH,
                interface: 0,
                vlan: self.vlan,
                carrier: Carrier::Tcp,
                source,
                destination,
                service_port: destination.port,
            };
            connection.end(&scene, dissectors, &mut self.protocol, sink);
        }
        self.report(dissectors, sink);
    }

    /// Reports the interval, if anything happened in it, and begins the next.
    pub(crate) fn report(&mut self, dissectors: Dissectors, sink: &mut Sink<'_>) {
        let Some(interval) = self.interval.take() else { return };
        let protocol = self.protocol.and_then(|index| dissectors.get(index));
        let [originator, responder] = self.ends;
        sink.events.push(Event {
            observed_at: interval.began,
            kind: EventKind::Flow,
            interface: interval.interface,
            device: party(originator.mac, originator.ip, self.vlan),
            peer: Some(Peer { mac: responder.mac, ip: responder.ip, port: responder.port }),
            service: Some(Service {
                transport: self.transport,
                port: responder.port,
                protocol: protocol.map(|dissector| Name::Borrowed(dissector.protocol())),
            }),
            attributes: Vec::new(),
            counters: interval.counters(),
        });
    }

    fn read_datagram(
        &mut self,
        bytes: &[u8],
        scene: &Scene,
        dissectors: Dissectors,
        sink: &mut Sink<'_>,
    ) {
        let mut found = Observations::default();
        let index = read_datagram(dissectors, scene, bytes, &mut found, sink.tally);
        if let Some(dissector) = index.and_then(|index| dissectors.get(index)) {
            self.protocol = self.protocol.or(index);
            scene.report(dissector.protocol(), &mut found, sink.events);
        }
    }

    fn count(&mut self, packet: &Packet<'_>, side: Side, now: Timestamp) {
        self.last_used = now;
        let interval = self.interval.get_or_insert_with(|| Interval {
            began: packet.at,
            due: now.plus(timeout::INTERVAL),
            first: now,
            last: now,
            interface: packet.interface,
            packets: [0; 2],
            bytes: [0; 2],
        });
        interval.last = now;
        interval.packets[side as usize] += 1;
        interval.bytes[side as usize] += u64::from(packet.wire_length);
    }

    fn side(&self, packet: &Packet<'_>, ip: &Ip<'_>) -> Side {
        let [source, _] = endpoints(packet, ip);
        let [originator, _] = self.ends;
        if (source.ip, source.port) == (originator.ip, originator.port) {
            Side::Originator
        } else {
            Side::Responder
        }
    }

    fn scene(&self, packet: &Packet<'_>, ends: [Endpoint; 2], carrier: Carrier) -> Scene {
        let [source, destination] = ends;
        let [_, responder] = self.ends;
        Scene {
            at: packet.at,
            interface: packet.interface,
            vlan: packet.vlan,
            carrier,
            source,
            destination,
            service_port: responder.port,
        }
    }
}

impl Interval {
    fn counters(&self) -> Vec<Counter> {
        let [packets, peer_packets] = self.packets;
        let [bytes, peer_bytes] = self.bytes;
        let lasted = self.last.since(self.first).as_millis();
        [
            ("packets", packets),
            ("bytes", bytes),
            ("peer_packets", peer_packets),
            ("peer_bytes", peer_bytes),
            ("duration_ms", u64::try_from(lasted).unwrap_or(u64::MAX)),
        ]
        .map(|(key, value)| Counter { key: Name::Borrowed(key), value })
        .to_vec()
    }
}

fn tcp_segment<'a>(ip: &Ip<'a>) -> Option<TcpSegment<'a>> {
    match ip.segment {
        Segment::Tcp { sequence, flags, payload, wire_length, .. } => {
            Some(TcpSegment { sequence, flags, payload, wire_length })
        }
        Segment::Udp { .. } | Segment::Other { .. } => None,
    }
}
