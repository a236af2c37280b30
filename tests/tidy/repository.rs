//! What a clean clone on another machine needs: one registry, no local paths, the workspace's terms.

use crate::source::{Source, places};

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What a package's manifest must say.
const TERMS: &[&str] =
    &["[lints]\nworkspace = true", "license.workspace = true", "publish.workspace = true"];

/// Dependencies whose behaviour was measured at one version: an update is a decision.
const PINNED: &[&str] = &["openraft", "raft-log", "sled"];

/// Paths that exist on the machine of whoever wrote them. Split, so that this file has none.
const LOCAL: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("/tmp", "/bash"),
];

/// Terms that a package's manifest lacks; the workspace's own says them for all.
pub(crate) fn manifest_faults(source: &Source) -> Vec<String> {
    let said = |term: &&&str| !source.text.contains(**term);
    if source.path == "Cargo.toml" {
        let pinned = PINNED.iter().filter(|name| !is_pinned(&source.text, name));
        let mut faults: Vec<String> =
            pinned.map(|name| source.fault(0, &format!("{name} is not pinned exactly"))).collect();
        if !source.text.contains("license = \"Apache-2.0\"") {
            faults.push(source.fault(0, "the licence is Apache-2.0"));
        }
        return faults;
    }
    if !source.path.ends_with("/Cargo.toml") {
        return Vec::new();
    }
    let missing = TERMS.iter().filter(said);
    missing.map(|term| source.fault(0, &format!("does not say {term:?}"))).collect()
}

fn is_pinned(manifest: &str, name: &str) -> bool {
    let line = manifest.lines().find(|line| line.split([' ', '=']).next() == Some(name));
    line.is_none_or(|line| line.contains("\"="))
}

/// Packages of the lock that come from elsewhere.
pub(crate) fn lock_faults(source: &Source) -> Vec<String> {
    if source.path != "Cargo.lock" {
        return Vec::new();
    }
    places(&source.text, "source = \"")
        .into_iter()
        .filter(|at| !source.text[at + "source = \"".len()..].starts_with(REGISTRY))
        .map(|at| source.fault(at, "comes from another place than crates.io"))
        .collect()
}

/// Paths of one machine, in any text.
pub(crate) fn machine_faults(source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    for path in LOCAL {
        let begins = |at: &usize| {
            !source.text[..*at].ends_with(|c: char| c.is_alphanumeric() || ".-_})".contains(c))
        };
        for at in source.text.match_indices(path).map(|(at, _)| at).filter(begins) {
            faults.push(source.fault(at, &format!("{path} exists on one machine only")));
        }
    }
    faults
}

#[test]
fn a_manifest_without_the_terms_is_a_fault() {
    let good = "[package]\nlicense.workspace = true\npublish.workspace = true\n[lints]\nworkspace = true\n";
    assert_eq!(manifest_faults(&Source::of("common/Cargo.toml", good)), Vec::<String>::new());
    let bad = good.replace("[lints]", "[other]");
    assert_eq!(manifest_faults(&Source::of("common/Cargo.toml", &bad)).len(), 1);
    let root = "license = \"Apache-2.0\"\nsled = \"0.34\"\n";
    assert_eq!(manifest_faults(&Source::of("Cargo.toml", root)).len(), 1);
}

#[test]
fn a_foreign_source_is_a_fault() {
    let lock = "source = \"git+https://example.org/x\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"";
    assert_eq!(lock_faults(&Source::of("Cargo.lock", lock)).len(), 1);
}

#[test]
fn a_local_path_is_a_fault() {
    let text = format!("open(\"{}x\")", LOCAL[0]);
    assert_eq!(machine_faults(&Source::of("a/b.rs", &text)).len(), 1);
    assert_eq!(machine_faults(&Source::of("a/b.rs", &format!("..{}x", LOCAL[0]))).len(), 0);
    assert_eq!(machine_faults(&Source::of("a/b.rs", "../shared/data")).len(), 0);
}
