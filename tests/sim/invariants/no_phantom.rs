//! I4: only what a sensor saw and had promised to keep is applied, and as its own.

use std::collections::BTreeSet;

use super::Invariant;
use crate::judge::Fact;

#[derive(Default)]
pub(crate) struct NoPhantom {
    offered: BTreeSet<(u64, u64)>,
    emitted: BTreeSet<(u64, u64)>,
}

impl Invariant for NoPhantom {
    fn name(&self) -> &'static str {
        "I4 no phantom"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Offered { sensor, content, .. } => drop(self.offered.insert((*sensor, *content))),
            Fact::Emitted(batch) => drop(self.emitted.insert((batch.sensor, batch.content))),
            Fact::Agreed { index, batches, .. } => {
                for batch in *batches {
                    let whose = (batch.sensor, batch.content);
                    if !self.offered.contains(&whose) {
                        return Err(format!("{batch:?} at {index} was seen by nobody"));
                    }
                    if !self.emitted.contains(&whose) {
                        return Err(format!("{batch:?} at {index} was sent before it was emitted"));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}
