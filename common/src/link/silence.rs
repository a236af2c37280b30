//! A far end that does not answer: pure, time and counts are arguments.
//!
//! A node that was killed says no goodbye, and an idle timeout has to be long because a quiet
//! connection is no dead one. But whoever is there acknowledges what asks for it within a round trip,
//! however busy it is with other things.

use std::time::{Duration, Instant};

/// How long what was sent may be without any answer before the far end is given up: five or more of
/// QUIC's probes (RFC 9002, section 6.2) were lost by then. Being wrong costs a handshake.
pub const SILENCE_MAX: Duration = Duration::from_millis(1_500);

/// The same in round trips, for lines that are slower than any probe expects.
const ROUND_TRIPS: u32 = 4;

/// How often it is looked at.
pub const LOOK: Duration = Duration::from_millis(100);

/// What a connection has sent and received so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exchanged {
    /// Frames that ask for an acknowledgement.
    pub asked: u64,
    /// Datagrams that came in.
    pub heard: u64,
}

/// What was seen at the last look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silence {
    seen: Exchanged,
    /// Since when something is unanswered.
    since: Option<Instant>,
}

impl Silence {
    /// Whether the far end is to be given up.
    pub fn look(&mut self, now: Instant, exchanged: Exchanged, round_trip: Duration) -> bool {
        if exchanged.heard != self.seen.heard {
            (self.seen, self.since) = (exchanged, None);
            return false;
        }
        if exchanged.asked == self.seen.asked {
            return false;
        }
        let since = *self.since.get_or_insert(now);
        now.duration_since(since) >= SILENCE_MAX.max(round_trip * ROUND_TRIPS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (milliseconds, asked, heard, whether it is given up then)
    fn check(round_trip: u64, looks: &[(u64, u64, u64, bool)]) {
        let (begun, mut silence) = (Instant::now(), Silence::default());
        for (at, asked, heard, gone) in looks {
            let now = begun + Duration::from_millis(*at);
            let exchanged = Exchanged { asked: *asked, heard: *heard };
            let looked = silence.look(now, exchanged, Duration::from_millis(round_trip));
            assert_eq!(looked, *gone, "at {at}");
        }
    }

    #[test]
    fn who_answers_nothing_is_given_up() {
        check(
            1,
            &[(0, 1, 1, false), (100, 2, 1, false), (1_500, 9, 1, false), (1_600, 9, 1, true)],
        );
    }

    #[test]
    fn who_is_asked_nothing_may_be_silent() {
        check(1, &[(0, 5, 5, false), (10_000, 5, 5, false), (90_000, 5, 5, false)]);
    }

    #[test]
    fn any_answer_counts() {
        let looks = [(0, 1, 1, false), (100, 2, 1, false), (1_500, 3, 2, false)];
        check(
            1,
            &[&looks[..], &[(1_600, 4, 2, false), (3_000, 5, 2, false), (3_100, 5, 2, true)]]
                .concat(),
        );
    }

    #[test]
    fn a_slow_line_has_more_time() {
        check(
            600,
            &[(0, 1, 1, false), (100, 2, 1, false), (2_000, 9, 1, false), (2_500, 9, 1, true)],
        );
    }
}
