//! Nodes that left the cluster: their ids are never used again.
//!
//! A node that lost its disk may have voted, and one that comes back with an old disk may believe
//! that it still does; whoever left is therefore remembered for ever, with the entry that put it out.

use wardmesh_common::id::NodeId;
use wardmesh_common::time::Timestamp;

use super::State;
use super::record::record;
use super::table::Entity;

/// A node that left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetiredNode {
    /// Its id.
    pub id: NodeId,
    /// The leader's time of the last command before it left; right to a second.
    pub at: Timestamp,
    /// The log index of the membership without it.
    pub index: u64,
}

record!(RetiredNode { id, at, index });

impl Entity for RetiredNode {
    type Key = NodeId;
    const KIND: u8 = 6;

    fn key(&self) -> NodeId {
        self.id
    }
}

impl State {
    /// Passes over a membership: whoever it leaves out is retired.
    pub fn reconfigure(&mut self, index: u64, gone: &[NodeId]) {
        let at = self.core.at;
        for id in gone.iter().copied().filter(|id| self.retired(*id).is_none()).collect::<Vec<_>>()
        {
            self.retired.insert(RetiredNode { id, at, index });
        }
        self.settle(index);
    }

    /// The node with this id, if it left the cluster.
    #[must_use]
    pub fn retired(&self, id: NodeId) -> Option<&RetiredNode> {
        self.retired.get(&id)
    }

    /// All nodes that left, in the order of their ids.
    pub fn retired_nodes(&self) -> impl Iterator<Item = &RetiredNode> {
        self.retired.keys().filter_map(|id| self.retired.get(id))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::testkit::{Fleet, at};
    use super::*;

    #[test]
    fn who_left_is_remembered_in_digest_and_snapshot() {
        let mut fleet = Fleet::at(&["east"]);
        let (before, index) = (fleet.state.digest().value, fleet.state.applied() + 1);
        fleet.state.reconfigure(index, &[]);
        assert_eq!(fleet.state.digest().value, before, "nobody left");
        fleet.state.reconfigure(index + 1, &[2, 3]);
        let after = fleet.state.digest();
        assert_ne!(after.value, before);
        fleet.state.reconfigure(index + 2, &[2]);
        assert_eq!(fleet.state.digest().value, after.value, "once is for ever");
        let known = RetiredNode { id: 2, at: at(86_400), index: index + 1 };
        assert_eq!((fleet.state.retired(2), fleet.state.retired(1)), (Some(&known), None));
        let mut bytes = Vec::new();
        fleet.state.write(&mut bytes).unwrap();
        let copy = State::read(&mut bytes.as_slice()).unwrap();
        assert!(copy.retired_nodes().eq(fleet.state.retired_nodes()));
        assert_eq!(copy.retired_nodes().map(|node| node.id).collect::<Vec<_>>(), [2, 3]);
    }
}
