//! Whether the history of a register with revisions is linearizable. Pure.
//!
//! A change is made against the revision that its writer saw, and makes the next one: so revisions say
//! the order, and what is left to check is that time agrees with it and that each has one maker.

use std::collections::BTreeMap;
use std::time::Duration;

/// One operation, as its client saw it; times since the beginning of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// When it was asked.
    pub begin: Duration,
    /// When it was answered; one that was not may take effect at any time after.
    pub end: Option<Duration>,
    /// What it was.
    pub what: What,
}

/// An operation and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A read that showed this revision and text.
    Read(u64, String),
    /// A change of this revision to this text, which succeeded.
    Changed(u64, String),
    /// The same, refused because the revision was this one.
    Refused(u64),
    /// The same, not answered.
    Unknown(u64, String),
}

impl What {
    /// The revision that the answer proves to exist.
    const fn shows(&self) -> Option<u64> {
        match self {
            Self::Read(revision, _) | Self::Refused(revision) => Some(*revision),
            Self::Changed(expected, _) => Some(*expected + 1),
            Self::Unknown(..) => None,
        }
    }

    /// The lowest revision that was current at its one moment.
    const fn needs(&self) -> Option<u64> {
        match self {
            Self::Changed(expected, _) => Some(*expected),
            other => other.shows(),
        }
    }
}

/// Why no order explains the history; nothing where one does.
#[must_use]
pub fn check(history: &[Operation]) -> Vec<String> {
    let mut faults = makers(history);
    faults.extend(order(history));
    faults.extend(texts(history));
    faults
}

/// Each revision has one maker.
fn makers(history: &[Operation]) -> Vec<String> {
    let mut made = BTreeMap::<u64, &Operation>::new();
    let mut faults = Vec::new();
    for operation in history {
        if let What::Changed(expected, _) = &operation.what
            && let Some(other) = made.insert(*expected, operation)
        {
            faults.push(format!("revision {expected} was changed by {operation:?} and {other:?}"));
        }
    }
    faults
}

/// What was answered is known to all that is asked later, and to nobody before it was asked.
fn order(history: &[Operation]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut ends: Vec<_> =
        history.iter().filter_map(|one| Some((one.end?, one.what.shows()?))).collect();
    ends.sort_unstable();
    let mut begins: Vec<_> =
        history.iter().filter_map(|one| Some((one.begin, one.what.needs()?, one))).collect();
    begins.sort_unstable_by_key(|(begin, needs, _)| (*begin, *needs));
    let (mut known, mut next) = (0, 0);
    for (begin, needs, operation) in begins {
        while let Some((_, shows)) = ends.get(next).filter(|(end, _)| *end < begin) {
            known = known.max(*shows);
            next += 1;
        }
        if needs < known {
            faults.push(format!("{operation:?} began when revision {known} was known"));
        }
    }
    let made = earliest_makers(history);
    for operation in history {
        let Some((end, shows)) = operation.end.zip(operation.what.shows()) else { continue };
        if made.get(&shows).is_some_and(|begin| *begin > end) {
            faults.push(format!("{operation:?} shows what nobody had asked for yet"));
        }
    }
    faults
}

/// When each revision that clients made can have been made at the earliest.
fn earliest_makers(history: &[Operation]) -> BTreeMap<u64, Duration> {
    let mut made = BTreeMap::<u64, Duration>::new();
    for operation in history {
        if let What::Changed(expected, _) = &operation.what {
            made.insert(*expected + 1, operation.begin);
        }
    }
    made
}

/// A revision has the text of its maker: one that succeeded, else one that was not answered, else
/// something else than a client made it and left the text.
fn texts(history: &[Operation]) -> Vec<String> {
    let mut sure = BTreeMap::<u64, &str>::new();
    let mut maybe = BTreeMap::<u64, Vec<&str>>::new();
    let mut read = BTreeMap::<u64, &str>::new();
    let mut faults = Vec::new();
    for operation in history {
        match &operation.what {
            What::Changed(expected, text) => drop(sure.insert(expected + 1, text)),
            What::Unknown(expected, text) => maybe.entry(expected + 1).or_default().push(text),
            What::Read(..) | What::Refused(_) => {}
        }
    }
    for operation in history {
        let What::Read(revision, text) = &operation.what else { continue };
        let before = *read.entry(*revision).or_insert(text);
        if before != text {
            faults.push(format!("revision {revision} is read as '{before}' and '{text}'"));
        }
    }
    for (revision, text) in &read {
        let previous = revision.checked_sub(1).and_then(|at| sure.get(&at).or(read.get(&at)));
        let made = match sure.get(revision) {
            Some(sure) => sure == text,
            None => {
                let unsure = maybe.get(revision).is_some_and(|all| all.contains(text));
                unsure || previous.is_none_or(|previous| previous == text)
            }
        };
        if !made {
            faults.push(format!("revision {revision} is read as '{text}', which nobody wrote"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(at: u64) -> Duration {
        Duration::from_millis(at)
    }

    fn at(begin: u64, end: u64, what: What) -> Operation {
        Operation { begin: ms(begin), end: Some(ms(end)), what }
    }

    fn read(begin: u64, end: u64, revision: u64, text: &str) -> Operation {
        at(begin, end, What::Read(revision, text.to_owned()))
    }

    fn changed(begin: u64, end: u64, expected: u64, text: &str) -> Operation {
        at(begin, end, What::Changed(expected, text.to_owned()))
    }

    fn unknown(begin: u64, expected: u64, text: &str) -> Operation {
        Operation { begin: ms(begin), end: None, what: What::Unknown(expected, text.to_owned()) }
    }

    #[test]
    fn good_histories_pass() {
        let sequential = vec![
            read(0, 1, 1, ""),
            changed(2, 3, 1, "a"),
            read(4, 5, 2, "a"),
            at(6, 7, What::Refused(2)),
            changed(8, 9, 2, "b"),
            read(10, 11, 3, "b"),
        ];
        // A read beside a change may see either; one that sees the change lets no later one miss it.
        let beside =
            vec![changed(0, 10, 1, "a"), read(1, 2, 1, ""), read(3, 4, 2, "a"), read(5, 6, 2, "a")];
        let never = vec![unknown(0, 1, "a"), read(20, 21, 1, ""), changed(22, 23, 1, "b")];
        let late = vec![unknown(0, 1, "a"), read(5, 6, 1, ""), read(20, 21, 2, "a")];
        // A rule changed it and left the text.
        let by_others = vec![changed(0, 1, 1, "a"), read(2, 3, 3, "a"), changed(4, 5, 3, "b")];
        for history in [Vec::new(), sequential, beside, never, late, by_others] {
            assert_eq!(check(&history), Vec::<String>::new(), "{history:?}");
        }
    }

    #[test]
    fn bad_histories_fail() {
        let lost_update = vec![changed(0, 1, 1, "a"), changed(0, 2, 1, "b")];
        let stale_read = vec![changed(0, 1, 1, "a"), read(2, 3, 1, "")];
        let goes_back = vec![changed(0, 20, 1, "a"), read(1, 2, 2, "a"), read(3, 4, 1, "")];
        let stale_refusal = vec![read(0, 1, 5, ""), at(2, 3, What::Refused(4))];
        let stale_change = vec![read(0, 1, 5, ""), changed(2, 3, 4, "a")];
        let from_the_future = vec![read(0, 1, 2, "a"), changed(2, 3, 1, "a")];
        let torn = vec![changed(0, 1, 1, "a"), read(2, 3, 2, "b")];
        let two_texts = vec![read(0, 1, 2, "a"), read(2, 3, 2, "b")];
        let never_written = vec![read(0, 1, 1, ""), unknown(2, 1, "a"), read(4, 5, 2, "c")];
        for history in [
            lost_update,
            stale_read,
            goes_back,
            stale_refusal,
            stale_change,
            from_the_future,
            torn,
            two_texts,
            never_written,
        ] {
            assert!(!check(&history).is_empty(), "{history:?}");
        }
    }

    /// Tries every order of a small history against a register.
    fn has_an_order(history: &[Operation], revision: u64, text: &str) -> bool {
        let done = history.iter().all(|one| one.end.is_none());
        done || (0..history.len()).any(|at| {
            let one = &history[at];
            let first = !history.iter().any(|other| other.end.is_some_and(|end| end < one.begin));
            let (revision, text) = match &one.what {
                What::Read(seen, read) if *seen == revision && read == text => (revision, text),
                What::Refused(seen) if *seen == revision => (revision, text),
                What::Changed(expected, to) | What::Unknown(expected, to)
                    if *expected == revision =>
                {
                    (revision + 1, to.as_str())
                }
                _ => return false,
            };
            let mut rest = history.to_vec();
            rest.remove(at);
            first && has_an_order(&rest, revision, text)
        })
    }

    #[test]
    fn agrees_with_trying_every_order() {
        let mut draw = crate::draw::Draw::new(11);
        let mut verdicts = [0, 0];
        for _ in 0..4_000 {
            let mut history = Vec::new();
            for number in 0..draw.within(1, 5) {
                let begin = draw.within(0, 8);
                let end = begin + draw.within(1, 6);
                let expected = draw.within(1, 3);
                // The texts tell nothing more than the revisions here.
                let what = match draw.below(4) {
                    0 => What::Read(expected, String::new()),
                    1 => What::Refused(expected),
                    _ => What::Changed(expected, String::new()),
                };
                history.push(at(2 * begin, 2 * end + number % 2, what));
            }
            // All revisions between must have been made by somebody, which `check` leaves to rules.
            let complete = (1..=4).all(|revision| {
                let shown = history.iter().any(|one| one.what.shows() >= Some(revision + 1));
                let made =
                    |one: &Operation| matches!(&one.what, What::Changed(of, _) if *of == revision);
                !shown || history.iter().any(made)
            });
            if complete {
                let expect = has_an_order(&history, 1, "");
                assert_eq!(
                    check(&history).is_empty(),
                    expect,
                    "{history:?}: {:?}",
                    check(&history)
                );
                verdicts[usize::from(expect)] += 1;
            }
        }
        assert!(verdicts.iter().all(|count| *count > 50), "{verdicts:?}");
    }
}
