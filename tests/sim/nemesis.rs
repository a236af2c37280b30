//! What goes wrong and when: drawn by the seed, and of each run only some kinds, since faults that
//! hide each other find less (swarm testing; Groce et al., 2012).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::dice::Dice;
use crate::host::Role;
use crate::judge::Fact;
use crate::network::{HostId, Weather};
use crate::operator::Operator;
use crate::world::World;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A node's power is cut.
    Crash,
    /// The leader's.
    CrashLeader,
    /// All nodes' at once.
    CrashAll,
    /// A sensor's.
    CrashSensor,
    /// A sensor's, between two writes of its spool.
    Fuse,
    /// Two nodes, or a node and a sensor, do not reach each other.
    Cut,
    /// Only one way.
    CutOneWay,
    /// A node reaches nobody, or nobody reaches it, or both.
    Isolate,
    /// The same with the leader.
    IsolateLeader,
    /// Loss, delay, reordering and copies.
    Storm,
    /// A sensor's connection breaks within a frame.
    Break,
    /// A wall clock jumps.
    Jump,
    /// A node stands still as by SIGSTOP.
    Freeze,
    /// The leader hands over.
    HandOver,
    /// A member's disk is lost for good: another node takes its place under a new id.
    LoseDisk,
    /// A node more becomes a voter, or one of more than three goes.
    Resize,
    /// A node that was removed comes back with its old disk.
    Return,
}

const KINDS: [Kind; 17] = [
    Kind::Crash,
    Kind::CrashLeader,
    Kind::CrashAll,
    Kind::CrashSensor,
    Kind::Fuse,
    Kind::Cut,
    Kind::CutOneWay,
    Kind::Isolate,
    Kind::IsolateLeader,
    Kind::Storm,
    Kind::Break,
    Kind::Jump,
    Kind::Freeze,
    Kind::HandOver,
    Kind::LoseDisk,
    Kind::Resize,
    Kind::Return,
];

impl Kind {
    /// Its name in the counts.
    fn name(self) -> &'static str {
        match self {
            Self::Crash => "node crashes",
            Self::CrashLeader => "leader crashes",
            Self::CrashAll => "crashes of all nodes",
            Self::CrashSensor => "sensor crashes",
            Self::Fuse => "fuses",
            Self::Cut => "cuts both ways",
            Self::CutOneWay => "cuts one way",
            Self::Isolate => "nodes isolated",
            Self::IsolateLeader => "leaders isolated",
            Self::Storm => "storms",
            Self::Break => "links broken",
            Self::Jump => "clock jumps",
            Self::Freeze => "nodes frozen",
            Self::HandOver => "hand-overs",
            Self::LoseDisk => "disks lost",
            Self::Resize => "resizes",
            Self::Return => "returns of removed nodes",
        }
    }
}

/// What is said where a fault finds nothing to strike.
pub(crate) const NOTHING: &str = "nothing to do";

/// Wall clocks jump by a minute, an hour, a year, or to 1970 and before, in seconds.
const JUMPS: [i64; 8] = [60, -60, 3_600, -3_600, 31_536_000, -31_536_000, -1_767_225_600, 5];

/// What is to be undone, and when.
enum Undo {
    Start(HostId),
    Mend(Vec<(HostId, HostId)>),
    Calm,
}

pub(crate) struct Nemesis {
    dice: Dice,
    kinds: Vec<Kind>,
    next: Duration,
    over: Duration,
    /// Milliseconds between two faults.
    gap: u64,
    undo: BTreeMap<(Duration, u64), Undo>,
    undone: u64,
    done: Vec<String>,
    operator: Operator,
}

impl Nemesis {
    pub(crate) fn new(mut dice: Dice, from: Duration, span: Duration) -> Self {
        let mut kinds = KINDS.to_vec();
        dice.shuffle(&mut kinds);
        kinds.truncate(dice.between(1..7) as usize);
        let gap = dice.pick(&[300, 1_000, 3_000]);
        let (undo, done) = (BTreeMap::new(), vec![format!("{kinds:?} every {gap} ms")]);
        let operator = Operator::new(dice.fork(1));
        Self { dice, kinds, next: from, over: from + span, gap, undo, undone: 0, done, operator }
    }

    /// The faults so far, in words.
    pub(crate) fn schedule(&self) -> Vec<String> {
        self.done.clone()
    }

    /// Does what is due.
    pub(crate) fn act(&mut self, world: &mut World) {
        while let Some(((due, _), _)) = self.undo.first_key_value()
            && *due <= world.now
            && let Some((_, undo)) = self.undo.pop_first()
        {
            self.undo(world, undo);
        }
        self.after_fuses(world);
        self.after_exits(world);
        self.operator.work(world);
        if self.dice.chance(30) {
            let node = self.node(world);
            world.read(node);
        }
        if self.dice.chance(10) {
            let node = self.node(world);
            world.propose(node);
        }
        if world.now >= self.next && world.now < self.over {
            let kind = self.dice.pick(&self.kinds);
            let what = self.strike(world, kind);
            if what != NOTHING {
                world.judge.lock().count(kind.name());
            }
            let line = format!("{:>9.3} {kind:?} {what}", world.now.as_secs_f64());
            world.note(format_args!("nemesis {kind:?} {what}"));
            self.done.push(line);
            self.next = world.now + self.dice.millis(self.gap / 3..self.gap * 2);
        }
    }

    /// Undoes everything.
    pub(crate) fn make_peace(&mut self, world: &mut World) {
        world.note(format_args!("nemesis rests"));
        self.after_fuses(world);
        for undo in std::mem::take(&mut self.undo).into_values() {
            self.undo(world, undo);
        }
    }

    /// Goes on with what an operator had begun; whether all of it is done.
    pub(crate) fn operate(&mut self, world: &mut World) -> bool {
        self.operator.work(world);
        self.operator.is_idle()
    }

    /// A node that stopped is started again, as whatever supervises it would.
    fn after_exits(&mut self, world: &mut World) {
        for node in world.take_stopped() {
            self.later(world, 500..2_000, Undo::Start(node));
        }
    }

    fn undo(&mut self, world: &mut World, undo: Undo) {
        match undo {
            Undo::Start(host) => world.start(host),
            Undo::Mend(cuts) => {
                let mut network = world.network.lock();
                network.cuts.retain(|cut| !cuts.contains(cut));
            }
            Undo::Calm => world.network.lock().weather = Weather::FAIR,
        }
    }

    fn later(&mut self, world: &World, span: std::ops::Range<u64>, undo: Undo) {
        self.undone += 1;
        let due = world.now + self.dice.millis(span);
        self.undo.insert((due, self.undone), undo);
    }

    fn node(&mut self, world: &World) -> HostId {
        self.dice.pick(&world.nodes())
    }

    fn leader(&mut self, world: &World) -> HostId {
        world.leader().unwrap_or_else(|| self.node(world))
    }

    fn sensor(&mut self, world: &World) -> HostId {
        self.dice.pick(&world.sensors())
    }

    fn strike(&mut self, world: &mut World, kind: Kind) -> String {
        match kind {
            Kind::Crash => {
                let node = self.node(world);
                self.crash(world, node)
            }
            Kind::CrashLeader => {
                let leader = self.leader(world);
                self.crash(world, leader)
            }
            Kind::CrashAll => {
                let crashed = world.nodes().into_iter().map(|node| self.crash(world, node));
                crashed.collect::<Vec<_>>().join(" ")
            }
            Kind::CrashSensor => {
                let sensor = self.sensor(world);
                self.crash(world, sensor)
            }
            Kind::Fuse => self.fuse(world),
            Kind::Cut | Kind::CutOneWay => self.cut(world, kind == Kind::CutOneWay),
            Kind::Isolate => {
                let node = self.node(world);
                self.isolate(world, node)
            }
            Kind::IsolateLeader => {
                let leader = self.leader(world);
                self.isolate(world, leader)
            }
            Kind::Storm => self.storm(world),
            Kind::Break => self.break_link(world),
            Kind::Jump => self.jump(world),
            Kind::Freeze => self.freeze(world),
            Kind::HandOver => self.hand_over(world),
            Kind::LoseDisk => self.operator.lose_disk(world),
            Kind::Resize => self.operator.resize(world),
            Kind::Return => self.come_back(world),
        }
    }

    fn crash(&mut self, world: &mut World, host: HostId) -> String {
        world.crash(host);
        self.later(world, 50..4_000, Undo::Start(host));
        host.to_string()
    }

    fn fuse(&mut self, world: &mut World) -> String {
        let sensor = self.sensor(world);
        let writes = self.dice.between(0..40);
        if let Role::Sensor { disk, .. } = &world.hosts[&sensor].role {
            disk.lock().fuse = Some(writes);
        }
        format!("{sensor} after {writes} writes")
    }

    /// A sensor whose power has failed within a write goes down.
    fn after_fuses(&mut self, world: &mut World) {
        for sensor in world.sensors() {
            let Role::Sensor { disk, .. } = &world.hosts[&sensor].role else { continue };
            let dead = disk.lock().dead;
            if dead {
                world.judge.lock().count("fuses burnt");
                self.crash(world, sensor);
            }
        }
    }

    fn cut(&mut self, world: &mut World, one_way: bool) -> String {
        let one = self.node(world);
        let mut others: Vec<_> = world.hosts.keys().copied().filter(|id| *id != one).collect();
        self.dice.shuffle(&mut others);
        let mut pair = [one, others[0]];
        self.dice.shuffle(&mut pair);
        let mut cuts = vec![(pair[0], pair[1])];
        if !one_way {
            cuts.push((pair[1], pair[0]));
        }
        self.cut_all(world, cuts);
        format!("{} from {}", pair[0], pair[1])
    }

    fn isolate(&mut self, world: &mut World, node: HostId) -> String {
        let way = self.dice.below(3);
        let with_sensors = self.dice.chance(300);
        let others: Vec<_> = if with_sensors {
            world.hosts.keys().copied().filter(|id| *id != node).collect()
        } else {
            world.nodes().into_iter().filter(|id| *id != node).collect()
        };
        let out = others.iter().filter(|_| way != 0).map(|other| (node, *other));
        let back = others.iter().filter(|_| way != 1).map(|other| (*other, node));
        self.cut_all(world, out.chain(back).collect());
        format!("{node} {}", ["in", "out", "both"][way as usize])
    }

    fn cut_all(&mut self, world: &mut World, cuts: Vec<(HostId, HostId)>) {
        world.network.lock().cuts.extend(cuts.iter().copied());
        self.later(world, 200..8_000, Undo::Mend(cuts));
    }

    fn storm(&mut self, world: &mut World) -> String {
        let weather = Weather {
            loss: self.dice.pick(&[0, 10, 50, 200]),
            twice: self.dice.pick(&[0, 20, 200]),
            delay: self.dice.pick(&[0, 1, 20])..self.dice.pick(&[21, 60, 300]),
        };
        let what = format!("{weather:?}");
        world.network.lock().weather = weather;
        self.later(world, 500..6_000, Undo::Calm);
        what
    }

    fn break_link(&mut self, world: &mut World) -> String {
        let network = world.network.lock();
        let links: Vec<_> = network.links.values().map(Arc::clone).collect();
        drop(network);
        if links.is_empty() {
            return NOTHING.to_owned();
        }
        let link = &links[self.dice.below(links.len() as u64) as usize];
        let byte = self.dice.between(0..200);
        link.break_at(byte);
        format!("{:?} at byte {byte}", link.hosts)
    }

    fn jump(&mut self, world: &mut World) -> String {
        let all: Vec<_> = world.hosts.keys().copied().collect();
        let host = self.dice.pick(&all);
        let seconds = self.dice.pick(&JUMPS);
        world.hosts[&host].skew.store(seconds * 1_000, Ordering::Relaxed);
        world.judge.lock().tell(&Fact::Jumped);
        format!("{host} to {seconds} s")
    }

    fn freeze(&mut self, world: &mut World) -> String {
        let host = self.leader(world);
        let span = self.dice.millis(100..5_000);
        let thaw = world.now + span;
        if let Some(host) = world.hosts.get_mut(&host) {
            host.frozen_until = Some(thaw);
        }
        format!("{host} for {span:?}")
    }

    fn come_back(&mut self, world: &mut World) -> String {
        let gone: Vec<_> = world.retired.iter().copied().collect();
        let back: Vec<_> = gone.into_iter().filter(|id| world.hosts.contains_key(id)).collect();
        if back.is_empty() {
            return NOTHING.to_owned();
        }
        let back = self.dice.pick(&back);
        world.start(back);
        back.to_string()
    }

    fn hand_over(&mut self, world: &mut World) -> String {
        let leader = self.leader(world);
        if let Some(up) = world.up(leader) {
            let consensus = Arc::clone(&up.consensus);
            world.hosts[&leader].spawn(async move {
                consensus.transfer_leader(None).await;
            });
        }
        leader.to_string()
    }
}
