//! The in-order bytes of one direction, read message by message.
//!
//! ```text
//! Probing ──yes──► Reading ──malformed, gap──► Probing (with the dissector that is known)
//!    └──nobody──► Unread ──the other direction is recognised──► Probing
//! ```
//! Holds only what its dissector waits for. Each byte is scanned a bounded number of times.

use std::mem;

use super::scene::{Dissectors, Scene, Sink};
use crate::dissect::{Dissector, Observations, Probe, Progress};
use crate::tally::Counted;

/// 256 KiB: a TLS ClientHello or an HL7 message with attachments is held whole up to this.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// 4 KiB without a dissector that knows them, and a direction is not read any more.
pub const PROBE_BYTES_MAX: usize = 4 * 1024;
/// A byte is looked at this often on average, whatever the size of the segments that bring it.
const SCANS_MAX: usize = 32;
/// 64 KiB of scanning are free, so that short messages never wait.
const SCANS_FREE: usize = 64 * 1024;
/// 4 KiB of unused buffer are kept by a direction rather than given back.
const SLACK_MAX: usize = 4 * 1024;

/// What a stream needs from its flow to read.
pub(crate) struct Reader<'a, 'b> {
    pub(crate) dissectors: Dissectors,
    /// The index of the flow's dissector, once one direction was recognised.
    pub(crate) protocol: &'a mut Option<usize>,
    pub(crate) scene: Scene,
    pub(crate) sink: &'a mut Sink<'b>,
}

impl Reader<'_, '_> {
    fn dissector(&self) -> Option<&'static dyn Dissector> {
        self.dissectors.get((*self.protocol)?).copied()
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Probing,
    Reading,
    Unread,
    Ended,
}

/// What became of the front of the held bytes.
enum Step {
    /// So many are done with; look again.
    Forward(usize),
    /// Keep them: more must come first.
    Wait,
    /// All of them are passed over.
    Drop,
}

/// The reading state of one direction.
#[derive(Default)]
pub(crate) struct Stream {
    phase: Phase,
    held: Vec<u8>,
    /// Bytes still to come that a message's length already accounts for.
    skip: u64,
    /// The dissector is asked again when this many bytes are held.
    wanted: usize,
    /// Bytes scanned for the message or the probe at hand.
    scanned: usize,
    /// Dissectors that said no, by index.
    refused: u128,
    /// A message may begin at any segment: bytes were missed.
    adrift: bool,
    /// Bytes passed over without a dissector.
    unknown: usize,
}

impl Stream {
    /// Memory held, bytes.
    pub(crate) fn held(&self) -> usize {
        self.held.capacity()
    }

    /// Whether bytes would only be thrown away.
    pub(crate) fn is_unread(&self, protocol: Option<usize>) -> bool {
        match self.phase {
            Phase::Unread => protocol.is_none(),
            Phase::Ended => true,
            Phase::Probing | Phase::Reading => false,
        }
    }

    /// Bytes before the next ones were missed.
    pub(crate) fn gap(&mut self, length: u64, reader: &mut Reader<'_, '_>) {
        reader.sink.tally.dropped("tcp.gap");
        reader.sink.tally.add(Counted::Dropped("tcp.gap_bytes"), length);
        if self.held.is_empty() && self.skip >= length {
            self.skip -= length;
        } else if self.phase != Phase::Unread {
            self.lose_place();
        }
    }

    /// The stream did not begin with its first byte.
    pub(crate) fn begin_adrift(&mut self) {
        self.adrift = true;
    }

    /// Takes the next bytes and reads what is whole; `ended` says that none will follow.
    pub(crate) fn push(&mut self, bytes: &[u8], ended: bool, reader: &mut Reader<'_, '_>) {
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
        self.skip -= skipped as u64;
        let bytes = bytes.get(skipped..).unwrap_or(&[]);
        self.follow_the_other(reader);
        let nothing = bytes.is_empty() && self.held.is_empty();
        if !nothing && !self.is_unread(*reader.protocol) {
            self.advance(bytes, ended, reader);
        }
        if ended {
            self.phase = Phase::Ended;
            self.held = Vec::new();
        }
    }

    /// What one direction was recognised as, the other is too.
    fn follow_the_other(&mut self, reader: &Reader<'_, '_>) {
        if reader.protocol.is_none() {
            return;
        }
        match self.phase {
            Phase::Unread => self.lose_place(),
            Phase::Probing if !self.adrift => self.begin_reading(),
            Phase::Probing | Phase::Reading | Phase::Ended => {}
        }
    }

    fn advance(&mut self, bytes: &[u8], ended: bool, reader: &mut Reader<'_, '_>) {
        if self.held.is_empty() {
            let used = self.run(bytes, 0, ended, reader);
            self.held.extend_from_slice(bytes.get(used..).unwrap_or(&[]));
            return;
        }
        let mut held = mem::take(&mut self.held);
        let fresh = held.len();
        held.extend_from_slice(bytes);
        let used = self.run(&held, fresh, ended, reader);
        held.drain(..used.min(held.len()));
        if held.capacity() > 2 * held.len() + SLACK_MAX {
            held.shrink_to_fit();
        }
        self.held = held;
    }

    /// Reads as far as it goes; gives how many bytes are done with. The bytes from `fresh` on are
    /// those of the newest segment.
    fn run(
        &mut self,
        bytes: &[u8],
        fresh: usize,
        ended: bool,
        reader: &mut Reader<'_, '_>,
    ) -> usize {
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or(&[]);
            if rest.is_empty() {
                return bytes.len();
            }
            let step = match self.phase {
                Phase::Probing => self.probe(rest, fresh.saturating_sub(at), ended, reader),
                Phase::Reading => self.read(rest, ended, reader),
                Phase::Unread | Phase::Ended => Step::Drop,
            };
            match step {
                Step::Forward(count) => at += count,
                Step::Wait => return at,
                Step::Drop => return bytes.len(),
            }
        }
    }

    fn probe(
        &mut self,
        bytes: &[u8],
        fresh: usize,
        ended: bool,
        reader: &mut Reader<'_, '_>,
    ) -> Step {
        if !self.may_scan(bytes.len(), ended) {
            return Step::Wait;
        }
        match self.ask(bytes, ended, reader) {
            Probe::Yes => {
                self.begin_reading();
                Step::Forward(0)
            }
            Probe::Unsure if !ended && bytes.len() < PROBE_BYTES_MAX => Step::Wait,
            // Bytes that were held as a possible beginning are none: the newest segment may be.
            Probe::No if self.adrift && fresh > 0 => {
                self.pass_over(fresh, reader);
                Step::Forward(fresh)
            }
            Probe::No | Probe::Unsure => {
                self.pass_over(bytes.len(), reader);
                Step::Drop
            }
        }
    }

    /// Asks the flow's dissector, or every one that has not said no; the first yes is taken.
    fn ask(&mut self, bytes: &[u8], ended: bool, reader: &mut Reader<'_, '_>) -> Probe {
        let payload = reader.scene.payload(bytes, ended);
        if let Some(dissector) = reader.dissector() {
            return dissector.probe(&payload);
        }
        let mut answer = Probe::No;
        for (index, dissector) in reader.dissectors.iter().enumerate() {
            let bit = u32::try_from(index).ok().and_then(|index| 1_u128.checked_shl(index));
            let bit = bit.unwrap_or(0);
            if self.refused & bit != 0 {
                continue;
            }
            match dissector.probe(&payload) {
                Probe::Yes => {
                    *reader.protocol = Some(index);
                    return Probe::Yes;
                }
                Probe::No => self.refused |= bit,
                Probe::Unsure => answer = Probe::Unsure,
            }
        }
        answer
    }

    /// Nobody knows these bytes.
    fn pass_over(&mut self, count: usize, reader: &Reader<'_, '_>) {
        self.unknown = self.unknown.saturating_add(count);
        self.scanned = 0;
        self.refused = 0;
        let known = reader.protocol.is_some();
        if !known && (!self.adrift || self.unknown >= PROBE_BYTES_MAX) {
            self.phase = Phase::Unread;
        }
    }

    fn read(&mut self, bytes: &[u8], ended: bool, reader: &mut Reader<'_, '_>) -> Step {
        let Some(dissector) = reader.dissector() else { return Step::Drop };
        let length = bytes.len();
        if (length < self.wanted && !ended) || !self.may_scan(length, ended) {
            return Step::Wait;
        }
        let mut found = Observations::default();
        let progress = dissector.dissect(&reader.scene.payload(bytes, ended), &mut found);
        let reason = match progress {
            Progress::Consumed(0) => "message_empty",
            Progress::Consumed(count) => {
                reader.scene.report(dissector.protocol(), &mut found, reader.sink.events);
                self.begin_reading();
                self.skip = count.saturating_sub(length) as u64;
                return Step::Forward(count.min(length));
            }
            Progress::NeedMore(_) if ended => "message_unfinished",
            Progress::NeedMore(count) => {
                self.wanted = count.max(length + 1);
                if self.wanted <= MESSAGE_BYTES_MAX {
                    return Step::Wait;
                }
                "message_too_long"
            }
            Progress::Malformed { reason, .. } => {
                reader.scene.report(dissector.protocol(), &mut found, reader.sink.events);
                reason
            }
        };
        reader.sink.tally.malformed(dissector.protocol(), reason);
        self.lose_place();
        Step::Drop
    }

    /// Whether `length` bytes may be looked at once more; if so, that is noted.
    fn may_scan(&mut self, length: usize, ended: bool) -> bool {
        let allowed = length.saturating_mul(SCANS_MAX).saturating_add(SCANS_FREE);
        let may = ended || self.scanned <= allowed;
        if may {
            self.scanned = self.scanned.saturating_add(length);
        }
        may
    }

    /// The next byte is the first of a message.
    fn begin_reading(&mut self) {
        self.phase = Phase::Reading;
        self.wanted = 0;
        self.scanned = 0;
    }

    /// Where the next message begins is not known any more.
    fn lose_place(&mut self) {
        if self.phase != Phase::Ended {
            self.phase = Phase::Probing;
        }
        self.held = Vec::new();
        self.skip = 0;
        self.wanted = 0;
        self.scanned = 0;
        self.refused = 0;
        self.adrift = true;
    }
}
