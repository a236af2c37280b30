//! A TCP connection: both directions put in order and read, each with what the other taught it.

use wardmesh_common::time::Timestamp;

use super::reassembly::{Chunk, Reassembly, TcpSegment};
use super::scene::{Dissectors, Scene, Sink};
use super::stream::{Reader, Stream};
use super::tuple::Side;

/// One direction and when it last carried something.
#[derive(Default)]
struct Direction {
    reassembly: Reassembly,
    stream: Stream,
    at: Timestamp,
    interface: u16,
}

/// Both directions.
#[derive(Default)]
pub(crate) struct Connection {
    directions: [Direction; 2],
    reset: bool,
}

impl Connection {
    /// Whether nothing more is to be expected: a reset, or both sides have finished.
    pub(crate) fn is_closed(&self) -> bool {
        self.reset || self.directions.iter().all(|direction| direction.reassembly.is_ended())
    }

    /// Whether this segment opens another connection between the same ports.
    pub(crate) fn is_reopened_by(&self, side: Side, segment: &TcpSegment<'_>) -> bool {
        let opens = segment.flags.syn && !segment.flags.ack;
        opens && self.directions[side as usize].reassembly.is_other(segment.sequence)
    }

    /// Memory held, bytes.
    pub(crate) fn held(&self) -> usize {
        self.directions.iter().map(|d| d.reassembly.held() + d.stream.held()).sum()
    }

    /// Takes a segment and reads what it completes.
    pub(crate) fn push(
        &mut self,
        side: Side,
        segment: &TcpSegment<'_>,
        now: Timestamp,
        reader: &mut Reader<'_, '_>,
    ) {
        // What follows a reset's header is text about it (RFC 9293 section 3.5.3), not the stream.
        if segment.flags.rst {
            self.reset = true;
            return;
        }
        let recognised = reader.protocol.is_some();
        self.directions[side as usize].push(segment, now, reader);
        if !recognised && reader.protocol.is_some() {
            let scene = reader.scene.reversed();
            self.directions[side.other() as usize].read_on(Reader {
                dissectors: reader.dissectors,
                protocol: reader.protocol,
                scene,
                sink: reader.sink,
            });
        }
    }

    /// Reads what is left of both directions; nothing more will come.
    pub(crate) fn end(
        &mut self,
        scene: &Scene,
        dissectors: Dissectors,
        protocol: &mut Option<usize>,
        sink: &mut Sink<'_>,
    ) {
        let [originator, responder] = &mut self.directions;
        for (direction, scene) in [(originator, *scene), (responder, scene.reversed())] {
            let scene = Scene { at: direction.at, interface: direction.interface, ..scene };
            direction.end(&mut Reader { dissectors, protocol: &mut *protocol, scene, sink });
        }
    }
}

impl Direction {
    fn push(&mut self, segment: &TcpSegment<'_>, now: Timestamp, reader: &mut Reader<'_, '_>) {
        (self.at, self.interface) = (reader.scene.at, reader.scene.interface);
        if self.stream.is_unread(*reader.protocol) {
            self.reassembly.follow(segment);
            return;
        }
        let Self { reassembly, stream, .. } = self;
        reassembly.push(segment, now, &mut |whole, chunk| deliver(stream, whole, chunk, reader));
        if reassembly.is_ended() {
            stream.push(&[], true, reader);
        }
    }

    fn read_on(&mut self, mut reader: Reader<'_, '_>) {
        self.stream.push(&[], false, &mut reader);
    }

    fn end(&mut self, reader: &mut Reader<'_, '_>) {
        let Self { reassembly, stream, at, .. } = self;
        reassembly.flush(*at, &mut |whole, chunk| deliver(stream, whole, chunk, reader));
        stream.push(&[], true, reader);
    }
}

fn deliver(stream: &mut Stream, whole: bool, chunk: Chunk<'_>, reader: &mut Reader<'_, '_>) {
    if !whole {
        stream.begin_adrift();
    }
    match chunk {
        Chunk::Bytes(bytes) => stream.push(bytes, false, reader),
        Chunk::Gap(length) => stream.gap(length, reader),
    }
}
