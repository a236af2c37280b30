//! Documents are true in what a machine can check: links lead somewhere, the tests that
//! ARCHITECTURE.md names exist, and what it says of invariants is not a wish.

use std::collections::BTreeSet;
use std::path::Path;

use crate::source::{Source, places};

/// Links to files that are not there.
pub(crate) fn link_faults(source: &Source, root: &Path) -> Vec<String> {
    if !source.path.ends_with(".md") {
        return Vec::new();
    }
    let folder = root.join(&source.path);
    let folder = folder.parent().unwrap_or(root);
    source
        .text
        .match_indices("](")
        .filter_map(|(at, _)| Some((at, source.text[at + 2..].split([')', '#']).next()?)))
        .filter(|(_, target)| !target.is_empty() && !target.contains("://"))
        .filter(|(_, target)| !folder.join(target).exists())
        .map(|(at, target)| source.fault(at, &format!("{target} is not there")))
        .collect()
}

/// Tests that the table of invariants names and no file has; rows that name none of anything.
pub(crate) fn invariant_faults(document: &Source, sources: &[Source]) -> Vec<String> {
    let tests: BTreeSet<&str> = sources.iter().flat_map(|source| tests(&source.text)).collect();
    let mut faults = Vec::new();
    let (mut at, mut rows) = (0, 0);
    for line in document.text.split_inclusive('\n') {
        if let Some(held_by) = held_by(line) {
            rows += 1;
            if held_by.trim().is_empty() {
                faults.push(document.fault(at, "an invariant that nothing holds"));
            }
            for name in held_by.split('`').skip(1).step_by(2).filter(|name| is_test_name(name)) {
                if !tests.contains(name) {
                    faults.push(document.fault(at, &format!("there is no test {name}")));
                }
            }
        }
        at += line.len();
    }
    if rows == 0 {
        faults.push(document.fault(0, "there is no table of invariants"));
    }
    faults
}

/// The last cell of a row whose first cell is a number.
fn held_by(line: &str) -> Option<&str> {
    let mut cells = line.trim_end().strip_prefix("| ")?.strip_suffix('|')?.split(" | ");
    cells.next()?.parse::<u32>().ok()?;
    cells.next()?;
    cells.next().filter(|_| cells.next().is_none())
}

fn is_test_name(name: &str) -> bool {
    name.matches('_').count() >= 2 && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

/// The names of the functions under `#[test]` or `#[tokio::test…]`.
fn tests(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for marker in ["#[test]", "#[tokio::test"] {
        for at in places(text, marker) {
            let rest = &text[at..];
            let name = rest.split_once("fn ").and_then(|(_, rest)| rest.split(['(', '<']).next());
            names.extend(name);
        }
    }
    names
}

#[test]
fn a_dead_link_is_a_fault() {
    let root = crate::source::root();
    let text = "[a](README.md) [b](https://example.org/x) [c](README.md#words) [d](missing.md)";
    let faults = link_faults(&Source::of("X.md", text), &root);
    assert_eq!(faults, ["X.md:1: missing.md is not there"]);
}

#[test]
fn an_invariant_without_its_test_is_a_fault() {
    let sources = [Source::of("a.rs", "#[test]\nfn what_is_so_stays() {}")];
    let table = |held_by| format!("| 1 | It is so | {held_by} |\n");
    let faults = |held_by| invariant_faults(&Source::of("A.md", &table(held_by)), &sources);
    assert_eq!(faults("`what_is_so_stays`; `tidy`"), Vec::<String>::new());
    assert_eq!(faults("`what_was_so_stays`"), ["A.md:1: there is no test what_was_so_stays"]);
    assert_eq!(faults("").len(), 1);
    assert_eq!(invariant_faults(&Source::of("A.md", "Words."), &sources).len(), 1);
}
