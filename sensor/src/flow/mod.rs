//! From packets to conversations: who talks to whom, how much, and what they say.
//!
//! ```text
//! packet ─► FlowTable ─► Flow ─┬─ UDP: one datagram ───────────────────► dissector ─► events
//!                              └─ TCP: Reassembly ─► Stream, message by message ─┘
//! ```
//! Pure: time is an argument, and it never goes back. Bounded in flows and in bytes held; what a
//! limit costs is counted. Nothing depends on the order of a hash.

use wardmesh_common::time::Timestamp;

use crate::decode::{Ip, Packet};

mod connection;
pub(crate) mod lru;
mod reassembly;
mod record;
pub(crate) mod scene;
mod stream;
#[cfg(test)]
pub(crate) mod tests;
mod timeout;
mod tuple;

use lru::{LruMap, Slot};
pub use reassembly::{GAP_WAIT_MAX, OUT_OF_ORDER_BYTES_MAX, OUT_OF_ORDER_SEGMENTS_MAX};
use record::Flow;
pub use scene::{Dissectors, Sink};
pub use stream::{MESSAGE_BYTES_MAX, PROBE_BYTES_MAX};
pub use timeout::{DATAGRAM_IDLE_MAX, INTERVAL, TCP_IDLE_MAX, TCP_LINGER};
use timeout::{Timer, Timers};
use tuple::FiveTuple;
pub use wardmesh_common::map::HashKey;

/// What a flow table may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Flows at once. The least recently used is ended for a new one.
    pub flows_max: usize,
    /// Stream bytes held over all flows. The least recently used flows are ended above it.
    pub held_bytes_max: usize,
}

impl Default for Limits {
    /// 65,536 flows of about 700 bytes are 45 MiB, ten times what a site of 5,000 devices keeps
    /// open; 64 MiB hold 256 streams that all wait for a message of the largest size.
    fn default() -> Self {
        Self { flows_max: 65_536, held_bytes_max: 64 * 1024 * 1024 }
    }
}

/// Follows every conversation.
pub struct FlowTable {
    dissectors: Dissectors,
    limits: Limits,
    flows: LruMap<FiveTuple, Flow>,
    timers: Timers,
    held: usize,
    begun: u64,
}

impl FlowTable {
    /// An empty table that reads streams and datagrams with `dissectors` and hashes under `key`.
    #[must_use]
    pub fn new(dissectors: Dissectors, key: HashKey, limits: Limits) -> Self {
        Self {
            dissectors,
            limits,
            flows: LruMap::new(key),
            timers: Timers::default(),
            held: 0,
            begun: 0,
        }
    }

    /// How many flows are followed.
    #[must_use]
    pub fn flows(&self) -> usize {
        self.flows.len()
    }

    /// How many stream bytes are held, over all flows.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held
    }

    /// Ends and reports what is due at `now`.
    pub fn expire(&mut self, now: Timestamp, sink: &mut Sink<'_>) {
        while let Some(Timer { slot, .. }) = self.timers.due(now) {
            let dissectors = self.dissectors;
            let Some(flow) = self.flows.at(slot) else { continue };
            if flow.is_over(now) {
                self.end(slot, sink);
                continue;
            }
            if flow.deadline() <= now {
                flow.report(dissectors, sink);
            }
            self.arm(slot);
        }
    }

    /// Takes an IP packet: first what was due before it, then what it says. `now` never goes back.
    pub fn advance(
        &mut self,
        packet: &Packet<'_>,
        ip: &Ip<'_>,
        now: Timestamp,
        sink: &mut Sink<'_>,
    ) {
        self.expire(now, sink);
        let slot = self.slot_of(packet, ip, sink);
        let Some(flow) = self.flows.touch(slot) else { return };
        let (held, is_new) = (flow.held(), flow.armed == Timestamp::EPOCH);
        flow.advance(packet, ip, now, self.dissectors, sink);
        let (armed, serial) = (flow.armed, flow.serial);
        self.held = self.held - held + flow.held();
        if is_new || flow.deadline() < armed {
            self.timers.disarm(&Timer { deadline: armed, serial, slot });
            self.arm(slot);
        }
        self.make_room(self.limits.flows_max, sink);
    }

    /// Ends every flow, in the order of their first packets.
    pub fn finish(&mut self, sink: &mut Sink<'_>) {
        let mut flows = Vec::with_capacity(self.flows.len());
        while let Some(slot) = self.flows.oldest() {
            flows.extend(self.flows.remove(slot));
        }
        flows.sort_unstable_by_key(|flow| flow.serial);
        for mut flow in flows {
            flow.end(self.dissectors, sink);
        }
        self.timers = Timers::default();
        self.held = 0;
    }

    /// Where the packet's flow is, which is a new one if there was none.
    fn slot_of(&mut self, packet: &Packet<'_>, ip: &Ip<'_>, sink: &mut Sink<'_>) -> Slot {
        let tuple = FiveTuple::of(packet, ip);
        if let Some(slot) = self.flows.find(&tuple) {
            if !self.flows.at(slot).is_some_and(|flow| flow.is_reopened_by(packet, ip)) {
                return slot;
            }
            self.end(slot, sink);
        }
        self.make_room(self.limits.flows_max.saturating_sub(1), sink);
        self.begun += 1;
        self.flows.insert(tuple, Flow::new(&tuple, packet, ip, self.begun))
    }

    /// Ends the least recently used flows until the limits hold.
    fn make_room(&mut self, flows_max: usize, sink: &mut Sink<'_>) {
        while (self.flows.len() > flows_max || self.held > self.limits.held_bytes_max)
            && let Some(slot) = self.flows.oldest()
        {
            sink.tally.dropped("flow.evicted");
            self.end(slot, sink);
        }
    }

    fn end(&mut self, slot: Slot, sink: &mut Sink<'_>) {
        let Some(mut flow) = self.flows.remove(slot) else { return };
        self.timers.disarm(&Timer { deadline: flow.armed, serial: flow.serial, slot });
        self.held -= flow.held();
        flow.end(self.dissectors, sink);
    }

    fn arm(&mut self, slot: Slot) {
        if let Some(flow) = self.flows.at(slot) {
            flow.armed = flow.deadline();
            self.timers.arm(Timer { deadline: flow.armed, serial: flow.serial, slot });
        }
    }
}
