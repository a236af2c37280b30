//! Libraries that only one folder may name, so that each can be replaced or updated in one place.

use crate::source::{Source, places};

/// A library and the modules that may name it.
const OWNERS: &[(&str, &[&str])] = &[
    ("openraft", &["aggregator/src/raft"]),
    ("raft_log", &["aggregator/src/raft"]),
    ("sled", &["aggregator/src/store", "sensor/src/spool"]),
    ("axum", &["aggregator/src/http"]),
    ("utoipa", &["aggregator/src/http"]),
    ("utoipa_axum", &["aggregator/src/http"]),
    ("utoipa_swagger_ui", &["aggregator/src/http"]),
    ("pcap_parser", &["sensor/src/capture"]),
    ("etherparse", &["sensor/src/decode"]),
    ("oui_data", &["aggregator/src/state"]),
];

/// Packages that are the product; tests and benches may hold libraries against each other.
const PRODUCT: &[&str] = &["common/", "sensor/", "aggregator/", "cli/"];

/// Libraries named outside their folder, tests of the product included.
pub(crate) fn faults(source: &Source) -> Vec<String> {
    if !PRODUCT.iter().any(|package| source.path.starts_with(package)) {
        return Vec::new();
    }
    let code = source.code();
    let mut faults = Vec::new();
    for (library, owners) in OWNERS {
        if owners.iter().any(|owner| source.path.starts_with(owner)) {
            continue;
        }
        for at in places(&code, &format!("{library}::")) {
            faults.push(source.fault(at, &format!("only {} names {library}", owners.join(", "))));
        }
    }
    faults
}

#[test]
fn a_library_outside_its_folder_is_a_fault() {
    let text = "use sled::Db;\nuse crate::unsled::X;";
    assert_eq!(faults(&Source::of("aggregator/src/http/mod.rs", text)).len(), 1);
    assert_eq!(faults(&Source::of("aggregator/src/state/mod.rs", "axum::Json")).len(), 1);
    assert_eq!(faults(&Source::of("sensor/src/spool/store.rs", text)).len(), 0);
    assert_eq!(faults(&Source::of("benches/src/sled.rs", text)).len(), 0);
}
