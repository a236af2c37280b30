//! Time passes: a few milliseconds on every host, then what can be seen is put before the judge.

use std::sync::Arc;

use wardmesh_aggregator::raft::consensus::Consistency;
use wardmesh_aggregator::raft::types::LeaderId;

use super::World;
use crate::host::Role;
use crate::judge::Fact;
use crate::network::{HostId, SENSORS_FROM};
use crate::node::Up;
use crate::plant::Plant;

impl World {
    /// Lets a few milliseconds pass on every host, in any order.
    pub(crate) fn step(&mut self) {
        let step = self.dice.millis(1..9);
        self.judge.lock().now = self.now;
        self.network.lock().deliver(self.now);
        self.now += step;
        let mut order: Vec<_> = self.hosts.keys().copied().collect();
        self.dice.shuffle(&mut order);
        for id in order {
            if let Some(host) = self.hosts.get_mut(&id) {
                host.run_until(self.now);
            }
        }
        self.judge.lock().now = self.now;
        self.watch_leaders();
        self.watch_exits();
        let mut network = self.network.lock();
        let links: Vec<_> =
            network.links.iter().map(|(at, link)| (*at, Arc::clone(link))).collect();
        for (at, link) in links {
            if !link.look(&mut network, self.now) {
                network.links.remove(&at);
            }
        }
    }

    /// The members that have stopped since this was last asked.
    pub(crate) fn take_stopped(&mut self) -> Vec<HostId> {
        std::mem::take(&mut self.stopped)
    }

    /// A node that has stopped by itself is down.
    fn watch_exits(&mut self) {
        let all: Vec<_> = self.hosts.range(..SENSORS_FROM).map(|(id, _)| *id).collect();
        for node in all {
            let Some(why) = self.up(node).and_then(|up| up.stopped.get().cloned()) else {
                continue;
            };
            let retired = self.retired.contains(&node) || self.leaving == Some(node);
            self.judge.lock().tell(&Fact::Stopped { node, why: &why, retired });
            self.judge.lock().count("stopped");
            self.crash(node);
            if !retired {
                self.stopped.push(node);
            }
        }
        let tasks = crate::panics() - self.panics;
        if tasks > 0 {
            self.judge.lock().tell(&Fact::Panicked { tasks });
        }
    }

    fn watch_leaders(&mut self) {
        for id in self.nodes() {
            let Some(up) = self.up(id) else { continue };
            let status = up.consensus.status();
            let seen = (self.hosts[&id].run, status.term);
            if status.leader.is_none_or(|(leader, _)| leader != id)
                || self.leading.insert(id, seen) == Some(seen)
            {
                continue;
            }
            let Role::Node { log, .. } = &self.hosts[&id].role else { continue };
            let leader = LeaderId { term: seen.1, node_id: id };
            let alerts = self.up(id).map(Up::alerts).unwrap_or_default();
            let mut judge = self.judge.lock();
            judge.tell(&Fact::Findings { node: id, alerts: &alerts });
            judge.count("leaders");
            judge.note(format_args!("leader {leader}"));
            let log = log.lock();
            judge.tell(&Fact::Leads { node: id, run: seen.0, leader, log: &log.current });
        }
    }

    /// Asks a node for a linearizable read.
    pub(crate) fn read(&mut self, id: HostId) {
        let Some(up) = self.up(id) else { return };
        let (consensus, judge) = (Arc::clone(&up.consensus), Arc::clone(&self.judge));
        let stale = self.plan.plant == Some(Plant::StaleReads);
        let read = self.reads;
        self.reads += 1;
        self.hosts[&id].spawn(async move {
            judge.lock().tell(&Fact::ReadBegan { read });
            let how = if stale { Consistency::Local } else { Consistency::Linearizable };
            let Ok(index) = consensus.read_index(how).await else { return };
            let mut judge = judge.lock();
            judge.count("reads");
            judge.note(format_args!("read {read} on {id}: {index}"));
            judge.tell(&Fact::ReadEnded { read, node: id, index });
        });
    }
}
