//! The clock of commands: what a leader stamps as [`Command.at`](crate::state::command::Command).
//!
//! It never goes back or stands still. A wall clock that is ahead by more than [`STEP_MAX`] has stepped
//! and is not followed, unless a majority of the members' clocks confirms it ([`CommandClock::observe`]);
//! one that is behind is waited for at half the pace. Pure: wall clock and monotonic time are arguments.

use std::time::Duration;

use wardmesh_common::time::Timestamp;

/// How much further than the elapsed monotonic time stamps may go: a leader's clock may be slewed by
/// NTP and a failover may take a second; what is larger is a step of the wall clock. It is earned back as
/// time passes, however many commands are stamped.
pub const STEP_MAX: Duration = Duration::from_secs(1);

/// A wall clock that differs by less from what the cluster agreed on is right.
pub const OFF_MAX: Duration = Duration::from_secs(10);

/// A wall clock that differs for so long is wrong: by then a step that a majority confirms, as after an
/// outage of all, has been followed.
pub const OFF_FOR: Duration = Duration::from_secs(30);

/// The last stamp, and when it was made or heard of.
#[derive(Clone, Debug, Default)]
pub struct CommandClock {
    last: Option<(Timestamp, Duration)>,
    /// How much of [`STEP_MAX`] is used up.
    spent: Duration,
    bounded: u64,
    held: u64,
    /// Since when the wall clock has differed by more than [`OFF_MAX`].
    off_since: Option<Duration>,
}

/// What a look at the wall clock showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// The wall clock minus the time that the cluster agreed on, nanoseconds.
    pub offset: i64,
    /// Whether it is wrong: further off than [`OFF_MAX`] for longer than [`OFF_FOR`].
    pub wrong: bool,
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
                let (earliest, allowed) =
                    (last.plus(elapsed / 2), STEP_MAX.saturating_sub(self.spent));
                let stepped = wall > due.plus(STEP_MAX);
                let latest = if stepped { due } else { due.plus(allowed) };
                self.bounded += u64::from(wall > latest);
                self.held += u64::from(wall < earliest);
                let at = wall.clamp(earliest, latest);
                self.spent += at.since(due);
                at
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

    /// Holds the wall clock against the time that the cluster agreed on.
    pub fn look(&mut self, wall: Timestamp, monotonic: Duration) -> Look {
        let Some(agreed) = self.agreed(monotonic) else { return Look { offset: 0, wrong: false } };
        let (ahead, behind) = (wall.since(agreed), agreed.since(wall));
        let offset = nanos(ahead).saturating_sub(nanos(behind));
        if ahead.max(behind) <= OFF_MAX {
            self.off_since = None;
            return Look { offset, wrong: false };
        }
        let since = *self.off_since.get_or_insert(monotonic);
        Look { offset, wrong: monotonic.saturating_sub(since) >= OFF_FOR }
    }

    /// The best guess at the time: the wall clock, except where it is behind what was agreed on, or was
    /// found wrong. What sensors' clocks are held against.
    #[must_use]
    pub fn now(&self, wall: Timestamp, monotonic: Duration) -> Timestamp {
        let Some(agreed) = self.agreed(monotonic) else { return wall };
        let wrong = self.off_since.is_some_and(|since| monotonic.saturating_sub(since) >= OFF_FOR);
        let behind = agreed.since(wall) > OFF_MAX;
        if wrong || behind { agreed } else { wall }
    }

    fn agreed(&self, monotonic: Duration) -> Option<Timestamp> {
        self.last.map(|(last, then)| last.plus(monotonic.saturating_sub(then)))
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

    /// Stamps that went on at half the pace because the wall clock had stepped back.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.held
    }
}

fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
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
        // A step ahead, of an hour or a year, is not followed: time goes on as it passes.
        check(&[(100, 0, 100), (3_700, 0, 100), (3_701, 1, 101), (3_710, 10, 110)], 3, 0);
        check(&[(100, 0, 100), (31_536_100, 1, 101), (102, 2, 102)], 1, 0);
        // A step back, even to 1970, is waited for at half the pace.
        check(&[(100, 0, 100), (40, 2, 101), (42, 4, 102), (103, 6, 103)], 0, 2);
        check(&[(31_536_000, 0, 31_536_000), (0, 10, 31_536_005)], 0, 1);
        // A second of difference is nobody's fault, and is there once, however often it is asked.
        check(&[(100, 0, 100), (101, 0, 101)], 0, 0);
        check(&[(100, 0, 100), (101, 0, 101), (102, 0, 101), (103, 1, 103)], 1, 0);
    }

    const YEAR: u64 = 31_536_000;

    /// Wherever a wall clock jumps, and however often: stamps never go back, never stand still, and do
    /// not run ahead of the time that passes.
    #[test]
    fn jumps_of_any_size_leave_the_pace_of_time() {
        let begin = 50 * YEAR;
        for jump in [3_600, YEAR, begin] {
            for ahead in [true, false] {
                let mut clock = CommandClock::default();
                let mut before = clock.stamp(at(begin), Duration::ZERO);
                for second in 1..10_000 {
                    let jumped = second / 1_000 % 2 == 1;
                    let right = begin + second;
                    let wall = match (jumped, ahead) {
                        (false, _) => right,
                        (true, true) => right + jump,
                        (true, false) => right.saturating_sub(jump),
                    };
                    let now = clock.stamp(at(wall), Duration::from_secs(second));
                    assert!(now > before && now.since(before) <= Duration::from_secs(2), "{jump}");
                    assert!(now <= at(right), "{jump} {second}");
                    before = now;
                }
                let late = at(begin + 9_999).since(before);
                assert!(
                    late <= Duration::from_secs(if ahead { 0 } else { 2_500 }),
                    "{jump}: {late:?}"
                );
            }
        }
    }

    #[test]
    fn a_wall_clock_is_wrong_when_it_stays_away() {
        let mut clock = CommandClock::default();
        let mono = Duration::from_secs;
        assert_eq!(clock.look(at(9), mono(0)), Look { offset: 0, wrong: false });
        assert_eq!(clock.now(at(9), mono(0)), at(9), "before the first command");
        clock.observe(at(1_000), mono(0));
        let look = |offset: i64, wrong| Look { offset: offset * 1_000_000_000, wrong };
        // Ahead: for a while nobody knows who is right.
        assert_eq!(clock.look(at(4_600), mono(0)), look(3_600, false));
        assert_eq!(clock.now(at(4_629), mono(29)), at(4_629));
        assert_eq!(clock.look(at(4_630), mono(30)), look(3_600, true));
        assert_eq!(clock.now(at(4_630), mono(30)), at(1_030));
        // The others confirm it.
        clock.observe(at(4_631), mono(31));
        assert_eq!(clock.look(at(4_631), mono(31)), look(0, false));
        assert_eq!(clock.now(at(4_631), mono(31)), at(4_631));
        // Behind: what was agreed on is past already.
        assert_eq!(clock.now(at(0), mono(41)), at(4_641));
        assert_eq!(clock.look(at(0), mono(41)), look(-4_641, false));
        assert_eq!(clock.look(at(4_642), mono(43)), look(-1, false));
        assert_eq!(clock.look(at(0), mono(80)), look(-4_680, false), "it was right in between");
    }

    #[test]
    fn never_goes_behind_another_leaders_stamp() {
        let mut clock = CommandClock::default();
        clock.observe(at(500), Duration::from_secs(1));
        clock.observe(at(400), Duration::from_secs(2));
        assert_eq!(clock.last(), Some(at(500)));
        assert_eq!(clock.stamp(at(450), Duration::from_secs(3)), at(501));
        clock.observe(at(9000), Duration::from_secs(4));
        assert_eq!(clock.stamp(at(9001), Duration::from_secs(5)), at(9001));
    }
}
