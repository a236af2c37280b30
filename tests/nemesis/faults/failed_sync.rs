//! N16: the disk fails to sync. The node ends at once, with its own exit code, having acknowledged
//! nothing more; started again it verifies its log and rejoins.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use wardmesh_tests::breach::Invariant;
use wardmesh_tests::ground::Need;

use super::{Blow, Fault};

pub(super) const FAULT: Fault =
    Fault { id: "N16", what: "fsync fails with EIO", needs: &[Need::Strace], strike };

/// What a node ends with when its disk fails: `EX_IOERR` of sysexits.h.
const EXIT_IO: i32 = 74;

/// How long it may take to notice: it syncs many times a second.
const NOTICED_WITHIN: Duration = Duration::from_secs(10);

fn strike(blow: &mut Blow<'_>) -> anyhow::Result<bool> {
    let rig = blow.rig;
    let claim = if blow.turn.is_multiple_of(2) {
        rig.claim_follower(blow.turn)
    } else {
        rig.claim_leader()
    };
    let Some(node) = claim else { return Ok(false) };
    let pid = rig.pid(node.place).context("the node does not run")?.to_string();
    rig.expect_end(node.place);
    let mut strace = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync"])
        .args(["-e", "inject=fsync,fdatasync:error=EIO", "-p", &pid])
        .stderr(Stdio::null())
        .spawn()?;
    let mut end = None;
    let noticed = rig.until("a node that cannot sync ends", NOTICED_WITHIN, || {
        end = rig.ended(node.place).ok().flatten();
        end.is_some()
    });
    // It ends with the process that it is attached to.
    let _ = strace.kill();
    strace.wait()?;
    match end.map(|status| (status.code(), status)) {
        Some((Some(EXIT_IO), _)) => {}
        Some((_, status)) => {
            let what = format!("node {} could not sync and ended with {status}", node.place + 1);
            rig.breaches.note(Invariant::Ended, what);
        }
        None => {
            rig.kill(node.place)?;
            noticed?;
        }
    }
    rig.restart(node.place)?;
    Ok(true)
}
