//! From frames to events: decode, sightings, flows, dissectors, in this order for each frame.
//!
//! Pure: the time of the frames drives every timeout, so that a replay gives what the live capture
//! gave. Frames whose time goes back are taken at the latest time seen.

use wardmesh_common::event::Event;
use wardmesh_common::time::Timestamp;

use crate::capture::Frame;
use crate::decode::{Body, Decoder, FragmentCounts, Packet};
use crate::dissect::{Carrier, Endpoint, Observations};
use crate::flow::scene::{Scene, read_datagram};
use crate::flow::{Dissectors, FlowTable, HashKey, INTERVAL, Limits, Sink};
use crate::tally::{Counted, Tally};

pub mod sighting;
#[cfg(test)]
mod tests;

use sighting::SightingTable;

/// Everything between a capture and the batches.
pub struct Pipeline {
    decoder: Decoder,
    track: Track,
}

/// What follows decoding.
struct Track {
    dissectors: Dissectors,
    flows: FlowTable,
    sightings: SightingTable,
    tally: Tally,
    found: Observations,
    fragments: FragmentCounts,
    now: Timestamp,
    /// When the interval of the next health event began, by frame time and by `now`.
    health: Option<(Timestamp, Timestamp)>,
}

impl Pipeline {
    /// A pipeline that has seen nothing yet; `key` seeds the hashes of its tables.
    #[must_use]
    pub fn new(dissectors: Dissectors, key: HashKey, limits: Limits) -> Self {
        Self {
            decoder: Decoder::default(),
            track: Track {
                dissectors,
                flows: FlowTable::new(dissectors, key, limits),
                sightings: SightingTable::new(key),
                tally: Tally::default(),
                found: Observations::default(),
                fragments: FragmentCounts::default(),
                now: Timestamp::EPOCH,
                health: None,
            },
        }
    }

    /// Takes a frame; its events, and those of what is due by its time, are appended to `out`.
    pub fn push(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        self.track.begin_frame(frame.at, frame.wire_length, out);
        match self.decoder.decode(frame) {
            Ok(Some(packet)) => self.track.push(&packet, out),
            Ok(None) => {}
            Err(malformed) => self.track.tally.add(Counted::Malformed(malformed), 1),
        }
        self.track.count_fragments(self.decoder.fragment_counts());
    }

    /// Takes a decoded packet; its events are appended to `out`.
    pub fn push_packet(&mut self, packet: &Packet<'_>, out: &mut Vec<Event>) {
        self.track.begin_frame(packet.at, packet.wire_length, out);
        self.track.push(packet, out);
    }

    /// Reports what is due at `now` although no frame came; for a live capture of a quiet network,
    /// by the clock that stamps its frames.
    pub fn tick(&mut self, now: Timestamp, out: &mut Vec<Event>) {
        self.track.advance_to(now, out);
    }

    /// Ends every flow and reports what was counted; for the end of a capture.
    pub fn finish(&mut self, out: &mut Vec<Event>) {
        let track = &mut self.track;
        track.flows.finish(&mut Sink { events: out, tally: &mut track.tally });
        track.report_health(out);
    }

    /// What was counted since the start.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.track.tally
    }

    /// Counts what the capture itself lost: `capture.kernel`.
    pub fn count_dropped(&mut self, what: &'static str, count: u64) {
        self.track.tally.add(Counted::Dropped(what), count);
    }

    /// How many flows are followed and how many stream bytes are held for them.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        (self.track.flows.flows(), self.track.flows.held_bytes())
    }
}

impl Track {
    /// Moves the clock on and reports what is due.
    fn advance_to(&mut self, at: Timestamp, out: &mut Vec<Event>) {
        self.now = self.now.max(at);
        self.flows.expire(self.now, &mut Sink { events: out, tally: &mut self.tally });
        if self.health.is_some_and(|(_, since)| self.now.since(since) >= INTERVAL) {
            self.report_health(out);
        }
    }

    /// Counts the frame, after what was due before it.
    fn begin_frame(&mut self, at: Timestamp, wire_length: u32, out: &mut Vec<Event>) {
        self.advance_to(at, out);
        self.health.get_or_insert((at, self.now));
        self.tally.add(Counted::Frames, 1);
        self.tally.add(Counted::Bytes, u64::from(wire_length));
    }

    fn push(&mut self, packet: &Packet<'_>, out: &mut Vec<Event>) {
        match &packet.body {
            Body::Ip(ip) => {
                self.sightings.push(packet, Some(ip.source), self.now, out, &mut self.tally);
                let mut sink = Sink { events: out, tally: &mut self.tally };
                self.flows.advance(packet, ip, self.now, &mut sink);
            }
            Body::Link { ethertype, bytes } => self.push_link(packet, *ethertype, bytes, out),
        }
    }

    /// A frame without IP. If its sender says under which address it speaks (ARP), that is the
    /// address it is sighted under.
    fn push_link(
        &mut self,
        packet: &Packet<'_>,
        ethertype: u16,
        bytes: &[u8],
        out: &mut Vec<Event>,
    ) {
        let scene = Scene {
            at: packet.at,
            interface: packet.interface,
            vlan: packet.vlan,
            carrier: Carrier::Link(ethertype),
            source: Endpoint { mac: packet.source, ..Endpoint::default() },
            destination: Endpoint { mac: packet.destination, ..Endpoint::default() },
            service_port: None,
        };
        let (found, tally) = (&mut self.found, &mut self.tally);
        let index = read_datagram(self.dissectors, &scene, bytes, found, tally);
        let own =
            found.0.iter().find(|said| said.device_mac.is_none_or(|m| scene.source.mac == Some(m)));
        match own.and_then(|said| said.device_ip) {
            Some(ip) => self.sightings.confirm(packet, ip, self.now, out, tally),
            None => self.sightings.push(packet, None, self.now, out, tally),
        }
        match index.and_then(|index| self.dissectors.get(index)) {
            Some(dissector) => scene.report(dissector.protocol(), found, out),
            None => found.0.clear(),
        }
    }

    /// Counts what the decoder gave up since the last frame.
    fn count_fragments(&mut self, counts: FragmentCounts) {
        let before = std::mem::replace(&mut self.fragments, counts);
        for (what, count) in [
            ("ip.fragments_timed_out", counts.timed_out - before.timed_out),
            ("ip.fragments_evicted", counts.evicted - before.evicted),
            ("ip.fragments_overlapping", counts.overlapping - before.overlapping),
        ] {
            if count > 0 {
                self.tally.add(Counted::Dropped(what), count);
            }
        }
    }

    /// What was counted since the last report; nothing where nothing was.
    fn report_health(&mut self, out: &mut Vec<Event>) {
        let counters = self.tally.report();
        if counters.is_empty() {
            return;
        }
        let (observed_at, _) = self.health.take().unwrap_or((self.now, self.now));
        out.push(Event::health(observed_at, counters));
    }
}
