//! The dependency rule: which modules of its crate each top-level module may name, and which crates.
//!
//! A module that is missing here is a fault: decide where it belongs, then add a line.

use crate::source::{Source, places};

/// A crate's modules, lowest first, each with those that it may name beside itself.
type Layers = &'static [(&'static str, &'static [&'static str])];

/// Everything: the composition roots and the commands.
const ALL: &[&str] = &["*"];

const COMMON: Layers = &[
    ("time", &[]),
    ("net", &[]),
    ("map", &[]),
    ("text", &[]),
    ("shutdown", &[]),
    ("golden", &[]),
    ("config", &["text"]),
    ("telemetry", &[]),
    ("space", &[]),
    ("id", &["time", "map"]),
    ("clock", &["time"]),
    ("event", &["net", "time"]),
    ("fault", &[]),
    ("sighting", &["event", "id", "net", "time"]),
    ("wire", &["event", "golden", "id", "net", "sighting", "time"]),
    ("tls", &["id"]),
    ("offload", &[]),
    ("random", &["clock"]),
    ("link", &["time", "tls", "wire"]),
];

const SENSOR: Layers = &[
    ("capture", &[]),
    ("dissect", &[]),
    ("batch", &[]),
    ("ledger", &[]),
    ("decode", &["capture"]),
    ("tally", &["decode"]),
    ("flow", &["decode", "dissect", "tally"]),
    ("pipeline", &["capture", "decode", "dissect", "flow", "tally"]),
    ("spool", &["batch", "ledger"]),
    ("uplink", &["spool"]),
    ("metrics", &["spool", "uplink"]),
    ("config", &["metrics", "spool", "uplink"]),
    ("feed", &["batch", "capture", "config", "dissect", "flow", "pipeline", "spool"]),
    ("inspect", &["capture", "dissect", "flow", "pipeline"]),
    ("sensor", ALL),
    ("cli", ALL),
];

const AGGREGATOR: Layers = &[
    ("correlate", &[]),
    ("metrics", &[]),
    ("config", &["text"]),
    ("state", &["correlate"]),
    ("facets", &["state"]),
    ("store", &["correlate", "state"]),
    ("raft", &["state"]),
    ("ingest", &["metrics", "raft", "state"]),
    ("http", &["correlate", "facets", "metrics", "state", "store"]),
    ("export", &["correlate", "metrics", "state", "store"]),
    ("listener", &["ingest", "metrics"]),
    ("replica", &["facets", "ingest", "raft", "state", "store"]),
    ("housekeeping", &["facets", "metrics", "raft", "replica", "state", "store"]),
    ("backend", &["facets", "http", "metrics", "raft", "replica", "state", "store"]),
    ("backfill", &["raft", "replica", "store"]),
    ("waiting", &["http"]),
    ("aggregator", ALL),
    ("cli", ALL),
];

const CRATES: &[(&str, Layers)] =
    &[("common/src/", COMMON), ("sensor/src/", SENSOR), ("aggregator/src/", AGGREGATOR)];

/// Which of the workspace's packages a package may depend on. Sides never know each other.
const PACKAGES: &[(&str, &[&str])] = &[
    ("common/", &[]),
    ("sensor/", &["wardmesh-common"]),
    ("aggregator/", &["wardmesh-common"]),
    ("cli/", &["wardmesh-aggregator", "wardmesh-common", "wardmesh-sensor"]),
];

/// Names of modules that a file's product code may not name.
pub(crate) fn faults(source: &Source) -> Vec<String> {
    let Some((prefix, layers)) = CRATES.iter().find(|(p, _)| source.path.starts_with(p)) else {
        return Vec::new();
    };
    let inside = &source.path[prefix.len()..];
    let module = inside.split(['/', '.']).next().unwrap_or_default();
    if matches!(module, "lib" | "main") || source.is_test() {
        return Vec::new();
    }
    let Some((_, allowed)) = layers.iter().find(|(name, _)| *name == module) else {
        let what = format!("module '{module}' has no layer: add it to tests/tidy/layers.rs");
        return vec![source.fault(0, &what)];
    };
    let code = source.product();
    let mut faults = Vec::new();
    for (at, name) in named_modules(&code, depth(inside)) {
        let known = layers.iter().any(|(layer, _)| *layer == name);
        if known && name != module && *allowed != ALL && !allowed.contains(&name.as_str()) {
            faults.push(source.fault(at, &format!("'{module}' may not use '{name}'")));
        }
    }
    faults
}

/// Dependencies of a package that lie above it or beside it.
pub(crate) fn manifest_faults(source: &Source) -> Vec<String> {
    let Some((prefix, allowed)) = PACKAGES.iter().find(|(p, _)| source.path.starts_with(p)) else {
        return Vec::new();
    };
    if !source.path.ends_with("Cargo.toml") {
        return Vec::new();
    }
    let dependencies = source.text.split("dependencies]").skip(1).flat_map(str::lines);
    dependencies
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| name.starts_with("wardmesh-") && !allowed.contains(name))
        .map(|name| source.fault(0, &format!("{prefix} may not depend on {name}")))
        .collect()
}

/// How many `super` lead from a file's module to the crate's root.
fn depth(inside: &str) -> usize {
    let parts = inside.trim_end_matches(".rs").split('/').count();
    if inside.ends_with("/mod.rs") { parts - 1 } else { parts }
}

/// The top-level modules that paths name, with their places.
fn named_modules(code: &str, depth: usize) -> Vec<(usize, String)> {
    let to_root = "super::".repeat(depth);
    let mut named = Vec::new();
    for root in ["crate::", to_root.as_str()] {
        for at in places(code, root) {
            if code[..at].ends_with("super::") {
                continue;
            }
            let names = first_names(&code[at + root.len()..]);
            named.extend(names.into_iter().map(|name| (at, name)));
        }
    }
    named
}

/// `a` of `a::b`; `a` and `c` of `{a::{b, d}, c}`.
fn first_names(rest: &str) -> Vec<String> {
    let Some(group) = rest.strip_prefix('{') else {
        return vec![identifier(rest)];
    };
    let (mut depth, mut names, mut fresh) = (1, Vec::new(), true);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => fresh = true,
            c if fresh && !c.is_whitespace() => {
                names.push(identifier(&group[at..]));
                fresh = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn a_use_of_a_higher_layer_is_a_fault() {
    let bad = [
        ("sensor/src/decode/ip.rs", "use crate::flow::Flow;"),
        ("sensor/src/decode/ip.rs", "use crate::{capture::Link, uplink::Uplink};"),
        ("sensor/src/decode/mod.rs", "use super::flow::Flow;"),
        ("sensor/src/decode/ip/v6.rs", "type F = super::super::super::flow::Flow;"),
        ("aggregator/src/correlate/mod.rs", "fn f(s: &crate::state::State) {}"),
        ("aggregator/src/store/archive.rs", "use crate::raft;"),
        ("aggregator/src/http/routes/sites.rs", "use crate::raft;"),
        ("common/src/novel.rs", ""),
    ];
    for (path, text) in bad {
        assert_eq!(faults(&Source::of(path, text)).len(), 1, "{path}: {text}");
    }
    let good = [
        ("sensor/src/decode/ip.rs", "use crate::{capture::{Link, flow}, decode};"),
        ("sensor/src/decode/ip.rs", "// crate::flow\nuse super::flow;"),
        ("sensor/src/decode/tests.rs", "use crate::flow;"),
        ("sensor/src/decode/ip.rs", "#[cfg(test)]\nmod tests { use crate::flow; }"),
        ("sensor/src/cli.rs", "use crate::uplink;"),
    ];
    for (path, text) in good {
        assert_eq!(faults(&Source::of(path, text)), Vec::<String>::new(), "{path}: {text}");
    }
}

#[test]
fn a_side_that_knows_the_other_is_a_fault() {
    let text = "[dependencies]\nserde = \"1\"\nwardmesh-aggregator.workspace = true\n";
    assert_eq!(manifest_faults(&Source::of("sensor/Cargo.toml", text)).len(), 1);
    assert_eq!(manifest_faults(&Source::of("cli/Cargo.toml", text)).len(), 0);
}
