//! A sensor's sign of life: what tells a calm network, or a capture that is read, from a sensor that
//! is gone. By the wall clock, since no frame need come; pure, time is an argument.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use wardmesh_common::event::Counter;

/// A sensor that was not heard for five minutes counts as silent: four may be late or lost.
pub const INTERVAL: Duration = Duration::from_secs(60);

/// Sums since the start, by the names of the health counters that report their growth.
pub type Totals = Box<dyn Fn() -> Vec<(&'static str, u64)> + Send>;

/// Says when a sign of life is due and what it reports.
pub struct Heartbeat {
    interval: Duration,
    begun: Instant,
    latest: Instant,
    totals: Totals,
    reported: BTreeMap<&'static str, u64>,
}

impl Heartbeat {
    /// The first sign of life is due an interval after `now`.
    #[must_use]
    pub fn new(interval: Duration, now: Instant, totals: Totals) -> Self {
        Self { interval, begun: now, latest: now, totals, reported: BTreeMap::new() }
    }

    /// The counters of a sign of life where one is due: `uptime_seconds` always, the others where
    /// they grew.
    pub(super) fn beat(&mut self, now: Instant) -> Option<Vec<Counter>> {
        if now.saturating_duration_since(self.latest) < self.interval {
            return None;
        }
        self.latest = now;
        let uptime = ("uptime_seconds", now.saturating_duration_since(self.begun).as_secs());
        let mut counters = Vec::new();
        for (key, total) in std::iter::once(uptime).chain((self.totals)()) {
            let before = self.reported.insert(key, total).unwrap_or_default();
            let value = total.saturating_sub(before);
            if value > 0 || key == uptime.0 {
                counters.push(Counter { key: key.into(), value });
            }
        }
        Some(counters)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn beats_by_the_clock_and_reports_what_grew() {
        let (failures, begun) = (Arc::new(AtomicU64::new(0)), Instant::now());
        let read = Arc::clone(&failures);
        let totals = move || vec![("uplink.failures", read.load(Ordering::Relaxed))];
        let mut heartbeat = Heartbeat::new(INTERVAL, begun, Box::new(totals));
        let mut beat = |seconds| {
            let counters = heartbeat.beat(begun + Duration::from_secs(seconds));
            counters.map(|all| {
                all.iter().map(|one| (one.key.to_string(), one.value)).collect::<Vec<_>>()
            })
        };
        let up = |seconds| ("uptime_seconds".to_owned(), seconds);
        assert_eq!(beat(59), None);
        assert_eq!(beat(60), Some(vec![up(60)]));
        failures.store(3, Ordering::Relaxed);
        assert_eq!(beat(119), None);
        assert_eq!(beat(125), Some(vec![up(65), ("uplink.failures".to_owned(), 3)]));
        assert_eq!(beat(185), Some(vec![up(60)]));
    }
}
