//! I2: what a sensor promised to keep arrives, and nothing that it sends is refused for good.

use std::collections::{BTreeMap, BTreeSet};

use super::Invariant;
use crate::judge::{Batch, Fact};

#[derive(Default)]
pub(crate) struct EventualCompleteness {
    emitted: BTreeMap<u64, Batch>,
    agreed: BTreeSet<u64>,
}

impl Invariant for EventualCompleteness {
    fn name(&self) -> &'static str {
        "I2 eventual completeness"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Emitted(batch) => drop(self.emitted.insert(batch.content, *batch)),
            Fact::Agreed { batches, .. } => {
                self.agreed.extend(batches.iter().map(|batch| batch.content));
            }
            Fact::Rejected(batch) => return Err(format!("{batch:?} was refused for good")),
            Fact::Lost(batch) => return Err(format!("{batch:?} was lost by its spool")),
            Fact::Readopted(old, new) if old.content != new.content => {
                return Err(format!("{old:?} goes on as {new:?}, which is another"));
            }
            Fact::Ended(_) => {
                let missing =
                    self.emitted.iter().filter(|(content, _)| !self.agreed.contains(content));
                let missing: Vec<_> = missing.map(|(_, batch)| batch).collect();
                if let Some(first) = missing.first() {
                    return Err(format!("{} batches never arrived: {first:?}", missing.len()));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
