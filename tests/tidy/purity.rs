//! Pure modules: values in, values out, time as an argument; replicas agree byte for byte.

use crate::source::{Source, places};

/// Modules without I/O, clocks, threads and randomness. A test may do as it likes.
const PURE: &[&str] = &[
    "common/src/event",
    "common/src/id",
    "common/src/map",
    "common/src/net",
    "common/src/sighting",
    "common/src/time",
    "common/src/wire",
    "sensor/src/batch",
    "sensor/src/decode",
    "sensor/src/dissect",
    "sensor/src/flow",
    "sensor/src/pipeline",
    "sensor/src/tally",
    "aggregator/src/correlate",
    "aggregator/src/state",
];

/// What belongs at the edges.
const EDGES: &[&str] = &[
    "tokio",
    "quinn",
    "sled",
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "fs::File",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "Instant::now",
    "SystemTime",
    "clock::now",
    "rand",
    "getrandom",
    "RandomState",
    "tracing",
];

/// Modules whose every value is the same on every replica.
const DETERMINISTIC: &[&str] = &["aggregator/src/correlate", "aggregator/src/state"];

/// What differs between machines, builds or runs.
const DIVERGENT: &[&str] = &["f32", "f64", "HashMap", "HashSet", "DefaultHasher", "usize::MAX"];

fn within(source: &Source, modules: &[&str]) -> bool {
    modules.iter().any(|module| {
        let rest = source.path.strip_prefix(module);
        rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    })
}

fn words(source: &Source, modules: &[&str], words: &[&str], why: &str) -> Vec<String> {
    if !within(source, modules) {
        return Vec::new();
    }
    let code = source.product();
    let found =
        words.iter().flat_map(|word| places(&code, word).into_iter().map(move |at| (at, word)));
    found.map(|(at, word)| source.fault(at, &format!("{word} {why}"))).collect()
}

/// I/O, clocks and randomness in a pure module.
pub(crate) fn io_faults(source: &Source) -> Vec<String> {
    words(source, PURE, EDGES, "belongs at the edges")
}

/// Floats and unordered maps in the replicated state.
pub(crate) fn determinism_faults(source: &Source) -> Vec<String> {
    words(source, DETERMINISTIC, DIVERGENT, "differs between replicas")
}

#[test]
fn io_in_a_pure_module_is_a_fault() {
    for text in ["use tokio::time;", "std::fs::read(p)", "let t = Instant::now();", "clock::now()"]
    {
        assert_eq!(io_faults(&Source::of("sensor/src/flow/mod.rs", text)).len(), 1, "{text}");
        assert_eq!(io_faults(&Source::of("sensor/src/uplink/lane.rs", text)).len(), 0, "{text}");
    }
    let good = "// tokio\nlet rand_like = \"std::fs\"; fn now(now: Timestamp) {}";
    assert_eq!(io_faults(&Source::of("common/src/wire/v1.rs", good)).len(), 0);
}

#[test]
fn a_float_in_the_state_is_a_fault() {
    for text in ["let weight: f64 = 0.5;", "HashMap<u8, u8>"] {
        let path = "aggregator/src/state/devices.rs";
        assert_eq!(determinism_faults(&Source::of(path, text)).len(), 1, "{text}");
    }
    let edge = Source::of("aggregator/src/http/mod.rs", "let weight: f64 = 0.5;");
    assert_eq!(determinism_faults(&edge).len(), 0);
}
