//! I9: what a node said is done is applied where it said and stays so, what it refused is never
//! applied, and nothing that was proposed once is applied twice. Only what is unknown may be either.

use std::collections::BTreeMap;

use super::Invariant;
use crate::judge::{Answer, Fact};

#[derive(Default)]
pub(crate) struct NoFalseSuccess {
    answered: BTreeMap<u64, Answer>,
    carried_out: BTreeMap<u64, u64>,
}

impl NoFalseSuccess {
    fn compare(&self, number: u64) -> Result<(), String> {
        let Some(answer) = self.answered.get(&number) else { return Ok(()) };
        let applied = self.carried_out.get(&number);
        match (answer, applied) {
            (Answer::Done(index), Some(applied)) if index == applied => Ok(()),
            (Answer::Unknown, _) | (Answer::Refused, None) => Ok(()),
            _ => Err(format!("command {number} was answered {answer:?}, applied at {applied:?}")),
        }
    }
}

impl Invariant for NoFalseSuccess {
    fn name(&self) -> &'static str {
        "I9 no false success"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Answered { number, answer } => {
                self.answered.insert(*number, *answer);
                self.compare(*number)
            }
            Fact::CarriedOut { number, index } => {
                let first = *self.carried_out.entry(*number).or_insert(*index);
                if first != *index {
                    return Err(format!("command {number} was applied at {first} and at {index}"));
                }
                self.compare(*number)
            }
            // The operator was told who votes now.
            Fact::Ended(ending) => {
                let told: Vec<_> = ending.nodes.keys().copied().collect();
                let differs = ending.voters.iter().any(|voters| *voters != told);
                if differs && !ending.changing {
                    return Err(format!("{told:?} were said to vote, not {:?}", ending.voters));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[test]
fn what_is_false_is_noticed() {
    let answered = |answer| Fact::Answered { number: 1, answer };
    let at = |index| Fact::CarriedOut { number: 1, index };
    // (what was seen) → whether that may be
    let cases = [
        (vec![at(7), answered(Answer::Done(7))], true),
        (vec![answered(Answer::Done(7))], false),
        (vec![at(7), answered(Answer::Done(8))], false),
        (vec![answered(Answer::Refused)], true),
        (vec![answered(Answer::Refused), at(7)], false),
        (vec![answered(Answer::Unknown), at(7), at(7)], true),
        (vec![answered(Answer::Unknown), at(7), at(8)], false),
    ];
    for (number, (facts, may_be)) in cases.iter().enumerate() {
        let mut invariant = NoFalseSuccess::default();
        let verdict = facts.iter().try_for_each(|fact| invariant.see(fact));
        assert_eq!(verdict.is_ok(), *may_be, "case {number}: {verdict:?}");
    }
}
