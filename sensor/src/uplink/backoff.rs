//! How long to wait before the next attempt: exponential with full jitter, so that a thousand sensors
//! do not come back at once. Pure: the random bits are an argument.

use std::time::Duration;

/// The first pause's upper end: another node serves at once where one went away, and a fleet's
/// handshakes are spread far enough.
const BASE: Duration = Duration::from_millis(100);

/// How long the first address that is dialled may take to answer where there are others: a node that
/// is gone says nothing, and its neighbour would have answered by then.
const FIRST_DIAL: Duration = Duration::from_millis(500);

/// How long a dial may take, of at most `max`, after so many that failed: what is short for a slow line
/// doubles until it is long enough.
pub(super) fn dial_patience(max: Duration, others: bool, failures: u32) -> Duration {
    if !others {
        return max;
    }
    FIRST_DIAL.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX)).min(max)
}

/// The state of the waiting.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    max: Duration,
    ceiling: Duration,
}

impl Backoff {
    pub(super) fn new(max: Duration) -> Self {
        Self { max, ceiling: BASE.min(max) }
    }

    /// A pause between nothing and the ceiling, which doubles each time.
    pub(super) fn next(&mut self, random: u64) -> Duration {
        let nanos = u64::try_from(self.ceiling.as_nanos()).unwrap_or(u64::MAX);
        self.ceiling = (self.ceiling * 2).min(self.max);
        Duration::from_nanos(((u128::from(nanos) * u128::from(random)) >> 64) as u64)
    }

    /// A session came online: the next pause is short again.
    pub(super) fn reset(&mut self) {
        self.ceiling = BASE.min(self.max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dial_is_given_more_time_each_time() {
        let max = Duration::from_secs(5);
        let given = [0, 1, 3, 4, 40].map(|failures| dial_patience(max, true, failures).as_millis());
        assert_eq!(given, [500, 1_000, 4_000, 5_000, 5_000]);
        assert_eq!(dial_patience(max, false, 0), max);
    }

    #[test]
    fn doubles_up_to_the_limit_and_spreads() {
        let mut backoff = Backoff::new(Duration::from_secs(1));
        let ends: Vec<_> = (0..6).map(|_| backoff.next(u64::MAX).as_millis()).collect();
        assert_eq!(ends, [99, 199, 399, 799, 999, 999]);
        assert_eq!(backoff.next(0), Duration::ZERO);
        backoff.reset();
        assert_eq!(backoff.next(1 << 63), BASE / 2);
    }
}
