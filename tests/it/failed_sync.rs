//! A sync that fails, while a mesh is at work: the node says so and ends before it acknowledges
//! anything; started again it has checked its log, takes part, and nothing is lost.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::harness::ledger::Ledger;
use crate::harness::{NODES, World, drained, judge, scenario, wait_until};
use crate::strace::allowed;

/// What a node whose disk failed ends with.
const EXIT_IO: i32 = 74;

/// Lets every call of this name fail in a running process from now on; gone once it has ended.
fn fail(call: &str, error: &str, pid: u32) -> Child {
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:error={error}:when=1+"));
    let options = ["-f", "-qq", "-e", &trace, "-e", "signal=none", "-e", &inject];
    let mut strace = Command::new("strace");
    strace.args(options).args(["-p", &pid.to_string(), "-o", "/dev/null"]);
    strace.stderr(Stdio::null()).spawn().unwrap()
}

/// Lets a node's calls fail; what it says last.
#[track_caller]
fn last_words(world: &mut World, node: usize, call: &str, error: &str) -> String {
    let child = world.mesh.nodes()[node].child().unwrap();
    let (pid, log) = (child.id(), child.log().to_owned());
    let length = std::fs::read_to_string(&log).unwrap().len();
    let mut strace = fail(call, error, pid);
    let mut code = None;
    wait_until("the node ends", || {
        let end = world.mesh.node_end(node).unwrap();
        code = end.and_then(|end| end.code());
        end.is_some()
    });
    strace.wait().unwrap();
    assert_eq!(code, Some(EXIT_IO), "{call} {error}");
    let text = std::fs::read_to_string(&log).unwrap();
    let last = text[length..].lines().last().unwrap().to_owned();
    assert!(last.contains("the node cannot go on and ends"), "{last}");
    last
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
        let log = world.mesh.nodes()[node].child().unwrap().log().to_owned();
        let last = last_words(&mut world, node, "fdatasync", error);
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

#[test]
fn snapshots_and_archive_end_the_process_as_well() {
    if !allowed("failed_sync::snapshots_and_archive_end_the_process_as_well") {
        return;
    }
    let mut world = World::found_with_snapshots_every(Some(12));
    let site = world.site(&scenario("a", 40, 4, 2));
    let sensor = world.replay(&site, "20x");
    let node = (world.leader() + 1) % NODES;
    let last = last_words(&mut world, node, "fsync", "EIO");
    assert!(last.contains("snapshot") || last.contains("cannot sync"), "{last}");
    assert!(last.contains("Input/output error") && last.contains("/node-"), "{last}");
    world.start(node);
    drop(drained(sensor));
    judge::exactly_once(&world, &[site]);
}

#[test]
fn a_sensor_whose_sync_fails_promises_nothing_more_and_comes_back() {
    if !allowed("failed_sync::a_sensor_whose_sync_fails_promises_nothing_more") {
        return;
    }
    let world = World::found();
    let site = world.site(&scenario("a", 40, 4, 2));
    for error in ["EIO", "ENOSPC"] {
        let mut sensor = world.replay(&site, "20x");
        let promised = || Ledger::read(&site.files.ledger).promised.len();
        let before = promised();
        wait_until("batches are promised", || promised() > before);
        let mut strace = fail("fdatasync", error, sensor.id());
        wait_until("the sensor ends", || !sensor.is_running().unwrap());
        strace.wait().unwrap();
        let code = sensor.end().unwrap().and_then(|end| end.code());
        assert_eq!(code, Some(EXIT_IO), "{error}");
        let log = std::fs::read_to_string(sensor.log()).unwrap();
        assert!(log.contains("the spool has failed: nothing more is emitted"), "{log}");
    }
    drop(drained(world.replay(&site, "max")));
    judge::exactly_once(&world, &[site]);
}
