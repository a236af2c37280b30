//! Runs `inspect` in this process and finds the captures of others.

use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;
use wardmesh_sensor::dissect::DISSECTORS;
use wardmesh_sensor::flow::HashKey;
use wardmesh_sensor::inspect::{Format, Outcome, inspect};

/// The same at each run: what is reported must not depend on it anyway.
const KEY: HashKey = HashKey([7; 16]);

/// What one run of `inspect` wrote.
pub(crate) struct Inspected {
    /// Whether the file is a capture.
    pub(crate) outcome: Outcome,
    /// The events.
    pub(crate) out: Vec<u8>,
    /// The warnings.
    pub(crate) warnings: String,
}

/// Inspects one file, as NDJSON.
pub(crate) fn run(path: &Path) -> Inspected {
    run_keyed(path, KEY)
}

/// Inspects one file with another key for the hashes of its tables.
pub(crate) fn run_keyed(path: &Path, key: HashKey) -> Inspected {
    let (mut out, mut warnings) = (Vec::new(), Vec::new());
    let paths = [path.to_owned()];
    let outcome = inspect(&paths, Format::Ndjson, DISSECTORS, key, &mut out, &mut warnings);
    let warnings = String::from_utf8(warnings).expect("warnings are text");
    Inspected { outcome: outcome.expect("vectors take all"), out, warnings }
}

/// The events of a capture, one JSON object each.
pub(crate) fn events(path: &Path) -> Vec<Value> {
    let out = String::from_utf8(run(path).out).expect("NDJSON is UTF-8");
    out.lines().map(|line| serde_json::from_str(line).expect("a line is an object")).collect()
}

/// A member of a member: `text(event, "device", "mac")`, empty where it is null.
pub(crate) fn text<'a>(event: &'a Value, object: &str, member: &str) -> &'a str {
    event[object][member].as_str().unwrap_or_default()
}

/// The attributes of an event, each value apart.
pub(crate) fn attributes(event: &Value) -> impl Iterator<Item = (&str, &str)> {
    let attributes = event["attributes"].as_object().expect("always present");
    attributes.iter().flat_map(|(key, value)| {
        let values = match value {
            Value::Array(several) => several.as_slice(),
            one => std::slice::from_ref(one),
        };
        values.iter().map(move |value| (key.as_str(), value.as_str().expect("values are texts")))
    })
}

/// `shared/data/pcaps` beside the checkout, or beside a folder that checkouts are kept in; `None`
/// where it is absent, which is said.
pub(crate) fn shared_captures() -> Option<PathBuf> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().skip(2);
    let mut folders = checkout.map(|parent| parent.join("shared/data/pcaps"));
    let found = folders.find(|folder| folder.join("MANIFEST.json").is_file());
    if found.is_none() {
        say("the comparison with other tools was left out: ../shared/data is absent");
    }
    found
}

/// Writes a line past the test harness, which would swallow it where the test passes.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
