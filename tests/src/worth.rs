//! Whether enough was asked and answered for a run to say something. Pure.

use std::time::Duration;

use crate::register::{Operation, What};

/// Linearizable reads a minute, all nodes together, without which none that goes back would be met:
/// some two hundred a minute are.
pub const READS_PER_MINUTE_MIN: u64 = 60;

/// Changes of the register a minute, without which reads prove little.
pub const CHANGES_PER_MINUTE_MIN: u64 = 20;

/// Reads of the register a minute, without which changes prove little.
pub const LOOKS_PER_MINUTE_MIN: u64 = 20;

/// How the operations on the register came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// Reads that were answered.
    pub read: u64,
    /// Changes that succeeded.
    pub changed: u64,
    /// Changes that were refused.
    pub refused: u64,
    /// Changes whose outcome nobody knows.
    pub unknown: u64,
}

impl Outcomes {
    /// Those of a history.
    #[must_use]
    pub fn of(history: &[Operation]) -> Self {
        let mut outcomes = Self::default();
        for operation in history {
            *match &operation.what {
                What::Read(..) => &mut outcomes.read,
                What::Changed(..) => &mut outcomes.changed,
                What::Refused(_) => &mut outcomes.refused,
                What::Unknown(..) => &mut outcomes.unknown,
            } += 1;
        }
        outcomes
    }

    /// All of them.
    #[must_use]
    pub const fn all(&self) -> u64 {
        self.read + self.changed + self.refused + self.unknown
    }
}

/// Why a run of this length says nothing about reads: too few were `answered`, the register was read
/// or changed too seldom, or more than half of what came of it is unknown.
#[must_use]
pub fn void(ran: Duration, answered: u64, register: Outcomes) -> Vec<String> {
    let due = |per_minute: u64| ran.as_secs() * per_minute / 60;
    let rates = [
        ("linearizable reads were answered", answered, due(READS_PER_MINUTE_MIN)),
        ("changes of the register succeeded", register.changed, due(CHANGES_PER_MINUTE_MIN)),
        ("reads of the register were answered", register.read, due(LOOKS_PER_MINUTE_MIN)),
    ];
    let few = rates.into_iter().filter(|(_, count, due)| count < due);
    let mut why: Vec<_> =
        few.map(|(what, count, due)| format!("{count} {what}, {due} are due")).collect();
    let (unknown, all) = (register.unknown, register.all());
    if unknown * 2 > all {
        why.push(format!(
            "of {all} operations on the register, {unknown} came out nobody knows how"
        ));
    }
    why
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_saw_too_little_is_void_for_each_reason() {
        let ran = Duration::from_secs(180);
        let good = Outcomes { read: 60, changed: 60, refused: 9, unknown: 129 };
        assert_eq!(void(ran, 180, good), Vec::<String>::new());
        for (answered, register, expect) in [
            (179, good, "179 linearizable reads"),
            (180, Outcomes { read: 59, refused: 10, ..good }, "59 reads of the register"),
            (180, Outcomes { changed: 59, refused: 10, ..good }, "59 changes of the register"),
            (180, Outcomes { unknown: 130, ..good }, "of 259 operations on the register, 130"),
        ] {
            let why = void(ran, answered, register);
            assert!(why.len() == 1 && why[0].starts_with(expect), "{register:?}: {why:?}");
        }
        assert_eq!(void(ran, 0, Outcomes::default()).len(), 3);
    }

    #[test]
    fn outcomes_are_counted_by_what_they_were() {
        let one = |what| Operation { begin: Duration::ZERO, end: None, what };
        let text = String::new;
        let history = [
            What::Read(1, text()),
            What::Read(1, text()),
            What::Changed(1, text()),
            What::Refused(2),
            What::Unknown(2, text()),
        ];
        let outcomes = Outcomes::of(&history.map(one));
        assert_eq!(outcomes, Outcomes { read: 2, changed: 1, refused: 1, unknown: 1 });
        assert_eq!(outcomes.all(), 5);
    }
}
