//! Nothing of a patient leaves a sensor: the name that all simulated patients bear is in the captures
//! and in nothing that a mesh keeps, logs, counts or answers. It reads whatever is there as bytes.

use std::path::{Path, PathBuf};

use crate::every_node_answers::{PLAIN, routes};
use crate::harness::{NODES, World, scenario};

const CANARY: &[u8] = b"CANARY";

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn holds_canary(path: &Path) -> bool {
    // A running node may remove a file that was listed.
    let bytes = std::fs::read(path).unwrap_or_default();
    bytes.windows(CANARY.len()).any(|window| window.eq_ignore_ascii_case(CANARY))
}

fn body(world: &World, node: usize, path: &str) -> String {
    let url = format!("http://{}{path}", world.mesh.nodes()[node].http_address);
    ureq::get(&url).call().unwrap().body_mut().read_to_string().unwrap()
}

#[test]
fn no_patient_in_files_metrics_or_answers() {
    let world = World::found();
    let sites = ["a", "b", "c"].map(|name| world.site(&scenario(name, 26, 5, 2)));
    world.replay_whole(&sites);
    world.settle();
    let plain = PLAIN.iter().map(ToString::to_string);
    let whole = |path: String| match path.as_str() {
        "/api/v1/events" => format!("{path}?limit=1000&since=2000-01-01T00:00:00Z"),
        _ => path,
    };
    let paths: Vec<_> = plain.chain(routes(&world).into_iter().map(whole)).collect();
    let by_sensor =
        sites.iter().map(|site| format!("/api/v1/events?limit=1000&sensor={}", site.files.sensor));
    for path in paths.into_iter().chain(by_sensor) {
        for node in 0..NODES {
            let body = body(&world, node, &path);
            assert!(!body.to_uppercase().contains("CANARY"), "{path} of node {node}");
        }
    }
    let (captures, kept): (Vec<_>, Vec<_>) = files(world.folder())
        .into_iter()
        .partition(|path| path.extension().is_some_and(|extension| extension == "pcap"));
    assert!(captures.len() == 3 && captures.iter().all(|path| holds_canary(path)));
    assert!(kept.len() > 3 * NODES, "{kept:?}");
    let found: Vec<_> = kept.iter().filter(|path| holds_canary(path)).collect();
    assert!(found.is_empty(), "{found:?}");
}
