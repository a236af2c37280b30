//! Snapshots: transfer, pruning, and every damaged byte.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use tempfile::TempDir;

use std::io::Write;

use super::*;
use crate::raft::rpc::SnapshotName;
use crate::raft::state_machine::Machine;
use crate::raft::testing::{Recorder, Written, log_id};
use crate::raft::types::{Member, Membership, StoredMembership};

fn meta(index: u64) -> SnapshotMeta {
    let member = Member { name: "n".into(), raft_address: "n:4434".into(), ..Member::default() };
    let members = std::collections::BTreeMap::from([(1, member)]);
    let membership = Membership::new(vec![[1].into()], members).unwrap();
    SnapshotMeta {
        last_log_id: Some(log_id(1, index)),
        last_membership: StoredMembership::new(Some(log_id(1, 0)), membership),
    }
}

fn open(folder: &TempDir) -> Snapshots {
    Snapshots::open(folder.path()).unwrap()
}

/// Longer than two blocks.
fn numbers() -> Vec<u64> {
    (0..300_000).collect()
}

fn restored(snapshot: &Snapshot) -> io::Result<Vec<u64>> {
    let machine = Recorder::default();
    machine.restore(1, &mut snapshot.snapshot.state()?)?;
    Ok(machine.applied())
}

#[test]
fn a_snapshot_comes_back_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let written = open(&folder).write(&meta(9), &Written(numbers())).unwrap();
    let found = open(&folder).current().unwrap();
    assert_eq!(found.meta, meta(9));
    assert_eq!(found.meta, written.meta);
    assert!(restored(&found).unwrap() == numbers());
}

fn name(snapshot: &SnapshotFile) -> SnapshotName {
    let (length, sum) = (snapshot.length(), snapshot.sum().unwrap());
    SnapshotName { last: Some(log_id(1, 9)), length, sum }
}

/// Copies bytes of a snapshot to where they are received.
fn send(from: &SnapshotFile, range: std::ops::Range<u64>, to: &mut Incoming) {
    let mut bytes = vec![0; (range.end - range.start) as usize];
    from.file.read_exact_at(&mut bytes, range.start).unwrap();
    to.write_all(&bytes).unwrap();
}

#[test]
fn what_broke_off_is_gone_on_with_also_after_a_restart() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let sent = open(&here).write(&meta(9), &Written(numbers())).unwrap().snapshot;
    let (name, length) = (name(&sent), sent.length());
    let other = open(&there);
    assert_eq!(other.held(&name).unwrap(), (0, 0));
    let mut incoming = other.receive(&name, 0).unwrap();
    send(&sent, 0..1_000_000, &mut incoming);
    incoming.set_aside();
    let other = open(&there);
    let held = other.held(&name).unwrap();
    assert_eq!(held, (1_000_000, sent.checksum(1_000_000).unwrap()));
    assert_eq!(other.held(&SnapshotName { sum: name.sum ^ 1, ..name.clone() }).unwrap(), (0, 0));
    assert!(other.receive(&name, 1_000_001).is_err());
    // Again, from where the sender says.
    let mut incoming = other.receive(&name, 999_999).unwrap();
    send(&sent, 999_999..2_000_000, &mut incoming);
    incoming.set_aside();
    let mut incoming = other.receive(&name, other.held(&name).unwrap().0).unwrap();
    send(&sent, 2_000_000..length, &mut incoming);
    let received = incoming.finish().unwrap();
    other.keep(&received.meta, received.snapshot.clone()).unwrap();
    assert!(restored(&open(&there).current().unwrap()).unwrap() == numbers());
    assert_eq!(fs::read_dir(there.path()).unwrap().count(), 1);
}

#[test]
fn what_was_held_of_one_snapshot_is_never_another_ones() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let sent = open(&here).write(&meta(9), &Written(numbers())).unwrap().snapshot;
    let (name, other) = (name(&sent), open(&there));
    let mut incoming = other.receive(&name, 0).unwrap();
    incoming.write_all(&vec![7; 1_000_000]).unwrap();
    incoming.set_aside();
    assert_ne!(other.held(&name).unwrap().1, sent.checksum(1_000_000).unwrap(), "the sender sees");
    // One that does not look is found out at the end.
    let mut incoming = other.receive(&name, 1_000_000).unwrap();
    send(&sent, 1_000_000..sent.length(), &mut incoming);
    assert_eq!(incoming.finish().unwrap_err().kind(), io::ErrorKind::InvalidData);
    other.receive(&name, 0).unwrap().set_aside();
    let newer = SnapshotName { sum: 1, ..name };
    drop(other.receive(&newer, 0).unwrap());
    assert_eq!(fs::read_dir(there.path()).unwrap().count(), 0, "one at a time is kept");
}

#[test]
fn it_travels_to_another_node() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let sent = open(&here).write(&meta(9), &Written(numbers())).unwrap().snapshot;
    let other = open(&there);
    let mut incoming = other.receive(&name(&sent), 0).unwrap();
    let (mut buffer, mut offset) = (vec![0; 70_001], 0);
    while offset < sent.length() {
        let read = sent.read_at(&mut buffer, offset).unwrap();
        incoming.write_all(&buffer[..read]).unwrap();
        offset += read as u64;
    }
    let received = incoming.finish().unwrap();
    assert!(other.current().is_none());
    other.keep(&received.meta, received.snapshot.clone()).unwrap();
    drop(received);
    assert!(restored(&open(&there).current().unwrap()).unwrap() == numbers());
}

#[test]
fn what_is_not_kept_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let snapshots = open(&folder);
    let name = SnapshotName::default();
    let mut incoming = snapshots.receive(&name, 0).unwrap();
    incoming.write_all(b"no snapshot").unwrap();
    let error = incoming.finish().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    drop(snapshots.receive(&name, 0).unwrap());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    fs::write(folder.path().join(format!("7.{PARTIAL}")), "half").unwrap();
    open(&folder);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_newest_two_are_kept_and_an_older_one_stays_readable() {
    let folder = tempfile::tempdir().unwrap();
    let snapshots = open(&folder);
    let first = snapshots.write(&meta(8), &Written(vec![8])).unwrap();
    for index in [9, 10, 11] {
        snapshots.write(&meta(index), &Written(vec![index])).unwrap();
    }
    let mut names: Vec<_> = complete(folder.path()).unwrap();
    assert_eq!(names.pop().unwrap().0, Some(log_id(1, 11)));
    assert_eq!(names.pop().unwrap().0, Some(log_id(1, 10)));
    assert!(names.is_empty());
    assert_eq!(restored(&first).unwrap(), [8]);
    assert_eq!(snapshots.current().unwrap().meta, meta(11));
}

#[test]
fn every_flipped_bit_and_every_missing_byte_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = open(&folder).write(&meta(9), &Written(vec![1, 2, 3])).unwrap().snapshot.path;
    let whole = fs::read(&path).unwrap();
    let flipped = (0..whole.len() * 8).map(|bit| {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    });
    let zeroed = (0..whole.len()).filter_map(|from| {
        let mut bytes = whole.clone();
        bytes.iter_mut().skip(from).take(32).for_each(|byte| *byte = 0);
        (bytes != whole).then_some(bytes)
    });
    let shortened = (0..whole.len()).map(|length| whole[..length].to_vec());
    let longer = [whole.iter().copied().chain([0]).collect()];
    for bytes in flipped.chain(zeroed).chain(shortened).chain(longer) {
        fs::write(&path, &bytes).unwrap();
        let error = Snapshots::open(folder.path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert!(error.to_string().contains("byte"), "{error}");
        assert!(error.to_string().contains("cluster replace"), "{error}");
    }
}

#[tokio::test]
async fn a_sender_finds_the_damage_of_its_own_file() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = open(&folder).write(&meta(9), &Written(numbers())).unwrap().snapshot;
    snapshot.check().await.unwrap();
    let mut bytes = fs::read(&snapshot.path).unwrap();
    bytes[format::BLOCK_LENGTH + 5_000] ^= 1;
    fs::write(&snapshot.path, &bytes).unwrap();
    let error = snapshot.check().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    for named in [snapshot.path.to_str().unwrap(), "byte", "cluster replace"] {
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[test]
fn damage_is_located_to_its_block() {
    let folder = tempfile::tempdir().unwrap();
    let path = open(&folder).write(&meta(9), &Written(numbers())).unwrap().snapshot.path;
    let mut bytes = fs::read(&path).unwrap();
    let at = format::BLOCK_LENGTH + 5_000;
    bytes[at] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let error = Snapshots::open(folder.path()).unwrap_err().to_string();
    let offset = error.split("from byte ").nth(1).unwrap().split(' ').next().unwrap();
    let offset: usize = offset.parse().unwrap();
    assert!(offset <= at && at < offset + format::BLOCK_LENGTH + 8, "{error}");
}

#[test]
fn a_snapshot_of_a_newer_version_is_refused_but_not_called_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = open(&folder).write(&meta(9), &Written(vec![])).unwrap().snapshot.path;
    let mut bytes = fs::read(&path).unwrap();
    bytes[12] += 1;
    let header = 20 + u32::from_le_bytes(bytes[16..20].try_into().unwrap()) as usize;
    let sum = crc32c::crc32c(&bytes[..header]);
    bytes[header..header + 4].copy_from_slice(&sum.to_le_bytes());
    fs::write(&path, &bytes).unwrap();
    let error = Snapshots::open(folder.path()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    assert!(error.to_string().contains("update this node"), "{error}");
}

#[test]
fn an_older_snapshot_that_is_ready_late_is_not_the_current_one() {
    let folder = tempfile::tempdir().unwrap();
    let snapshots = open(&folder);
    snapshots.write(&meta(11), &Written(vec![])).unwrap();
    snapshots.write(&meta(9), &Written(vec![])).unwrap();
    assert_eq!(snapshots.current().unwrap().meta, meta(11));
    assert_eq!(open(&folder).current().unwrap().meta, meta(11));
}

#[test]
fn what_was_received_of_a_snapshot_goes_once_one_is_here_that_is_no_older() {
    let folder = tempfile::tempdir().unwrap();
    open(&folder).write(&meta(9), &Written(vec![1])).unwrap();
    // (last entry, or a name that is none) → whether it stays
    for (of, stays) in [(Some(8), false), (Some(9), false), (Some(10), true), (None, false)] {
        let last = of.map(|index| log_id(1, index));
        let name = SnapshotName { last, length: 7, sum: 5 };
        let path = open(&folder).received_path(&name);
        fs::write(&path, "begun").unwrap();
        drop(open(&folder));
        assert_eq!(path.exists(), stays, "{of:?}");
    }
    let stray = folder.path().join("received-x.partial");
    fs::write(&stray, "").unwrap();
    drop(open(&folder));
    assert!(!stray.exists());
}

#[test]
fn a_power_cut_at_any_step_leaves_the_old_snapshot_or_the_new() {
    type Files = std::collections::BTreeMap<String, Vec<u8>>;
    let contents = |folder: &TempDir| -> Files {
        let entries = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap());
        let named = |entry: fs::DirEntry| {
            (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
        };
        entries.map(named).collect()
    };
    let folder = tempfile::tempdir().unwrap();
    let snapshots = open(&folder);
    let write = |index: u64| {
        snapshots.write(&meta(index), &Written((0..index * 10).collect())).unwrap();
        contents(&folder)
    };
    let (_, old, new) = (write(1), write(2), write(3));
    assert_eq!((old.len(), new.len()), (KEPT, KEPT));
    let name = format!("{}.{COMPLETE}", stem(meta(3).last_log_id.as_ref()));
    let whole = new[&name].clone();
    let oldest = old.keys().find(|name| !new.contains_key(*name)).unwrap().clone();
    let mut images = vec![(old.clone(), 2), (new.clone(), 3)];
    let with = |name: &str, bytes: &[u8]| {
        let mut image = old.clone();
        image.insert(name.to_owned(), bytes.to_vec());
        image
    };
    for cut in (0..=whole.len()).step_by(11).chain([whole.len()]) {
        images.push((with("9.partial", &whole[..cut]), 2));
        let zeroed = [&whole[..cut], &vec![0; whole.len() - cut]].concat();
        images.push((with("9.partial", &zeroed), 2));
    }
    images.push((with(&name, &whole), 3));
    // The oldest is gone for good before the newest has its name.
    let mut image = with("9.partial", &whole);
    image.remove(&oldest);
    images.push((image, 2));
    for (image, index) in images {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in image {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        let found = open(&folder).current().unwrap();
        assert_eq!(found.meta, meta(index));
        assert!(restored(&found).unwrap() == (0..index * 10).collect::<Vec<_>>());
        assert!(contents(&folder).keys().all(|name| !name.ends_with(PARTIAL)));
    }
}
