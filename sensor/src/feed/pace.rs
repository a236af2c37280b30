//! When frames are due: pure, time is an argument.

use std::time::{Duration, Instant};

use wardmesh_common::time::Timestamp;

use crate::config::Speed;

/// A capture's own time against the clock, at a speed.
pub(super) struct Pace {
    speed: Speed,
    begun: Option<(Timestamp, Instant)>,
}

impl Pace {
    pub(super) fn new(speed: Speed) -> Self {
        Self { speed, begun: None }
    }

    /// How long until a frame of this time is due; `None` where it is due now.
    pub(super) fn pause(&mut self, at: Timestamp, now: Instant) -> Option<Duration> {
        let Speed::Times(times) = self.speed else { return None };
        let (first, begun) = *self.begun.get_or_insert((at, now));
        let due = begun + at.since(first) / times;
        due.checked_duration_since(now).filter(|pause| !pause.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paces_by_the_captures_own_time() {
        let (start, now) = (Timestamp::from_parts(100, 0), Instant::now());
        let mut pace = Pace::new(Speed::Times(10));
        assert_eq!(pace.pause(start, now), None);
        let later = start.plus(Duration::from_secs(20));
        assert_eq!(pace.pause(later, now), Some(Duration::from_secs(2)));
        assert_eq!(pace.pause(later, now + Duration::from_secs(2)), None);
        assert_eq!(pace.pause(start.minus(Duration::from_secs(5)), now), None);
        assert_eq!(Pace::new(Speed::Max).pause(later, now), None);
    }
}
