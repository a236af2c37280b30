//! What a disk changed or lost while its node was down is named when the node starts or reads it, or
//! changes nothing; the others serve meanwhile.

use std::path::{Path, PathBuf};

use serde_json::Value;
use wardmesh_cli::api::Query;

use crate::harness::{NODES, Site, World, scenario, wait_until};

/// Entries between two snapshots, so that there are snapshots and archive files.
const SNAPSHOT_ENTRIES: u64 = 15;

/// What is done to a file.
#[derive(Clone, Copy, Debug)]
enum Damage {
    /// One bit, at so many thousandths of the file.
    Flip(usize),
    /// The file ends at so many thousandths of it.
    Cut(usize),
    /// 4 KiB of zeros from so many thousandths on.
    Zeros(usize),
}

/// What must come of it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// The node ends, at its start or when it reads the place, and names the file.
    Named,
    /// It answers as if nothing were.
    Harmless,
}

use Damage::{Cut, Flip, Zeros};
use Outcome::{Harmless, Named};

/// Folder and ending of the file (the largest of these), damage, outcome.
const CASES: &[(&str, &str, Damage, Outcome)] = &[
    ("raft/log", "wal", Flip(500), Named),
    ("raft/log", "wal", Cut(500), Named),
    ("raft/log", "wal", Zeros(700), Named),
    ("raft", "end", Zeros(0), Named),
    ("raft/snapshots", "snapshot", Flip(400), Named),
    ("raft/snapshots", "snapshot", Cut(990), Named),
    ("store/archive", "wmar", Flip(300), Named),
    ("store/archive", "wmar", Zeros(100), Named),
    ("store/archive", "wmar", Cut(999), Named),
    ("store/index", "db", Flip(300), Harmless),
    ("store/index", "db", Cut(500), Harmless),
    (".", "node-id", Cut(0), Named),
];

impl Damage {
    fn to(self, whole: &[u8]) -> Vec<u8> {
        let mut bytes = whole.to_vec();
        let place = |thousandths| whole.len() * thousandths / 1_000;
        match self {
            Flip(at) => bytes[place(at)] ^= 0x20,
            Cut(at) => bytes.truncate(place(at)),
            Zeros(at) => {
                let end = whole.len().min(place(at) + 4_096);
                bytes[place(at)..end].fill(0);
            }
        }
        bytes
    }
}

/// The largest file of a folder with an ending, but the newest snapshot: older ones are not read.
fn target(folder: &Path, ending: &str) -> PathBuf {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let named = |path: &PathBuf| {
        path.is_file() && path.file_name().unwrap().to_str().unwrap().ends_with(ending)
    };
    let weight = |path: &PathBuf| match ending {
        "snapshot" => {
            let stem = path.file_stem().unwrap().to_str().unwrap();
            stem.rsplit('-').next().unwrap().parse().unwrap()
        }
        _ => std::fs::metadata(path).unwrap().len(),
    };
    files.filter(named).max_by_key(weight).unwrap_or_else(|| panic!("{ending} in {folder:?}"))
}

/// All events of a sensor at one node, or why not.
fn events(world: &World, node: usize, site: &Site) -> Result<Vec<Value>, String> {
    let query: Query =
        vec![("sensor", site.files.sensor.to_string()), ("consistency", "local".to_owned())];
    let client = world.mesh.nodes()[node].client();
    let found = client.pages("/api/v1/events", query, usize::MAX).collect_items();
    found.map(|found| found.items).map_err(|cause| cause.to_string())
}

/// Starts a damaged node and reads all that it has: what it says at its end, or that it is whole.
fn started(world: &mut World, node: usize, site: &Site, whole: &[Value]) -> Result<(), String> {
    world.mesh.start_node(node).unwrap();
    world.mesh.await_alive(node).map_err(|cause| cause.to_string())?;
    let mut ended = None;
    wait_until("the node is whole, or ends", || {
        match events(world, node, site) {
            Ok(found) => assert!(found == whole, "other events, in silence"),
            Err(_) => {
                ended = world.mesh.await_alive(node).err().map(|cause| cause.to_string());
                return ended.is_some();
            }
        }
        true
    });
    ended.map_or(Ok(()), Err)
}

#[test]
fn damage_is_named_or_harmless_and_the_others_serve() {
    let mut world = World::found_with_snapshots_every(Some(SNAPSHOT_ENTRIES));
    let sites = [world.site(&scenario("a", 40, 5, 2))];
    world.replay_whole(&sites);
    let node = (world.leader() + 1) % NODES;
    world.await_snapshot(node);
    world.settle();
    let whole = events(&world, world.leader(), &sites[0]).unwrap();
    for (number, (folder, ending, damage, outcome)) in CASES.iter().enumerate() {
        let case = format!("{damage:?} of {folder}/*{ending}");
        world.kill(node);
        let path = target(&world.data(node, folder), ending);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, damage.to(&bytes)).unwrap();
        // A majority takes commands.
        world.mesh.add_site("renamed", &format!("during case {number}")).unwrap();
        let found = started(&mut world, node, &sites[0], &whole);
        match found {
            Ok(()) => assert_eq!(*outcome, Harmless, "{case} went unnoticed"),
            Err(said) => {
                assert_eq!(*outcome, Named, "{case}: {said}");
                assert!(
                    said.contains(path.file_name().unwrap().to_str().unwrap()),
                    "{case}: {said}"
                );
                assert!(ending == &"node-id" || said.contains("byte "), "{case}: {said}");
                assert!(ending == &"node-id" || said.contains("cluster replace"), "{case}: {said}");
                // It was this and nothing else: with the bytes back, it goes on.
                world.kill(node);
                std::fs::write(&path, &bytes).unwrap();
                world.start(node);
            }
        }
        world.settle();
        eprintln!("{case}: {outcome:?}");
    }
    world.await_events(node);
    assert!(events(&world, node, &sites[0]).unwrap() == whole);
}
