//! One direction of a TCP connection: segments in any order go in, bytes in order come out.
//!
//! The first copy of a byte wins. What does not arrive within the limits is reported as a gap and
//! passed over. Knows nothing of what the bytes mean.

use std::collections::BTreeMap;
use std::time::Duration;

use wardmesh_common::time::Timestamp;

use crate::decode::TcpFlags;

/// 256 KiB wait for a hole to be filled: a common receive window on a LAN.
pub const OUT_OF_ORDER_BYTES_MAX: usize = 256 * 1024;
/// 256 segments may wait, so that tiny ones cannot cost more in bookkeeping than in bytes.
pub const OUT_OF_ORDER_SEGMENTS_MAX: usize = 256;
/// 10 s: retransmission backs off 1, 2, 4 s (RFC 6298); later than that the capture missed it.
pub const GAP_WAIT_MAX: Duration = Duration::from_secs(10);
/// 64 bytes: what a waiting segment costs beside its bytes.
const SEGMENT_OVERHEAD: usize = 64;
/// Offsets begin here, so that a segment from before the first one seen is still positive.
const ORIGIN: u64 = 1 << 32;

/// A TCP segment as captured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TcpSegment<'a> {
    pub(crate) sequence: u32,
    pub(crate) flags: TcpFlags,
    pub(crate) payload: &'a [u8],
    /// Payload bytes on the wire: more than `payload` where the capture cut it.
    pub(crate) wire_length: u32,
}

/// What comes out, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chunk<'a> {
    Bytes(&'a [u8]),
    /// So many bytes are missing here and will not come.
    Gap(u64),
}

/// A run of stream bytes whose tail the capture may have cut off.
struct Piece {
    bytes: Box<[u8]>,
    length: u64,
}

/// The state of one direction.
#[derive(Default)]
pub(crate) struct Reassembly {
    /// Where the stream began: offset [`ORIGIN`] has this sequence number.
    initial: Option<u32>,
    /// Began with a SYN, hence at its first byte.
    whole: bool,
    /// Bytes from the first one seen to the first one not delivered yet.
    delivered: u64,
    /// The offset after the last byte, once a FIN told it.
    end: Option<u64>,
    waiting: BTreeMap<u64, Piece>,
    waiting_bytes: usize,
    waiting_since: Timestamp,
}

impl Reassembly {
    /// Whether every byte up to the FIN was delivered or passed over.
    pub(crate) fn is_ended(&self) -> bool {
        self.end.is_some_and(|end| self.next() >= end)
    }

    /// Memory held by what waits, bytes.
    pub(crate) fn held(&self) -> usize {
        self.waiting_bytes
    }

    /// Whether a SYN with this sequence number begins another connection than the one followed.
    pub(crate) fn is_other(&self, syn_sequence: u32) -> bool {
        self.initial.is_some_and(|initial| initial != syn_sequence.wrapping_add(1))
    }

    /// Takes a segment and delivers what is in order now, each time with whether the stream's first
    /// byte was seen.
    pub(crate) fn push(
        &mut self,
        segment: &TcpSegment<'_>,
        now: Timestamp,
        deliver: &mut impl FnMut(bool, Chunk<'_>),
    ) {
        let (from, to) = self.locate(segment);
        let next = self.next();
        if to > next {
            if self.waiting.is_empty() && from <= next {
                let known = usize::try_from(next - from).unwrap_or(usize::MAX);
                self.emit(segment.payload.get(known..).unwrap_or(&[]), to - next, deliver);
            } else {
                self.keep(from, to, segment.payload, now);
                self.drain(now, deliver);
                self.enforce_limits(now, deliver);
            }
        }
    }

    /// Follows the sequence numbers of a stream that nobody reads, holding nothing.
    pub(crate) fn follow(&mut self, segment: &TcpSegment<'_>) {
        let (_, to) = self.locate(segment);
        self.waiting.clear();
        self.waiting_bytes = 0;
        self.delivered = self.delivered.max(to.saturating_sub(ORIGIN));
    }

    /// Delivers all that waits, with the gaps between; for a stream that is over.
    pub(crate) fn flush(&mut self, now: Timestamp, deliver: &mut impl FnMut(bool, Chunk<'_>)) {
        while self.pass_over_gap(deliver) {
            self.drain(now, deliver);
        }
    }

    fn next(&self) -> u64 {
        ORIGIN + self.delivered
    }

    /// The offsets of the segment's payload; notes SYN and FIN.
    fn locate(&mut self, segment: &TcpSegment<'_>) -> (u64, u64) {
        let sequence = segment.sequence.wrapping_add(u32::from(segment.flags.syn));
        let initial = *self.initial.get_or_insert(sequence);
        self.whole |= segment.flags.syn && initial == sequence;
        // Sequence numbers are compared modulo 2^32 to the next one expected (RFC 9293 section 3.4).
        let expected = initial.wrapping_add(self.delivered as u32);
        let distance = i64::from(sequence.wrapping_sub(expected) as i32);
        let from = self.next().saturating_add_signed(distance);
        let length = u64::from(segment.wire_length).max(segment.payload.len() as u64);
        if segment.flags.fin && from + length >= self.next() {
            self.end.get_or_insert(from + length);
        }
        (from, from + length)
    }

    /// Keeps the parts of `[from, to)` that no earlier copy covers.
    fn keep(&mut self, from: u64, to: u64, payload: &[u8], now: Timestamp) {
        if self.waiting.is_empty() {
            self.waiting_since = now;
        }
        let before = self.waiting.range(..=from).next_back();
        let mut start = before.map_or(from, |(at, piece)| from.max(at + piece.length));
        start = start.max(self.next());
        while start < to {
            let after = self.waiting.range(start..).next();
            let after = after.map(|(at, piece)| (*at, at + piece.length));
            let stop = after.map_or(to, |(at, _)| at.min(to));
            self.keep_piece(start, stop, slice(payload, start - from, stop - from));
            start = after.map_or(to, |(_, end)| end);
        }
    }

    fn keep_piece(&mut self, from: u64, to: u64, bytes: &[u8]) {
        if to > from {
            self.waiting_bytes += bytes.len() + SEGMENT_OVERHEAD;
            self.waiting.insert(from, Piece { bytes: bytes.into(), length: to - from });
        }
    }

    /// Delivers what waits at the front.
    fn drain(&mut self, now: Timestamp, deliver: &mut impl FnMut(bool, Chunk<'_>)) {
        while let Some(first) = self.waiting.first_entry()
            && *first.key() <= ORIGIN + self.delivered
        {
            let piece = first.remove();
            self.waiting_bytes -= piece.bytes.len() + SEGMENT_OVERHEAD;
            self.waiting_since = now;
            self.emit(&piece.bytes, piece.length, deliver);
        }
    }

    fn enforce_limits(&mut self, now: Timestamp, deliver: &mut impl FnMut(bool, Chunk<'_>)) {
        while self.waiting_bytes > OUT_OF_ORDER_BYTES_MAX
            || self.waiting.len() > OUT_OF_ORDER_SEGMENTS_MAX
            || now.since(self.waiting_since) > GAP_WAIT_MAX
        {
            if !self.pass_over_gap(deliver) {
                return;
            }
            self.drain(now, deliver);
        }
    }

    /// Gives up the bytes before the first that waits; `false` where none waits.
    fn pass_over_gap(&mut self, deliver: &mut impl FnMut(bool, Chunk<'_>)) -> bool {
        let Some((&at, _)) = self.waiting.first_key_value() else { return false };
        let missing = at.saturating_sub(self.next());
        if missing > 0 {
            self.delivered += missing;
            deliver(self.whole, Chunk::Gap(missing));
        }
        true
    }

    fn emit(&mut self, bytes: &[u8], length: u64, deliver: &mut impl FnMut(bool, Chunk<'_>)) {
        self.delivered += length;
        if !bytes.is_empty() {
            deliver(self.whole, Chunk::Bytes(bytes));
        }
        let missing = length.saturating_sub(bytes.len() as u64);
        if missing > 0 {
            deliver(self.whole, Chunk::Gap(missing));
        }
    }
}

/// As much of `[from, to)` as the capture holds.
fn slice(payload: &[u8], from: u64, to: u64) -> &[u8] {
    let clamp = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(payload.len());
    payload.get(clamp(from)..clamp(to)).unwrap_or(&[])
}
