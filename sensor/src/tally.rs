//! Counts of what was seen, refused and dropped, by name: what a health event reports.
//!
//! Pure. Names are static, so hostile input can raise counts but never add names without bound.
//! Must not hold bytes from the wire.

use std::collections::BTreeMap;
use std::fmt;

use wardmesh_common::event::{Counter, Name};

use crate::decode::Malformed;

/// What is counted; the order is that of the counters in a health event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counted {
    /// Frames that the capture yielded.
    Frames,
    /// Their bytes on the wire.
    Bytes,
    /// Frames, packets or messages that are not what they claim to be.
    Malformed(Malformed),
    /// What was not read although it was there, because a limit was met: `tcp.gap`.
    Dropped(&'static str),
}

/// The counter's key: `frames`, `malformed.dns.label_too_long`, `dropped.tcp.gap`.
impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frames => f.write_str("frames"),
            Self::Bytes => f.write_str("bytes"),
            Self::Malformed(Malformed { protocol, reason }) => {
                write!(f, "malformed.{protocol}.{reason}")
            }
            Self::Dropped(what) => write!(f, "dropped.{what}"),
        }
    }
}

/// A running total and how much of it has been reported.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    total: u64,
    reported: u64,
}

/// Counts by name.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Counted for each frame, hence not looked up.
    frames: Count,
    bytes: Count,
    rest: BTreeMap<Counted, Count>,
}

impl Tally {
    /// Counts `count` more of `what`.
    pub fn add(&mut self, what: Counted, count: u64) {
        let entry = match what {
            Counted::Frames => &mut self.frames,
            Counted::Bytes => &mut self.bytes,
            other => self.rest.entry(other).or_default(),
        };
        entry.total = entry.total.saturating_add(count);
    }

    /// Counts one malformed frame, packet or message.
    pub fn malformed(&mut self, protocol: &'static str, reason: &'static str) {
        self.add(Counted::Malformed(Malformed { protocol, reason }), 1);
    }

    /// Counts one thing that a limit kept from being read.
    pub fn dropped(&mut self, what: &'static str) {
        self.add(Counted::Dropped(what), 1);
    }

    /// How many of `what` since the start.
    #[must_use]
    pub fn total(&self, what: Counted) -> u64 {
        match what {
            Counted::Frames => self.frames.total,
            Counted::Bytes => self.bytes.total,
            other => self.rest.get(&other).map_or(0, |count| count.total),
        }
    }

    /// Everything since the start, in the order of [`Counted`].
    pub fn totals(&self) -> impl Iterator<Item = (Counted, u64)> + '_ {
        let each = [(Counted::Frames, self.frames.total), (Counted::Bytes, self.bytes.total)];
        let rest = self.rest.iter().map(|(what, count)| (*what, count.total));
        each.into_iter().filter(|(_, total)| *total > 0).chain(rest)
    }

    /// What was counted since this was last asked, without zeros, as counters of an event.
    pub fn report(&mut self) -> Vec<Counter> {
        let mut counters = Vec::new();
        let each = [(&Counted::Frames, &mut self.frames), (&Counted::Bytes, &mut self.bytes)];
        for (what, count) in each.into_iter().chain(&mut self.rest) {
            let value = count.total - count.reported;
            count.reported = count.total;
            if value > 0 {
                counters.push(Counter { key: Name::Owned(what.to_string()), value });
            }
        }
        counters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_only_what_is_new() {
        let mut tally = Tally::default();
        tally.add(Counted::Frames, 3);
        tally.malformed("dns", "label_too_long");
        tally.dropped("tcp.gap");
        let keys: Vec<_> = tally.report().into_iter().map(|c| (c.key, c.value)).collect();
        let expected = [("frames", 3), ("malformed.dns.label_too_long", 1), ("dropped.tcp.gap", 1)];
        assert_eq!(keys, expected.map(|(key, value)| (Name::Borrowed(key), value)));
        assert_eq!(tally.report(), []);
        tally.add(Counted::Frames, 1);
        assert_eq!(tally.report().len(), 1);
        assert_eq!(tally.total(Counted::Frames), 4);
        assert_eq!(tally.totals().count(), 3);
    }
}
