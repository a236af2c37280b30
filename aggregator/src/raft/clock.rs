//! The clock of commands: what a leader stamps as [`Command.at`](crate::state::command::Command).
//!
//! It never goes back, and advances at most by the elapsed monotonic time plus [`STEP_MAX`], which
//! is earned back as time passes: however many commands are stamped, a wrong wall clock is followed
//! at twice the pace of time at most. Pure: wall clock and monotonic time are arguments.

use std::time::Duration;

use wardmesh_common::time::Timestamp;

/// How much further than the elapsed monotonic time stamps may go: a leader's clock may be slewed by
/// NTP and a failover may take a second; what is larger is a step of the wall clock.
pub const STEP_MAX: Duration = Duration::from_secs(1);

/// The last stamp, and when it was made or heard of.
#[derive(Clone, Debug, Default)]
pub struct CommandClock {
    last: Option<(Timestamp, Duration)>,
    /// How much of [`STEP_MAX`] is used up.
    spent: Duration,
    bounded: u64,
    held: u64,
}

impl CommandClock {
    /// The time to stamp a command with. `wall` is the machine's wall clock and `monotonic` a time
    /// since any fixed point that never goes back. The very first stamp is the wall clock.
    pub fn stamp(&mut self, wall: Timestamp, monotonic: Duration) -> Timestamp {
        let at = match self.last {
            None => wall,
            Some((last, then)) => {
                let elapsed = monotonic.saturating_sub(then);
                self.spent = self.spent.saturating_sub(elapsed);
                let due = last.plus(elapsed);
                let latest = due.plus(STEP_MAX.saturating_sub(self.spent));
                self.spent += wall.min(latest).since(due);
                self.bounded += u64::from(wall > latest);
                self.held += u64::from(wall < last);
                wall.clamp(last, latest)
            }
        };
        self.last = Some((at, monotonic));
        at
    }

    /// Another leader stamped a command with `at`: ours will not go behind it. Also the way to accept
    /// a step of the wall clock that a majority of the members' clocks agrees with.
    pub fn observe(&mut self, at: Timestamp, monotonic: Duration) {
        if self.last.is_none_or(|(last, _)| last < at) {
            self.last = Some((at, monotonic));
        }
    }

    /// The last stamp that was made or heard of.
    #[must_use]
    pub fn last(&self) -> Option<Timestamp> {
        self.last.map(|(at, _)| at)
    }

    /// Stamps that were held back because the wall clock had stepped ahead.
    #[must_use]
    pub fn bounded(&self) -> u64 {
        self.bounded
    }

    /// Stamps that repeat the last one because the wall clock had stepped back.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Timestamp {
        Timestamp::from_parts(seconds, 0)
    }

    #[track_caller]
    fn check(steps: &[(u64, u64, u64)], bounded: u64, held: u64) {
        let mut clock = CommandClock::default();
        for &(wall, monotonic, expected) in steps {
            let stamped = clock.stamp(at(wall), Duration::from_secs(monotonic));
            assert_eq!(stamped, at(expected), "{steps:?}");
        }
        assert_eq!((clock.bounded(), clock.held()), (bounded, held), "{steps:?}");
    }

    #[test]
    fn follows_the_wall_clock_within_its_bounds() {
        check(&[(100, 0, 100), (101, 1, 101), (105, 5, 105)], 0, 0);
        // A step ahead of an hour is followed by a second more than what has passed.
        check(&[(100, 0, 100), (3700, 0, 101), (3700, 10, 112), (3700, 3600, 3700)], 2, 0);
        // However often it is asked.
        check(
            &[(100, 0, 100), (3700, 0, 101), (3700, 0, 101), (3700, 1, 103), (3700, 1, 103)],
            4,
            0,
        );
        // A step back is waited for.
        check(&[(100, 0, 100), (40, 1, 100), (99, 60, 100), (102, 62, 102)], 0, 2);
        // A second of difference is nobody's fault.
        check(&[(100, 0, 100), (101, 0, 101)], 0, 0);
    }

    #[test]
    fn never_goes_behind_another_leaders_stamp() {
        let mut clock = CommandClock::default();
        clock.observe(at(500), Duration::from_secs(1));
        clock.observe(at(400), Duration::from_secs(2));
        assert_eq!(clock.last(), Some(at(500)));
        assert_eq!(clock.stamp(at(450), Duration::from_secs(3)), at(500));
        clock.observe(at(9000), Duration::from_secs(4));
        assert_eq!(clock.stamp(at(9001), Duration::from_secs(5)), at(9001));
    }
}
