//! Leader completeness: whoever leads has every entry that was ever applied anywhere (Raft paper,
//! figure 3).

use std::collections::BTreeMap;

use wardmesh_aggregator::raft::types::LogId;

use super::Invariant;
use crate::judge::Fact;

#[derive(Default)]
pub(crate) struct LeaderCompleteness {
    agreed: BTreeMap<u64, LogId>,
}

impl Invariant for LeaderCompleteness {
    fn name(&self) -> &'static str {
        "leader completeness"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Applied { index, applied, .. } => {
                self.agreed.entry(*index).or_insert(applied.log_id);
            }
            Fact::Leads { node, leader, log, .. } => {
                let purged = log.purged.map_or(0, |id| id.index);
                // A leader that was deposed meanwhile need not have what its successors added.
                let due = self.agreed.range(purged + 1..).filter(|(_, id)| id.leader_id < *leader);
                for (index, id) in due {
                    let own = log.entries.get(index).map(|entry| entry.log_id);
                    if own != Some(*id) {
                        return Err(format!(
                            "node {node} leads as {leader} and has {own:?}, not {id}"
                        ));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}
