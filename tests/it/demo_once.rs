//! The newcomer's command: what `demo --once` prints, and that an interrupted demo leaves nothing.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

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
fn a_demo_that_fails_quotes_the_log_and_says_how_to_keep_it() {
    let temporary = tempfile::tempdir().unwrap();
    let mut demo = Command::new(PROGRAM);
    // The nodes refuse this filter.
    demo.args(["demo", "--log", "a=b=c"]).env("TMPDIR", temporary.path());
    let output = demo.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("key 'log.filter': 'a=b=c'") && said.contains("--keep"), "{said}");
    assert!(!said.contains("\\n"), "lines are lines: {said}");
    assert_eq!(entries(temporary.path()), 0, "a folder was left behind");
}

/// A demo that is stopped as a terminal stops it: the signal goes to the whole process group.
struct Interruption {
    arguments: &'static [&'static str],
    /// The moment: a line with this text was printed; without one, a second after the start.
    after: Option<&'static str>,
    signal: &'static str,
    code: i32,
}

/// `demo` ends by being stopped; `demo --once` then has nothing to print, and says so.
const INTERRUPTIONS: &[Interruption] = &[
    Interruption { arguments: &["demo"], after: None, signal: "INT", code: 0 },
    Interruption { arguments: &["demo"], after: Some("founding"), signal: "INT", code: 0 },
    Interruption { arguments: &["demo"], after: Some("Stop with Ctrl-C"), signal: "HUP", code: 0 },
    Interruption {
        arguments: &["demo", "--once"],
        after: Some("founding"),
        signal: "INT",
        code: 130,
    },
    Interruption {
        arguments: &["demo", "--once"],
        after: Some("starting one sensor"),
        signal: "TERM",
        code: 130,
    },
];

/// How long a stopped demo may take: far less than it waits for a node that does not answer.
const END_WITHIN: Duration = Duration::from_secs(20);

#[test]
fn an_interrupted_demo_leaves_no_process_and_no_file() {
    INTERRUPTIONS.iter().for_each(interrupt);
}

fn interrupt(case: &Interruption) {
    let Interruption { arguments, after, signal, code } = *case;
    let what = format!("{arguments:?} after {after:?}");
    let temporary = tempfile::tempdir().unwrap();
    let mut demo = Command::new(PROGRAM)
        .args(arguments)
        .env("TMPDIR", temporary.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
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
    match after {
        None => std::thread::sleep(Duration::from_secs(1)),
        Some(text) => {
            assert!(lines.iter().any(|line| line.contains(text)), "{what}: never printed");
            wait_until("the demo starts its nodes", || !children(demo.id()).is_empty());
        }
    }
    // The pids are taken before the end, when they are still its children.
    let started = children(demo.id());
    assert_eq!(entries(temporary.path()), 1, "{what}");
    let group = format!("-{}", demo.id());
    let kill = Command::new("kill").args(["-s", signal, "--", &group]).status().unwrap();
    assert!(kill.success(), "{what}");
    let begun = Instant::now();
    wait_until("the demo ends", || demo.try_wait().unwrap().is_some());
    assert!(begun.elapsed() < END_WITHIN, "{what}: ended after {:?}", begun.elapsed());
    assert_eq!(demo.wait().unwrap().code(), Some(code), "{what}");
    for child in started {
        assert!(!Path::new(&format!("/proc/{child}")).exists(), "{what}: {child} is left behind");
    }
    readers.into_iter().for_each(|reader| reader.join().unwrap());
    let said = lines.iter().any(|line| line.contains("stopped before it was done"));
    assert_eq!(said, code != 0, "{what}");
    assert_eq!(entries(temporary.path()), 0, "{what}: a folder was left behind");
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
