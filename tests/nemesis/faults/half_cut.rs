//! N9: wires that are cut in part: one way, between two nodes of three, or on and off every second.

use std::time::Duration;

use wardmesh_tests::ground::Need;
use wardmesh_tests::network::Cut;

use super::{Blow, Fault};

pub(super) const FAULT: Fault = Fault {
    id: "N9",
    what: "one-way, bridge and flapping cuts",
    needs: &[Need::Namespaces, Need::Nft],
    strike,
};

/// Cuts of a flapping wire.
const FLAPS: usize = 3;

fn strike(blow: &mut Blow<'_>) -> anyhow::Result<bool> {
    let rig = blow.rig;
    let Some(leader) = rig.claim_leader() else { return Ok(false) };
    let (network, node) = (rig.network()?, leader.place);
    let others = rig.others(node);
    let span = blow.span(3_000, 6_000);
    match blow.turn % 4 {
        0 => network.cut(node, &others, Cut::In)?,
        1 => network.cut(node, &others, Cut::Out)?,
        2 => network.cut(node, &others[..1], Cut::Both)?,
        _ => {
            for _ in 0..FLAPS {
                network.cut(node, &others, Cut::Both)?;
                rig.rest(Duration::from_secs(1))?;
                network.heal(node)?;
                rig.rest(Duration::from_secs(1))?;
            }
        }
    }
    let rested = if blow.turn % 4 < 3 { rig.rest(span) } else { Ok(()) };
    network.heal(node)?;
    rested?;
    rig.await_ready(node)?;
    Ok(true)
}
