//! I11: no node stops but those that were removed, and nothing panics.

use super::Invariant;
use crate::judge::Fact;

#[derive(Default)]
pub(crate) struct Exits;

impl Invariant for Exits {
    fn name(&self) -> &'static str {
        "I11 no exit of its own"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Stopped { node, why, retired: false } => {
                Err(format!("node {node} stopped: {why}"))
            }
            Fact::Panicked { tasks } => Err(format!("{tasks} tasks panicked; see above")),
            _ => Ok(()),
        }
    }
}
