//! What strace sees of a running mesh: before each acknowledgement its batch was synced on two nodes;
//! before each promise the spool was synced; new files last with their folders.
//!
//! The proof is in the calls alone: the bytes of a batch's header are looked for in what was written,
//! and the ledger's lines are those that the sensor wrote. It must be able to fail: the checker is tried
//! on made-up listings, and on the real ones without the syncs of two nodes.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::trace::{self, Call, Micros};
use crate::harness::{NODES, PROGRAM, World, drained, judge, left_out, scenario, wait_until};

/// The calls that are listed, and how: bytes as hexadecimal, up to more than one write has of them.
const OPTIONS: &str = "-D -f --seccomp-bpf -qq -ttt -T -y -xx -s 2000000 -e signal=none -e \
    trace=fsync,fdatasync,openat,rename,renameat,renameat2,write,writev,pwrite64,pwritev";

/// Entries between two snapshots: some are made and kept in an archive meanwhile.
const SNAPSHOT_ENTRIES: u64 = 15;

/// Nodes on which a batch must have been synced.
const MAJORITY: usize = 2;

/// A batch's place: lane, epoch, sequence number.
type Place = (u8, u64, u64);

/// Whether processes may be traced here.
#[track_caller]
pub(crate) fn allowed(test: &str) -> bool {
    let options = ["-D", "-f", "--seccomp-bpf", "-qq", "-e", "trace=fsync", "true"];
    let tried = Command::new("strace").args(options).output();
    let allowed = tried.is_ok_and(|output| output.status.success());
    if !allowed {
        left_out(test, "strace is not installed, or may not trace here");
    }
    allowed
}

/// A program that plays every role under strace, which writes `trace.PID` into the folder.
fn traced(folder: &Path) -> PathBuf {
    let path = folder.join("traced");
    let at = folder.display();
    let script =
        format!("#!/bin/sh\nexec strace {OPTIONS} -o '{at}'/trace.$$ '{PROGRAM}' \"$@\"\n");
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A listing, once the process that it is of has ended and strace has written the last of it.
fn listing(folder: &Path, pid: u32) -> Vec<Call> {
    let path = folder.join(format!("trace.{pid}"));
    let mut length = u64::MAX;
    wait_until("strace has written all", || {
        std::thread::sleep(std::time::Duration::from_millis(200));
        let before = std::mem::replace(&mut length, std::fs::metadata(&path).unwrap().len());
        before == length
    });
    trace::read(&std::fs::read_to_string(path).unwrap())
}

/// Places of the batches whose headers lie in what was written (`common/src/wire/frame.rs`).
fn batches(bytes: &[u8]) -> impl Iterator<Item = Place> {
    let starts = bytes.windows(64).filter(|header| header.starts_with(b"WMSH"));
    starts.filter(|header| header[4..6] == [1, 0]).map(|header| {
        let number = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().unwrap());
        (header[10], number(24), number(32))
    })
}

/// What the checks need of a process: when which batch was written into which of its files.
struct Process {
    calls: Vec<Call>,
    written: BTreeMap<Place, Vec<(PathBuf, Micros)>>,
}

impl Process {
    /// `files`: those in which batches are looked for.
    fn of(calls: Vec<Call>, files: impl Fn(&Path) -> bool) -> Self {
        let mut written: BTreeMap<Place, Vec<(PathBuf, Micros)>> = BTreeMap::new();
        for call in calls.iter().filter(|call| call.is_write() && files(&call.path)) {
            for place in batches(&call.bytes) {
                written.entry(place).or_default().push((call.path.clone(), call.end));
            }
        }
        Self { calls, written }
    }

    fn node(calls: Vec<Call>) -> Self {
        Self::of(calls, |path| path.extension().is_some_and(|extension| extension == "wal"))
    }

    fn sensor(calls: Vec<Call>) -> Self {
        Self::of(calls, |path| path.ends_with("spool/db"))
    }

    /// Whether a file was synced, wholly between two moments.
    fn synced(&self, path: &Path, from: Micros, until: Micros) -> bool {
        self.calls
            .iter()
            .any(|call| call.is_sync_of(path) && from <= call.begin && call.end <= until)
    }

    /// Whether a batch was written and then synced, all before a moment.
    fn has_safely(&self, place: &Place, until: Micros) -> bool {
        let written = self.written.get(place).into_iter().flatten();
        written.into_iter().any(|(path, end)| self.synced(path, *end, until))
    }

    /// The ledger's lines: when each was written, what it calls which batch.
    fn ledger(&self) -> Vec<(Micros, String, Place)> {
        let is_ledger = |call: &&Call| call.is_write() && call.path.ends_with("ledger.ndjson");
        let lines = self.calls.iter().filter(is_ledger).flat_map(|call| {
            let text = String::from_utf8_lossy(&call.bytes).into_owned();
            text.lines().map(|line| (call.begin, line.to_owned())).collect::<Vec<_>>()
        });
        let read = lines.map(|(at, line)| {
            let line: Value = serde_json::from_str(&line).unwrap();
            let lane = u8::from(line["lane"] == "bulk");
            let epoch = u64::from_str_radix(line["epoch"].as_str().unwrap(), 16).unwrap();
            let place = (lane, epoch, line["seq"].as_u64().unwrap());
            (at, line["state"].as_str().unwrap().to_owned(), place)
        });
        read.collect()
    }
}

/// What is wrong with what was acknowledged and promised.
fn faults(nodes: &[Process], sensor: &Process) -> Vec<String> {
    let mut faults = Vec::new();
    for (at, state, place) in sensor.ledger() {
        let on = nodes.iter().filter(|node| node.has_safely(&place, at)).count();
        match state.as_str() {
            "acked" if on < MAJORITY => {
                faults.push(format!("{place:?} was acknowledged, synced on {on} nodes"));
            }
            "emitted" if !sensor.has_safely(&place, at) => {
                faults.push(format!("{place:?} was promised before the spool was synced"));
            }
            _ => {}
        }
    }
    faults
}

/// Files that must last, and do not: a name that was given without a sync of the folder after it, or
/// before a sync of the file.
fn unlasting(process: &Process) -> Vec<String> {
    let mut faults = Vec::new();
    for call in process.calls.iter().filter(|call| call.result >= 0) {
        let is = |path: &Path, name: &str| path.extension().is_some_and(|found| found == name);
        let (path, synced_first) = match &call.to {
            Some(to) => (to, process.synced(&call.path, 0, call.begin)),
            None if call.creates && is(&call.path, "wal") => (&call.path, true),
            None => continue,
        };
        let lasts = ["wal", "snapshot", "wmar"].iter().any(|name| is(path, name))
            || path.ends_with("node-id");
        if !lasts {
            continue;
        }
        if !synced_first {
            faults.push(format!("{} got its name before it was synced", path.display()));
        }
        // A log file's own first sync must come after its folder's.
        let first = process.calls.iter().find(|sync| call.to.is_none() && sync.is_sync_of(path));
        let until = first.map_or(Micros::MAX, |first| first.begin);
        if !process.synced(path.parent().unwrap(), call.end, until) {
            faults.push(format!("{} has its name without a sync of its folder", path.display()));
        }
    }
    faults
}

#[test]
fn what_is_acknowledged_was_synced_on_two_nodes_and_promises_were_synced_before() {
    if !allowed("strace::what_is_acknowledged_was_synced_on_two_nodes") {
        return;
    }
    let mut world = World::found_with(traced, |_, config| {
        let entries = toml::Value::Integer(SNAPSHOT_ENTRIES.cast_signed());
        config["retention"]["snapshot_entries"] = entries;
    });
    let site = world.site(&scenario("a", 40, 5, 2));
    let sensor = world.replay(&site, "60x");
    let sensor_pid = sensor.id();
    drop(drained(sensor));
    wait_until("something is archived", || {
        let archived = std::fs::read_dir(world.data(0, "store/archive")).unwrap();
        archived.flatten().any(|file| file.path().extension().is_some_and(|name| name == "wmar"))
    });
    judge::exactly_once(&world, &[site]);
    let pids: Vec<u32> = world.mesh.nodes().iter().map(|node| node.child().unwrap().id()).collect();
    (0..NODES).for_each(|node| world.kill(node));

    let sensor = Process::sensor(listing(world.folder(), sensor_pid));
    let calls: Vec<Vec<Call>> = pids.iter().map(|pid| listing(world.folder(), *pid)).collect();
    let mut nodes: Vec<Process> = calls.into_iter().map(Process::node).collect();
    let ledger = sensor.ledger();
    let count = |state: &str| ledger.iter().filter(|(_, found, _)| found == state).count();
    let (acked, emitted) = (count("acked"), count("emitted"));
    assert!(acked > 10 && emitted >= acked, "{acked} acknowledged of {emitted}");
    assert_eq!(faults(&nodes, &sensor), Vec::<String>::new());
    for node in &nodes {
        assert_eq!(unlasting(node), Vec::<String>::new());
        let renamed = |name: &str| {
            let to = node.calls.iter().filter_map(|call| call.to.as_ref());
            to.filter(|to| to.extension().is_some_and(|found| found == name)).count()
        };
        assert!(renamed("snapshot") > 0 && renamed("wmar") > 0, "nothing was named");
    }

    // Were it not for the syncs of two nodes, none of it would hold.
    for node in &mut nodes[..2] {
        node.calls.retain(|call| call.name != "fdatasync");
    }
    assert_eq!(faults(&nodes, &sensor).len(), acked);
}

/// A made-up listing: a batch is written to a file and synced, at these times.
fn made_up(file: &str, write: Micros, sync: (Micros, Micros), result: i64) -> Vec<Call> {
    let mut header = vec![0; 64];
    header[..6].copy_from_slice(b"WMSH\x01\x00");
    header[10] = 1;
    header[24..32].copy_from_slice(&7_u64.to_le_bytes());
    header[32..40].copy_from_slice(&3_u64.to_le_bytes());
    let call = |name: &str, (begin, end): (Micros, Micros), result, bytes: &[u8]| Call {
        name: name.to_owned(),
        path: file.into(),
        to: None,
        bytes: bytes.to_vec(),
        creates: false,
        result,
        begin,
        end,
    };
    let write = call("writev", (write, write), 70, &[b"before".as_slice(), &header].concat());
    vec![write, call("fdatasync", sync, result, &[])]
}

#[test]
fn the_checker_finds_each_way_to_break_the_promise() {
    let state = |state: &str| {
        let text = format!(
            "{{\"lane\":\"bulk\",\"epoch\":\"0000000000000007\",\"seq\":3,\"events\":1,\"state\":\"{state}\"}}\n"
        );
        Call { bytes: text.into_bytes(), ..made_up("/s/ledger.ndjson", 100, (0, 0), 0)[0].clone() }
    };
    let node = |write, sync, result| Process::node(made_up("/n/r-1.wal", write, sync, result));
    let check = |second: Process, spool: Vec<Call>| {
        let nodes = [node(10, (20, 30), 0), second, Process::node(Vec::new())];
        let calls = spool.into_iter().chain([state("emitted"), state("acked")]).collect();
        faults(&nodes, &Process::sensor(calls)).len()
    };
    let spool = || made_up("/s/spool/db", 1, (2, 3), 0);
    assert_eq!(check(node(10, (20, 100), 0), spool()), 0);
    for (what, second) in [
        ("synced too late", node(10, (20, 101), 0)),
        ("synced before it was written", node(10, (9, 30), 0)),
        ("the sync failed", node(10, (20, 30), -1)),
        ("another file was synced", Process::node(made_up("/n/index", 10, (20, 30), 0))),
    ] {
        assert_eq!(check(second, spool()), 1, "{what}");
    }
    for (what, spool) in [
        ("never synced", spool()[..1].to_vec()),
        ("promised too early", made_up("/s/spool/db", 1, (2, 101), 0)),
    ] {
        assert_eq!(check(node(10, (20, 30), 0), spool), 1, "{what}");
    }
}

#[test]
fn the_checker_finds_names_that_do_not_last() {
    let text = |order: &[&str]| -> String {
        let lines = [
            ("file", r#"fsync(7</d/1.partial>) = 0 <0.000001>"#),
            ("name", r#"rename("/d/1.partial", "/d/1.snapshot") = 0 <0.000001>"#),
            ("folder", r#"fsync(8</d>) = 0 <0.000001>"#),
            (
                "chunk",
                r#"openat(AT_FDCWD, "/d/r-1.wal", O_RDWR|O_CREAT|O_EXCL, 0666) = 9</d/r-1.wal> <0.000001>"#,
            ),
            ("sync", r#"fdatasync(9</d/r-1.wal>) = 0 <0.000001>"#),
        ];
        let line = |(at, name): (usize, &&str)| {
            let (_, call) = lines.iter().find(|(known, _)| known == name).unwrap();
            format!("1 {at}.000000 {call}\n")
        };
        order.iter().enumerate().map(line).collect()
    };
    let check = |order: &[&str]| unlasting(&Process::node(trace::read(&text(order)))).len();
    assert_eq!(check(&["file", "name", "folder"]), 0);
    assert_eq!(check(&["chunk", "folder", "sync"]), 0);
    for order in [
        &["name", "folder"][..],
        &["file", "name"],
        &["folder", "file", "name"],
        &["chunk", "sync"],
    ] {
        assert_eq!(check(order), 1, "{order:?}");
    }
    assert_eq!(check(&["chunk", "sync", "folder"]), 1);
}
