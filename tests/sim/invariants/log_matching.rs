//! Log matching: an entry of one place and leader is the same in every log, and so is the one before
//! it (Raft paper, figure 3).

use std::collections::BTreeMap;

use wardmesh_aggregator::raft::types::LogId;

use super::Invariant;
use crate::judge::Fact;
use crate::node::digest_of;

#[derive(Default)]
pub(crate) struct LogMatching {
    entries: BTreeMap<LogId, (Option<LogId>, u64)>,
}

impl Invariant for LogMatching {
    fn name(&self) -> &'static str {
        "log matching"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::Appended { node, before, entries } = fact else { return Ok(()) };
        let mut previous = *before;
        for entry in *entries {
            let own = (previous, digest_of(&entry.payload));
            let first = self.entries.entry(entry.log_id).or_insert(own);
            // What comes before a log's first entry is in a snapshot.
            if first.1 != own.1 || (first.0 != own.0 && first.0.is_some() && own.0.is_some()) {
                let id = entry.log_id;
                return Err(format!("node {node} has another entry {id}: {own:?}, not {first:?}"));
            }
            first.0 = first.0.or(own.0);
            previous = Some(entry.log_id);
        }
        Ok(())
    }
}
