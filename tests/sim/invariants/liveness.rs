//! I10: once all faults are over, every member runs, one leads, everyone knows it, and every spool
//! drains, with no help from anybody.

use super::Invariant;
use crate::judge::Fact;

#[derive(Default)]
pub(crate) struct Liveness;

impl Invariant for Liveness {
    fn name(&self) -> &'static str {
        "I10 liveness"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::Ended(ending) = fact else { return Ok(()) };
        if ending.leaders.len() != 1 || ending.leaders.contains(&None) {
            return Err(format!("the nodes say that {:?} lead", ending.leaders));
        }
        if ending.missing > 0 {
            return Err(format!("{} members do not run", ending.missing));
        }
        if ending.changing {
            return Err("what the operator had begun is not done".to_owned());
        }
        if ending.held > 0 {
            return Err(format!("the spools still hold {} batches", ending.held));
        }
        Ok(())
    }
}
