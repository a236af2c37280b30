//! Nodes come back from power cuts and damaged disks: with all that was agreed on, or not at all.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{NODES, Site, World, judge, scenario};

/// Entries between two snapshots, where there are any.
const SNAPSHOT_ENTRIES: u64 = 15;

fn filled(snapshots: Option<u64>) -> (World, [Site; 1]) {
    let world = World::found_with_snapshots_every(snapshots);
    let sites = [world.site(&scenario("a", 40, 5, 2))];
    world.replay_whole(&sites);
    (world, sites)
}

fn devices(world: &World, node: usize) -> Vec<Value> {
    let client = world.mesh.nodes()[node].client();
    let query = vec![("consistency", "local".to_owned())];
    client.pages("/api/v1/devices", query, usize::MAX).collect_items().unwrap().items
}

#[test]
fn all_nodes_come_back_from_a_power_cut_with_everything() {
    let (mut world, sites) = filled(None);
    let events = judge::exactly_once(&world, &sites);
    let before: Vec<_> = (0..NODES).map(|node| devices(&world, node)).collect();
    assert!(before[0].len() >= 40 && before.iter().all(|one| *one == before[0]));

    (0..NODES).for_each(|node| world.kill(node));
    (0..NODES).for_each(|node| world.start(node));
    assert_eq!(judge::exactly_once(&world, &sites), events);
    for node in 0..NODES {
        assert!(devices(&world, node) == before[0], "node {node} has other devices");
    }
}

#[test]
fn a_lost_or_damaged_index_is_built_anew() {
    let (mut world, sites) = filled(Some(SNAPSHOT_ENTRIES));
    let events = judge::exactly_once(&world, &sites);
    let damages: [fn(&Path); 3] = [
        |index| std::fs::remove_dir_all(index).unwrap(),
        |index| flip_bytes(&index.join("db"), 997),
        |index| cut(&index.join("db")),
    ];
    for (node, damage) in damages.into_iter().enumerate() {
        world.kill(node);
        damage(&world.data(node, "store/index"));
        world.start(node);
        world.await_events(node);
    }
    assert_eq!(judge::exactly_once(&world, &sites), events);
}

#[test]
fn a_damaged_log_is_refused_with_file_and_offset() {
    let (mut world, _) = filled(None);
    let node = (world.leader() + 1) % NODES;
    world.kill(node);
    let chunk = chunk(&world.data(node, "raft"));
    let whole = std::fs::read(&chunk).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 0x10;
    std::fs::write(&chunk, &damaged).unwrap();
    world.mesh.start_node(node).unwrap();
    let refused = world.mesh.await_alive(node).unwrap_err().to_string();
    assert!(refused.contains(chunk.to_str().unwrap()), "names the file: {refused}");
    assert!(refused.contains("at byte "), "names the offset: {refused}");
    assert_eq!(std::fs::read(&chunk).unwrap(), damaged, "the damaged log was written to");
    // It was the byte and nothing else.
    std::fs::write(&chunk, &whole).unwrap();
    world.start(node);
    world.settle();
}

/// The largest file of the Raft log.
fn chunk(folder: &Path) -> PathBuf {
    let mut folders = vec![folder.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    let length = |path: &PathBuf| std::fs::metadata(path).unwrap().len();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "wal"));
    files.into_iter().max_by_key(length).expect("a chunk of the Raft log")
}

fn flip_bytes(file: &Path, step: usize) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes.iter_mut().skip(step).step_by(step).for_each(|byte| *byte ^= 0x5a);
    std::fs::write(file, bytes).unwrap();
}

fn cut(file: &Path) {
    let bytes = std::fs::read(file).unwrap();
    std::fs::write(file, &bytes[..bytes.len() / 3]).unwrap();
}
