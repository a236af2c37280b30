//! I3: no batch is applied twice, under whatever number it comes.

use std::collections::BTreeMap;

use super::Invariant;
use crate::judge::{Batch, Fact};

#[derive(Default)]
pub(crate) struct ExactlyOnce {
    agreed: BTreeMap<u64, (u64, Batch)>,
}

impl Invariant for ExactlyOnce {
    fn name(&self) -> &'static str {
        "I3 exactly once"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::Agreed { index, batches, .. } = fact else { return Ok(()) };
        for batch in *batches {
            if let Some((at, first)) = self.agreed.insert(batch.content, (*index, *batch)) {
                return Err(format!("{batch:?} at {index} was applied at {at} as {first:?}"));
            }
        }
        Ok(())
    }
}
