//! N8: the leader is cut off from the others, but not from sensors and readers. It may serve none of
//! them any more: no linearizable read can succeed where no other node can be asked.

use std::time::Duration;

use wardmesh_tests::breach::Invariant;
use wardmesh_tests::door::Answer;
use wardmesh_tests::ground::Need;
use wardmesh_tests::network::Cut;

use super::{Blow, Fault};

pub(super) const FAULT: Fault = Fault {
    id: "N8",
    what: "leader cut off from the others",
    needs: &[Need::Namespaces, Need::Nft],
    strike,
};

fn strike(blow: &mut Blow<'_>) -> anyhow::Result<bool> {
    let rig = blow.rig;
    let Some(leader) = rig.claim_leader() else { return Ok(false) };
    let network = rig.network()?;
    network.cut(leader.place, &rig.others(leader.place), Cut::Both)?;
    // What was on its way when the wire was cut may still arrive.
    rig.rest(Duration::from_millis(200))?;
    let path = "/api/v1/cluster?consistency=linearizable";
    let answer = rig.door(leader.place).read(path);
    network.heal(leader.place)?;
    if let Some(answer) = answer.ok().filter(Answer::is_good) {
        let what = format!("node {}, cut off, answered {}", leader.place + 1, answer.text);
        rig.breaches.note(Invariant::StaleRead, what);
    }
    rig.await_ready(leader.place)?;
    Ok(true)
}
