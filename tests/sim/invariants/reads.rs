//! I8: a linearizable read sees all that was acknowledged before it began, and what any such read saw
//! that ended before.

use std::collections::BTreeMap;

use super::Invariant;
use crate::judge::Fact;

#[derive(Default)]
pub(crate) struct Reads {
    agreed: BTreeMap<u64, u64>,
    /// The highest index that an acknowledgement or an answered read has shown.
    shown: u64,
    began: BTreeMap<u64, u64>,
}

impl Invariant for Reads {
    fn name(&self) -> &'static str {
        "I8 reads never go back"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Agreed { index, batches, .. } => {
                self.agreed.extend(batches.iter().map(|batch| (batch.content, *index)));
            }
            Fact::Acked(batch) => {
                let index = self.agreed.get(&batch.content).copied().unwrap_or(0);
                self.shown = self.shown.max(index);
            }
            Fact::ReadBegan { read } => drop(self.began.insert(*read, self.shown)),
            Fact::ReadEnded { read, node, index } => {
                let shown = self.began.remove(read).unwrap_or(0);
                self.shown = self.shown.max(*index);
                if *index < shown {
                    return Err(format!(
                        "read {read} on node {node} shows {index}, before it began {shown} was shown"
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
