//! Who has commands carried out, on any node, and believes what it is told.

use std::sync::Arc;

use wardmesh_aggregator::raft::proposer::Unavailable;
use wardmesh_aggregator::state::command::{Action, DefineSite};
use wardmesh_common::id::TenantId;

use crate::judge::{Answer, Fact};
use crate::network::HostId;
use crate::plant::Plant;
use crate::world::World;

/// What the sites that a client defines begin with; their number follows.
const SITE: &str = "client-";

/// The command of a number: each defines a site of its own.
fn command(number: u64) -> Action {
    let site = format!("{SITE}{number}").parse().expect("a site");
    Action::DefineSite(DefineSite {
        tenant: TenantId::default_tenant(),
        site,
        title: String::new(),
    })
}

/// The number of a client's command.
pub(crate) fn number(action: &Action) -> Option<u64> {
    let Action::DefineSite(define) = action else { return None };
    define.site.to_string().strip_prefix(SITE)?.parse().ok()
}

impl World {
    /// Proposes a command on a node and notes what is said of it.
    pub(crate) fn propose(&mut self, on: HostId) {
        let Some(up) = self.up(on) else { return };
        let (consensus, judge) = (Arc::clone(&up.consensus), Arc::clone(&self.judge));
        let false_success = self.plan.plant == Some(Plant::FalseSuccess);
        let number = self.proposals;
        self.proposals += 1;
        self.hosts[&on].spawn(async move {
            let answer = match consensus.propose(command(number)).await {
                Ok((_, index)) => Answer::Done(index),
                Err(_) if false_success => Answer::Done(0),
                Err(Unavailable::Unknown(_) | Unavailable::Stopped(_)) => Answer::Unknown,
                Err(_) => Answer::Refused,
            };
            let mut judge = judge.lock();
            judge.count(match answer {
                Answer::Done(_) => "commands done",
                Answer::Refused => "commands refused",
                Answer::Unknown => "commands unknown",
            });
            judge.note(format_args!("command {number} on {on}: {answer:?}"));
            judge.tell(&Fact::Answered { number, answer });
        });
    }
}
