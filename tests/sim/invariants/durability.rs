//! I1: what was acknowledged to a sensor has been applied, and every node has it in the end.

use std::collections::BTreeMap;

use super::Invariant;
use crate::judge::Fact;

#[derive(Default)]
pub(crate) struct Durability {
    /// Where a batch's content was applied.
    agreed: BTreeMap<u64, u64>,
    /// The highest index of an acknowledged batch.
    acked: u64,
}

impl Invariant for Durability {
    fn name(&self) -> &'static str {
        "I1 durability"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Agreed { index, batches, .. } => {
                self.agreed.extend(batches.iter().map(|batch| (batch.content, *index)));
            }
            Fact::Acked(batch) => match self.agreed.get(&batch.content) {
                Some(index) => self.acked = self.acked.max(*index),
                None => return Err(format!("{batch:?} was acknowledged and is applied nowhere")),
            },
            Fact::Ended(ending) => {
                let behind = ending.nodes.iter().find(|(_, (applied, _))| *applied < self.acked);
                if let Some((node, (applied, _))) = behind {
                    return Err(format!(
                        "node {node} has applied {applied}, acknowledged was {}",
                        self.acked
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
