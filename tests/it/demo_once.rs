//! The newcomer's command: what `demo --once` prints, and that an interrupted demo leaves nothing.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{PROGRAM, wait_until};

#[test]
fn once_prints_one_object_and_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let mut demo = Command::new(PROGRAM);
    let output = demo.args(["demo", "--once"]).env("TMPDIR", temporary.path()).output().unwrap();
    let progress = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{progress}");
    assert!(progress.lines().count() >= 3, "progress is shown on stderr: {progress}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    let members: Vec<_> = report.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "nodes",
        "sites",
        "sensors",
        "events_emitted",
        "events_applied",
        "devices",
        "digests",
        "findings",
    ];
    assert_eq!(members, expected);
    for count in ["nodes", "sites", "sensors"] {
        assert_eq!(report[count], 3, "{count}");
    }
    assert_eq!(report["events_emitted"], report["events_applied"]);
    assert!(report["events_emitted"].as_u64() > Some(1_000), "{report}");
    assert!(report["devices"].as_u64() >= Some(3 * 26), "{report}");
    let digests = report["digests"].as_array().unwrap();
    assert!(digests.len() == 3 && digests.iter().all(|one| *one == digests[0]), "{report}");
    let findings = report["findings"].as_array().unwrap();
    assert!(!findings.is_empty());
    for finding in findings {
        assert!(finding["rule"].is_string(), "{finding}");
        assert!(finding["sites"].as_array().unwrap().len() >= 2, "{finding}");
    }
    assert_eq!(entries(temporary.path()), 0, "a folder was left behind");
}

#[test]
fn an_interrupted_demo_leaves_no_process_and_no_file() {
    for after in ["founding", "Stop with Ctrl-C"] {
        interrupt(after);
    }
}

/// Sends SIGINT once a line with this text was printed.
fn interrupt(after: &str) {
    let temporary = tempfile::tempdir().unwrap();
    let mut demo = Command::new(PROGRAM)
        .arg("demo")
        .env("TMPDIR", temporary.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (stdout, stderr) = (demo.stdout.take().unwrap(), demo.stderr.take().unwrap());
    let (found, lines) = std::sync::mpsc::channel();
    let streams: [Box<dyn std::io::Read + Send>; 2] = [Box::new(stdout), Box::new(stderr)];
    let readers = streams.map(|stream| {
        let found = found.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let _ = found.send(line);
            }
        })
    });
    drop(found);
    assert!(lines.iter().any(|line| line.contains(after)), "'{after}' was never printed");
    // The pids are taken before the end, when they are still its children.
    wait_until("the demo starts its nodes", || !children(demo.id()).is_empty());
    let started = children(demo.id());
    assert!(!started.is_empty() && entries(temporary.path()) == 1);
    let pid = demo.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    wait_until("the demo ends", || demo.try_wait().unwrap().is_some());
    assert!(demo.wait().unwrap().success());
    for child in started {
        assert!(!Path::new(&format!("/proc/{child}")).exists(), "{child} is left behind");
    }
    readers.into_iter().for_each(|reader| reader.join().unwrap());
    assert_eq!(entries(temporary.path()), 0, "a folder was left behind");
}

fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

/// The processes whose parent is `of`, by `/proc/PID/stat` (proc(5), field 4).
fn children(of: u32) -> Vec<u32> {
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parent = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, rest) = stat.rsplit_once(')')?;
        rest.split_whitespace().nth(1)?.parse::<u32>().ok()
    };
    pids.filter(|pid| parent(pid) == Some(of)).collect()
}
