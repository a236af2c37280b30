//! The architecture as a test: layers, purity, owners, names, registries, sizes.
//!
//! Reads the source as text with comments and literals blanked; each rule is a function from text to
//! faults, with a test of its own that it can fail. ARCHITECTURE.md says why each rule exists.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/names.rs"]
mod names;
#[path = "tidy/owners.rs"]
mod owners;
#[path = "tidy/purity.rs"]
mod purity;
#[path = "tidy/registries.rs"]
mod registries;
#[path = "tidy/repository.rs"]
mod repository;
#[path = "tidy/sizes.rs"]
mod sizes;
#[path = "tidy/source.rs"]
mod source;

use source::{Source, root, rust_sources, text_files};

/// Fails with every fault that `rule` finds in any source, one a line.
#[track_caller]
fn hold(rule: impl Fn(&Source) -> Vec<String>) {
    report(rust_sources().iter().flat_map(rule).collect());
}

#[track_caller]
fn report(faults: Vec<String>) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn modules_use_only_what_is_below_them() {
    hold(layers::faults);
}

#[test]
fn crates_use_only_what_is_below_them() {
    report(text_files().iter().flat_map(layers::manifest_faults).collect());
}

#[test]
fn pure_modules_do_no_io() {
    hold(purity::io_faults);
}

#[test]
fn replicated_state_is_deterministic() {
    hold(purity::determinism_faults);
}

#[test]
fn each_library_is_named_in_one_place() {
    hold(owners::faults);
}

#[test]
fn names_are_the_fields_words() {
    hold(names::faults);
}

#[test]
fn nothing_is_left_for_later() {
    report(text_files().iter().flat_map(names::leftovers).collect());
}

#[test]
fn every_file_of_a_registry_is_registered() {
    report(registries::faults(&rust_sources()));
}

#[test]
fn files_and_functions_stay_small() {
    hold(sizes::faults);
}

#[test]
fn every_file_says_why_it_exists() {
    hold(sizes::header_faults);
}

#[test]
fn every_package_keeps_the_workspaces_terms() {
    report(text_files().iter().flat_map(repository::manifest_faults).collect());
}

#[test]
fn the_lock_names_one_registry() {
    report(text_files().iter().flat_map(repository::lock_faults).collect());
}

#[test]
fn nothing_depends_on_one_machine() {
    report(text_files().iter().flat_map(repository::machine_faults).collect());
}

#[test]
fn documents_are_true_where_it_can_be_checked() {
    let (files, sources) = (text_files(), rust_sources());
    let mut faults: Vec<String> =
        files.iter().flat_map(|file| documents::link_faults(file, &root())).collect();
    let architecture = files.iter().find(|file| file.path == "ARCHITECTURE.md").unwrap();
    faults.extend(documents::invariant_faults(architecture, &sources));
    report(faults);
}
