//! How long to wait before the next attempt: exponential with full jitter, so that a thousand sensors
//! do not come back at once. Pure: the random bits are an argument.

use std::time::Duration;

/// The first pause's upper end.
const BASE: Duration = Duration::from_millis(250);

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
    fn doubles_up_to_the_limit_and_spreads() {
        let mut backoff = Backoff::new(Duration::from_secs(1));
        let ends: Vec<_> = (0..4).map(|_| backoff.next(u64::MAX).as_millis()).collect();
        assert_eq!(ends, [249, 499, 999, 999]);
        assert_eq!(backoff.next(0), Duration::ZERO);
        backoff.reset();
        assert_eq!(backoff.next(1 << 63), BASE / 2);
    }
}
