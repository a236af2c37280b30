//! Election safety: a term that a node led once is not led by a later run of it, which would have
//! forgotten its vote (Raft paper, figure 3; openraft's leaders are (term, node)).

use std::collections::BTreeMap;

use wardmesh_common::id::NodeId;

use super::Invariant;
use crate::judge::Fact;

#[derive(Default)]
pub(crate) struct Election {
    led: BTreeMap<(u64, NodeId), u64>,
}

impl Invariant for Election {
    fn name(&self) -> &'static str {
        "election safety"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::Leads { node, run, leader, .. } = fact else { return Ok(()) };
        let first = *self.led.entry((leader.term, leader.node_id)).or_insert(*run);
        if first != *run || leader.node_id != *node {
            return Err(format!("run {run} of node {node} leads as {leader}, as run {first} did"));
        }
        Ok(())
    }
}
