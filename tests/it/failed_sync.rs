//! A sync that fails, while a mesh is at work: the node says so and ends before it acknowledges
//! anything; started again it has checked its log, takes part, and nothing is lost.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::harness::ledger::Ledger;
use crate::harness::{NODES, World, drained, judge, scenario, wait_until};
use crate::strace::allowed;

/// What a node whose disk failed ends with.
const EXIT_IO: i32 = 74;

/// Lets every sync of a running process fail from now on; gone once it has ended.
fn fail_syncs(pid: u32, error: &str) -> Child {
    let inject = format!("inject=fdatasync:error={error}:when=1+");
    let options = ["-f", "-qq", "-e", "trace=fdatasync", "-e", "signal=none", "-e", &inject];
    let mut strace = Command::new("strace");
    strace.args(options).args(["-p", &pid.to_string(), "-o", "/dev/null"]);
    strace.stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_node_whose_sync_fails_ends_and_comes_back_whole() {
    if !allowed("failed_sync::a_node_whose_sync_fails_ends_and_comes_back_whole") {
        return;
    }
    let mut world = World::found();
    let site = world.site(&scenario("a", 40, 8, 2));
    let sensor = world.replay(&site, "20x");
    let acked = |site: &crate::harness::Site| Ledger::read(&site.files.ledger).acked.len();
    for (leads, error, said) in [
        (false, "EIO", "Input/output error"),
        (true, "EIO", "Input/output error"),
        (false, "ENOSPC", "No space left on device"),
    ] {
        let leader = world.leader();
        let node = if leads { leader } else { (leader + 1) % NODES };
        let before = acked(&site);
        wait_until("batches are acknowledged", || acked(&site) > before);
        let child = world.mesh.nodes()[node].child().unwrap();
        let (pid, log) = (child.id(), child.log().to_owned());
        let length = std::fs::read_to_string(&log).unwrap().len();
        let mut strace = fail_syncs(pid, error);
        let mut code = None;
        wait_until("the node ends", || {
            code = world.mesh.node_exit_code(node).unwrap();
            code.is_some()
        });
        strace.wait().unwrap();
        assert_eq!(code, Some(EXIT_IO), "{error}");
        let text = std::fs::read_to_string(&log).unwrap();
        let last = text[length..].lines().last().unwrap().to_owned();
        assert!(last.contains("the node cannot go on and ends"), "{last}");
        assert!(last.contains("Raft log") && last.contains(said), "{last}");

        let before = acked(&site);
        wait_until("the others go on", || acked(&site) > before);
        world.start(node);
        std::thread::sleep(Duration::from_millis(200));
        let text = std::fs::read_to_string(&log).unwrap();
        let since = &text[text.rfind("the node cannot go on and ends").unwrap()..];
        assert!(since.contains("every record of the Raft log was read and is whole"), "{since}");
    }
    drop(drained(sensor));
    judge::exactly_once(&world, &[site]);
}
