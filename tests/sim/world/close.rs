//! The end of a run: peace, the time to settle, and what is said of it all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use super::{Outcome, SETTLE, World};
use crate::host::Role;
use crate::judge::{Ending, Fact};
use crate::nemesis::Nemesis;
use crate::network::Weather;
use crate::sensor;

impl World {
    /// Without faults: everything starts and settles, or it does not.
    pub(super) fn settle(&mut self, nemesis: &mut Nemesis) {
        self.network.lock().weather = Weather::FAIR;
        self.network.lock().cuts.clear();
        let all = [self.nodes(), self.sensors()].concat();
        all.into_iter().for_each(|id| self.start(id));
        let quiet = self.now + sensor::LINGER;
        for host in self.hosts.values_mut() {
            host.frozen_until = host.frozen_until.map(|_| self.now);
            if let Role::Sensor { tap, disk } = &host.role {
                tap.busy.store(false, Ordering::Relaxed);
                disk.lock().fuse = None;
            }
        }
        let deadline = self.now + SETTLE;
        loop {
            self.step();
            let changed = nemesis.operate(self);
            let ending = Ending { changing: !changed, ..self.ending() };
            let settled = changed
                && ending.held == 0
                && !self.has_frames_in_hand()
                && ending.leaders.len() == 1
                && !ending.leaders.contains(&None)
                && ending.missing == 0
                && ending.nodes.values().collect::<Vec<_>>().windows(2).all(|w| w[0] == w[1]);
            if !self.is_sound() {
                return;
            }
            if (settled && self.now > quiet) || self.now > deadline {
                let mut judge = self.judge.lock();
                judge.add(
                    "findings",
                    ending.alerts.values().map(Vec::len).max().unwrap_or(0) as u64,
                );
                judge.tell(&Fact::Ended(&ending));
                return;
            }
        }
    }

    /// Whether a sensor has seen what is in no batch yet.
    fn has_frames_in_hand(&self) -> bool {
        self.hosts.values().any(|host| match &host.role {
            Role::Sensor { tap, .. } => tap.in_hand.load(Ordering::Relaxed),
            Role::Node { .. } => false,
        })
    }

    fn ending(&self) -> Ending {
        let up = self.nodes().into_iter().filter_map(|id| Some((id, self.up(id)?)));
        let (mut nodes, mut alerts) = (BTreeMap::new(), BTreeMap::new());
        let (mut leaders, mut voters) = (BTreeSet::new(), BTreeSet::new());
        for (id, up) in up {
            let state = up.replica.state();
            nodes.insert(id, (state.applied(), state.digest()));
            alerts.insert(id, up.alerts());
            let status = up.consensus.status();
            leaders.insert(status.leader.map(|(id, _)| id));
            voters.insert(status.voters);
        }
        let held = self.hosts.values().map(|host| match &host.role {
            Role::Sensor { disk, .. } => {
                disk.lock().spool.current.get("batches").map_or(0, BTreeMap::len)
            }
            Role::Node { .. } => 0,
        });
        let missing = self.nodes().len() - nodes.len();
        Ending { nodes, alerts, voters, leaders, held: held.sum(), missing, changing: false }
    }

    pub(super) fn outcome(mut self, schedule: Vec<String>) -> Outcome {
        let all: Vec<_> = self.hosts.keys().copied().collect();
        for id in all {
            if let Some(host) = self.hosts.get_mut(&id) {
                host.crash();
            }
        }
        let mut judge = self.judge.lock();
        let mut trace = self.trace.lock();
        let network = self.network.lock();
        for (what, count) in &network.counts {
            judge.add(what, *count);
        }
        let delivered = network.delivered;
        trace.note(self.now, format_args!("end {delivered} {:?}", judge.counts));
        Outcome {
            seed: self.plan.seed,
            hash: trace.hash(),
            lines: trace.count(),
            faults: std::mem::take(&mut judge.faults),
            schedule,
            last: trace.last(),
            counts: std::mem::take(&mut judge.counts),
        }
    }
}
