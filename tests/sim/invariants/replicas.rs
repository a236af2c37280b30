//! I7: every node applies the same entry at the same index and comes to the same state by it, however
//! often it starts anew and wherever its state came from (state machine safety).

use std::collections::{BTreeMap, BTreeSet};

use super::Invariant;
use crate::judge::{Applied, Fact};

#[derive(Default)]
pub(crate) struct Replicas {
    agreed: BTreeMap<u64, Applied>,
}

impl Invariant for Replicas {
    fn name(&self) -> &'static str {
        "I7 replicas are equal"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Applied { node, index, applied } => {
                let first = self.agreed.entry(*index).or_insert_with(|| (*applied).clone());
                if *first != **applied {
                    return Err(format!("node {node} at {index}: {applied:?}, others: {first:?}"));
                }
            }
            Fact::Restored { node, index, state } => match self.agreed.get(index) {
                Some(applied) if applied.state == *state => {}
                other => {
                    return Err(format!(
                        "node {node} restored {state:?} as {index}, not {other:?}"
                    ));
                }
            },
            Fact::Ended(ending) => {
                let all: BTreeSet<_> =
                    ending.nodes.values().map(|end| format!("{end:?}")).collect();
                if all.len() > 1 {
                    return Err(format!("the nodes end differently: {all:?}"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
