//! Every capture of others, twice: no panic, the same bytes, bounded memory.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use wardmesh_sensor::flow::HashKey;
use wardmesh_sensor::inspect::Outcome;

use crate::inspected::{run, run_keyed, say, shared_captures};

/// Peak memory of this test process, KiB: the tables' limits (64 MiB of streams, 45 MiB of flows)
/// and the output of two runs over the largest file, doubled.
const MEMORY_KIB_MAX: u64 = 300 * 1024;

#[test]
fn every_capture_twice_with_the_same_output() {
    let Some(folder) = shared_captures() else { return };
    let files = captures(&folder);
    let (mut events, mut bytes, mut cut_short) = (0, 0, 0);
    for file in &files {
        let path = folder.join(file);
        let once = run(&path);
        assert_eq!(once.outcome, Outcome::Read, "{file}: {}", once.warnings);
        let again = run_keyed(&path, HashKey([9; 16]));
        assert!(once.out == again.out, "{file}: two runs differ");
        assert_eq!(once.warnings, again.warnings, "{file}");
        assert!(once.out.ends_with(b"}\n"), "{file}: no event");
        events += once.out.iter().filter(|byte| **byte == b'\n').count();
        bytes += fs::metadata(&path).unwrap().len();
        cut_short += usize::from(!once.warnings.is_empty());
    }
    let mib = bytes / (1024 * 1024);
    say(format!(
        "{} captures of {mib} MiB, {cut_short} of them cut short, twice: {events} events each time",
        files.len()
    ));
    if let Some(peak) = peak_memory_kib() {
        say(format!("peak memory of the golden tests: {} MiB", peak / 1024));
        assert!(peak < MEMORY_KIB_MAX, "{peak} KiB are over {MEMORY_KIB_MAX} KiB");
    }
}

/// The files that the manifest names, in its order.
fn captures(folder: &Path) -> Vec<String> {
    let manifest = fs::read(folder.join("MANIFEST.json")).unwrap();
    let Value::Array(entries) = serde_json::from_slice(&manifest).unwrap() else {
        panic!("MANIFEST.json is no array");
    };
    entries.iter().map(|entry| entry["file"].as_str().unwrap().to_owned()).collect()
}

/// The most memory that this process ever held, where the system tells (proc(5), `VmHWM`).
fn peak_memory_kib() -> Option<u64> {
    let status = fs::read_to_string(PathBuf::from("/proc/self/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
