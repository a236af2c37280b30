//! Who looks after the cluster: puts a new node in a lost one's place, adds some and removes some, and
//! asks again until it is done.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use wardmesh_aggregator::raft::rpc::{Change, ChangeError, Changed, Role};

use crate::dice::Dice;
use crate::nemesis::NOTHING;
use crate::network::HostId;
use crate::node;
use crate::world::{NODES, World};

/// Between two attempts.
const AGAIN: Duration = Duration::from_secs(1);

/// The most nodes that there ever are.
const MOST: u64 = 5;

type Outcome = Arc<Mutex<Option<Result<Changed, ChangeError>>>>;

/// A change that is to be made.
struct Task {
    change: Change,
    /// Who is out once it is done.
    leaves: Option<HostId>,
    asked: Option<(Outcome, Duration)>,
}

pub(crate) struct Operator {
    dice: Dice,
    /// One thing after the other.
    task: Option<Task>,
    next: HostId,
}

impl Operator {
    pub(crate) fn new(dice: Dice) -> Self {
        Self { dice, task: None, next: NODES + 1 }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.task.is_none()
    }

    fn begin(&mut self, change: Change, leaves: Option<HostId>) -> String {
        let what = format!("{change:?}");
        self.task = Some(Task { change, leaves, asked: None });
        what
    }

    /// Racks up a node more; its Raft address.
    fn fresh(&mut self, world: &mut World) -> String {
        let id = self.next;
        self.next += 1;
        world.add_node(id);
        world.start(id);
        world.retired.insert(id);
        node::member(id).raft_address
    }

    pub(crate) fn lose_disk(&mut self, world: &mut World) -> String {
        if self.task.is_some() || self.next > node::IDS {
            return NOTHING.to_owned();
        }
        let lost = self.dice.pick(&world.nodes());
        world.crash(lost);
        world.scrap(lost);
        let address = self.fresh(world);
        self.begin(Change::Replace { node: lost, address }, Some(lost))
    }

    pub(crate) fn resize(&mut self, world: &mut World) -> String {
        let members = world.nodes();
        if self.task.is_some() || self.next > node::IDS {
            return NOTHING.to_owned();
        }
        let grow = members.len() as u64 == NODES
            || ((members.len() as u64) < MOST && self.dice.chance(500));
        if grow {
            let address = self.fresh(world);
            return self.begin(Change::Add { address, voter: true }, None);
        }
        let leaves = self.dice.pick(&members);
        world.leaving = Some(leaves);
        self.begin(Change::Remove { node: leaves, force: false }, Some(leaves))
    }

    /// Looks what has come of it, and asks again.
    pub(crate) fn work(&mut self, world: &mut World) {
        let Some(task) = &mut self.task else { return };
        if let Some((outcome, since)) = &task.asked {
            let outcome = outcome.lock().take();
            let waits = world.now < *since + Duration::from_secs(40);
            match outcome {
                None if waits => return,
                Some(Ok(Changed { role: Role::Voter | Role::Gone, .. }))
                | Some(Err(ChangeError::AlreadyMember { .. })) => return self.done(world),
                // The old one is out already: what is left is to give the new one its vote.
                Some(Err(ChangeError::NoSuchMember { .. })) => {
                    if let Change::Replace { address, .. } = &task.change {
                        let address = address.clone();
                        task.change = Change::Add { address, voter: true };
                    }
                }
                other => world.note(format_args!("operator {:?}: {other:?}", task.change)),
            }
            if world.now < *since + AGAIN {
                task.asked = Some((Arc::default(), *since));
                return;
            }
        }
        let members = world.nodes();
        let on = self.dice.pick(&members);
        let Some(up) = world.up(on) else { return };
        let (consensus, change) = (Arc::clone(&up.consensus), task.change.clone());
        let outcome = Outcome::default();
        task.asked = Some((Arc::clone(&outcome), world.now));
        world.hosts[&on].spawn(async move {
            let changed = consensus.change(change).await;
            *outcome.lock() = Some(changed);
        });
    }

    fn done(&mut self, world: &mut World) {
        let Some(task) = self.task.take() else { return };
        world.note(format_args!("operator {:?}: done", task.change));
        world.judge.lock().count("changes");
        if let Change::Replace { address, .. } | Change::Add { address, .. } = &task.change {
            let new = address.split([':', '-']).nth(1).and_then(|id| id.parse().ok());
            world.retired.remove(&new.expect("an address of the simulation"));
        }
        world.leaving = None;
        world.retired.extend(task.leaves);
    }
}
