//! The archive against gaps, damage, crashes and retention.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind::StorageFull;

use wardmesh_common::space::{Limits, Room};

use super::*;
use crate::state::command::DefineSite;
use crate::store::fixture::{Fleet, MemoryLog, tenant};

mod suspect;

const SMALL_FILE_BYTES: u64 = 4_096;

fn open(folder: &Path) -> Archive {
    Archive::with_file_bytes(folder, SMALL_FILE_BYTES).unwrap()
}

/// A log of small commands at these indexes; the time of each is its index in seconds.
fn log_of(indexes: &[u64]) -> MemoryLog {
    let log = MemoryLog::default();
    for &index in indexes {
        let (site, title) = ("a".parse().unwrap(), "x".repeat(index as usize));
        let action = Action::DefineSite(DefineSite { tenant: tenant(), site, title });
        let command = Command::new(Timestamp::from_parts(index, 0), action);
        log.put(index, command.encode().unwrap());
    }
    log
}

/// As apply would have given them: none.
fn no_rows(_: u64) -> Result<Rows, StoreError> {
    Ok(Rows::default())
}

/// One file for each of these.
fn append_each(archive: &Archive, log: &MemoryLog, through: &[u64]) {
    for &through in through {
        assert_eq!(archive.append(through, log, &no_rows).unwrap(), Some(through));
    }
}

#[test]
fn gives_back_the_very_bytes_after_a_restart_and_a_purge() {
    let (folder, fleet) = (tempfile::tempdir().unwrap(), Fleet::after(120));
    let logged: Vec<_> = (0..120).map(|index| fleet.log.read(index).unwrap()).collect();
    let rows = |index| Ok(Rows::from(fleet.rows(index)));
    let archive = open(folder.path());
    assert_eq!((archive.archived_through(), archive.history_from()), (None, None));
    assert_eq!(archive.append(59, &fleet.log, &rows).unwrap(), Some(59));
    assert_eq!(
        archive.append(40, &fleet.log, &no_rows).unwrap(),
        Some(59),
        "nothing is written twice"
    );
    fleet.log.purge(59);
    assert_eq!(archive.append(119, &fleet.log, &rows).unwrap(), Some(119));
    assert!(archive.files().len() > 5, "{:?}", archive.files());
    for archive in [archive, open(folder.path())] {
        assert_eq!(archive.history_from(), Some(0));
        for (index, bytes) in (0..).zip(&logged) {
            let kept = bytes.as_ref().filter(|_| !fleet.rows(index).is_empty());
            assert_eq!(archive.read(index).unwrap().as_ref(), kept, "entry {index}");
            let rows = kept.map(|_| Rows::from(fleet.rows(index)));
            assert_eq!(archive.rows(index).unwrap(), rows, "entry {index}");
        }
        assert_eq!(archive.read(120).unwrap(), None);
        let lengths: u64 =
            archive.files().iter().map(|f| fs::metadata(&f.path).unwrap().len()).sum();
        assert_eq!(archive.bytes(), lengths);
    }
}

/// What a reader gets of a folder: an error, or these commands.
fn read_all(folder: &Path, through: u64) -> Result<Vec<Option<Bytes>>, StoreError> {
    let archive = Archive::open(folder)?;
    (0..=through).map(|index| archive.read(index)).collect()
}

#[test]
fn notices_every_flipped_bit_and_every_lost_byte() {
    let folder = tempfile::tempdir().unwrap();
    Archive::open(folder.path()).unwrap().append(5, &log_of(&[1, 2, 4]), &no_rows).unwrap();
    let path = Archive::open(folder.path()).unwrap().files().remove(0).path;
    let sound = fs::read(&path).unwrap();
    read_all(folder.path(), 5).unwrap();
    for bit in 0..sound.len() * 8 {
        let mut bytes = sound.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &bytes).unwrap();
        let error = read_all(folder.path(), 5).expect_err("a flipped bit is noticed");
        assert!(matches!(error, StoreError::Corrupt { .. }), "bit {bit}: {error}");
        assert!(error.to_string().contains("wmar"), "{error}");
    }
    for from in 0..sound.len() {
        let mut bytes = sound.clone();
        bytes.iter_mut().skip(from).take(32).for_each(|byte| *byte = 0);
        fs::write(&path, &bytes).unwrap();
        let read = read_all(folder.path(), 5);
        let noticed = matches!(read, Err(StoreError::Corrupt { .. }));
        assert!(noticed || bytes == sound, "zeros from {from} on");
    }
    for length in 0..sound.len() {
        fs::write(&path, &sound[..length]).unwrap();
        assert!(matches!(read_all(folder.path(), 5), Err(StoreError::Corrupt { .. })), "{length}");
    }
    fs::write(&path, [&sound[..], b"\0"].concat()).unwrap();
    assert!(read_all(folder.path(), 5).is_err());
}

#[test]
fn an_unfinished_file_counts_for_nothing_and_is_written_again() {
    let (folder, log) = (tempfile::tempdir().unwrap(), log_of(&[1, 2, 3, 4]));
    open(folder.path()).append(2, &log, &no_rows).unwrap();
    let torn = folder.path().join("00000000000000000003.partial");
    fs::write(&torn, b"WMAR and then the power went").unwrap();
    fs::write(folder.path().join("README"), b"not ours").unwrap();
    let archive = open(folder.path());
    assert!(!torn.exists());
    assert_eq!(archive.archived_through(), Some(2));
    assert_eq!(archive.append(4, &log, &no_rows).unwrap(), Some(4));
    assert_eq!(archive.read(3).unwrap(), log.read(3).unwrap());
}

#[test]
fn a_file_under_another_name_or_twice_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).append(3, &log_of(&[1, 2, 3]), &no_rows).unwrap();
    let path = open(folder.path()).files().remove(0).path;
    fs::rename(&path, folder.path().join(file::name(0, 4))).unwrap();
    let opened = Archive::open(folder.path());
    assert!(matches!(opened, Err(StoreError::Misplaced { .. })), "{opened:?}");
    fs::rename(folder.path().join(file::name(0, 4)), &path).unwrap();
    let other = tempfile::tempdir().unwrap();
    let log = log_of(&[2, 3, 4]);
    log.purge(1);
    open(other.path()).append(4, &log, &no_rows).unwrap();
    let overlapping = open(other.path()).files().remove(0).path;
    fs::copy(&overlapping, folder.path().join(overlapping.file_name().unwrap())).unwrap();
    let opened = Archive::open(folder.path());
    assert!(matches!(opened, Err(StoreError::Misplaced { .. })), "{opened:?}");
}

#[test]
fn history_begins_after_a_gap_and_a_peers_file_closes_it() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = log_of(&[1, 2, 3, 4, 5, 6]);
    let peer = open(other.path());
    append_each(&peer, &log, &[2, 4]);
    let archive = open(folder.path());
    archive.append(2, &log, &no_rows).unwrap();
    log.purge(4);
    archive.append(6, &log, &no_rows).unwrap();
    assert_eq!(archive.history_from(), Some(5));
    assert_eq!(archive.read(4).unwrap(), None);

    let [first, second] = peer.files().try_into().unwrap();
    let fetched = folder.path().join("fetched");
    let fetch = |from: &Path| fs::copy(from, &fetched).unwrap();
    fetch(&first.path);
    assert!(matches!(archive.adopt(&fetched, 5), Err(StoreError::Misplaced { .. })));
    let mut damaged = fs::read(&second.path).unwrap();
    damaged[60] ^= 1;
    fs::write(&fetched, &damaged).unwrap();
    assert!(matches!(archive.adopt(&fetched, 5), Err(StoreError::Corrupt { .. })));
    fetch(&second.path);
    let adopted = archive.adopt(&fetched, 5).unwrap();
    assert_eq!((adopted.first, adopted.through), (3, 4));
    for archive in [archive, open(folder.path())] {
        assert_eq!(archive.history_from(), Some(0));
        assert_eq!(archive.read(4).unwrap(), peer.read(4).unwrap());
        assert_eq!(archive.archived_through(), Some(6));
    }
}

#[test]
fn a_peers_file_that_overlaps_gives_only_what_is_lacking() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = log_of(&[1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let peer = open(other.path());
    append_each(&peer, &log, &[9]);
    let [whole] = peer.files().try_into().unwrap();
    let archive = open(folder.path());
    append_each(&archive, &log, &[2]);
    archive.go_on_from(6);
    let fetched = archive.fetched_path(FileName { first: whole.first, through: whole.through });
    // What comes after entry 5 is still in this node's own log.
    fs::copy(&whole.path, &fetched).unwrap();
    let adopted = archive.adopt(&fetched, 6).unwrap();
    assert_eq!((adopted.first, adopted.through, adopted.newest.as_nanos()), (3, 5, 5_000_000_000));
    assert!(!fetched.exists());
    append_each(&archive, &log, &[9]);
    for archive in [archive, open(folder.path())] {
        assert_eq!((archive.history_from(), archive.archived_through()), (Some(0), Some(9)));
        for index in 1..=9 {
            assert_eq!(archive.read(index).unwrap(), log.read(index).unwrap());
        }
    }
}

#[test]
fn a_file_is_given_to_a_peer_by_range() {
    let folder = tempfile::tempdir().unwrap();
    let archive = open(folder.path());
    append_each(&archive, &log_of(&[1, 2]), &[2]);
    let [file] = archive.files().try_into().unwrap();
    let (name, whole) = (FileName { first: 0, through: 2 }, fs::read(&file.path).unwrap());
    let mut read = Vec::new();
    while (read.len() as u64) < file.bytes {
        read.extend(archive.read_file(name, read.len() as u64, 7).unwrap());
    }
    assert_eq!(read, whole);
    assert_eq!(archive.read_file(name, file.bytes, 7).unwrap(), b"");
    let gone = archive.read_file(FileName { first: 0, through: 3 }, 0, 7).unwrap_err();
    assert!(gone.is_not_found(), "{gone}");
}

#[test]
fn retention_removes_whole_files_the_oldest_first_and_never_the_last() {
    let folder = tempfile::tempdir().unwrap();
    let (log, archive) = (log_of(&[1, 2, 3, 4, 5, 6, 7, 8]), open(folder.path()));
    append_each(&archive, &log, &[1, 2, 3, 4, 5, 6, 7, 8]);
    let all = archive.bytes();
    let keep_all = Retention { bytes_max: all, since: Timestamp::EPOCH };
    assert_eq!(archive.retain(&keep_all).unwrap(), Retired::default());
    let first = archive.files()[0].bytes;
    let retired = archive.retain(&Retention { bytes_max: all - 1, ..keep_all }).unwrap();
    assert_eq!(retired, Retired { files: 1, bytes: first });
    assert_eq!((archive.history_from(), archive.read(1).unwrap()), (Some(2), None));
    let since = Timestamp::from_parts(5, 0);
    assert_eq!(archive.retain(&Retention { since, ..keep_all }).unwrap().files, 3);
    assert_eq!(archive.history_from(), Some(5));
    archive.retain(&Retention { bytes_max: 0, ..keep_all }).unwrap();
    assert_eq!((archive.history_from(), archive.archived_through()), (Some(8), Some(8)));
    assert_eq!(open(folder.path()).files(), archive.files());
}

#[test]
fn room_is_asked_for_the_next_file_alone() {
    const MIB: u64 = 1 << 20;
    let log = MemoryLog::default();
    for index in 1..=12 {
        let (site, title) = ("a".parse().unwrap(), "x".repeat(MIB as usize));
        let action = Action::DefineSite(DefineSite { tenant: tenant(), site, title });
        log.put(index, Command::new(Timestamp::from_parts(index, 0), action).encode().unwrap());
    }
    let limits = Limits { low: 32 * MIB, reserve: 16 * MIB };
    // (MiB above the reserve, archived before, through) → what is archived then
    let cases = [(2, None, 12, None), (5, None, 12, Some(12)), (3, Some(11), 12, Some(12))];
    for (above, before, through, archived) in cases {
        let folder = tempfile::tempdir().unwrap();
        if let Some(before) = before {
            open(folder.path()).append(before, &log, &no_rows).unwrap();
        }
        let archive = open(folder.path());
        let room = Room { free: limits.reserve + above * MIB, total: u64::MAX, files: true };
        let told = Box::new(move |_: &Path| Some(room));
        archive.watch(Arc::new(Space::told_by(folder.path().to_owned(), limits, told)));
        let appended = archive.append(through, &log, &no_rows);
        assert_eq!(archive.archived_through(), archived, "{above} {appended:?}");
        if archived.is_none() {
            assert!(matches!(appended, Err(StoreError::Full { .. })), "{appended:?}");
            assert_eq!(std::io::Error::from(appended.unwrap_err()).kind(), StorageFull);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "it began all the same");
        }
    }
}

#[test]
fn what_was_being_fetched_goes_once_its_entries_are_here() {
    let folder = tempfile::tempdir().unwrap();
    append_each(&open(folder.path()), &log_of(&[1, 2, 3, 4, 5, 6]), &[3, 6]);
    // (what a fetched file is to answer for) → whether it stays
    for ((first, through), stays) in [((1, 6), false), ((2, 3), false), ((5, 9), true)] {
        let path = open(folder.path()).fetched_path(FileName { first, through });
        fs::write(&path, "begun").unwrap();
        drop(open(folder.path()));
        assert_eq!(path.exists(), stays, "{first} {through}");
    }
    let stray = folder.path().join("stray.fetched");
    fs::write(&stray, "").unwrap();
    drop(open(folder.path()));
    assert!(!stray.exists());
}

#[test]
fn more_files_than_are_kept_open_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let indexes: Vec<u64> = (1..=3 * OPEN_FILES_MAX as u64).collect();
    let (log, archive) = (log_of(&indexes), open(folder.path()));
    append_each(&archive, &log, &indexes);
    for index in indexes.iter().chain(indexes.iter().rev()) {
        assert_eq!(archive.read(*index).unwrap(), log.read(*index).unwrap());
        assert!(archive.open.lock().len() <= OPEN_FILES_MAX);
    }
}

#[test]
fn an_entry_that_the_log_does_not_have_is_never_passed_over() {
    let (folder, log) = (tempfile::tempdir().unwrap(), MemoryLog::ending(3));
    let archive = open(folder.path());
    let error = archive.append(3, &log, &no_rows).unwrap_err();
    assert!(matches!(error, StoreError::Log { index: 3, .. }), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "what was begun is removed");
    assert_eq!(archive.append(2, &log, &no_rows).unwrap(), Some(2));
}

#[test]
fn an_entry_that_is_no_command_stops_the_archive_and_is_named() {
    let (folder, log) = (tempfile::tempdir().unwrap(), log_of(&[1, 3]));
    log.put(2, Bytes::from_static(b"no command"));
    let archive = open(folder.path());
    let error = archive.append(3, &log, &no_rows).unwrap_err();
    assert!(matches!(error, StoreError::Entry { index: 2, .. }), "{error}");
    assert_eq!(archive.archived_through(), None);
    assert_eq!(archive.append(1, &log, &no_rows).unwrap(), Some(1));
}

/// The files of a folder by name.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let named = |entry: fs::DirEntry| {
        (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
    };
    entries.map(named).collect()
}

#[test]
fn a_power_cut_at_any_step_leaves_the_old_archive_or_the_new() {
    let folder = tempfile::tempdir().unwrap();
    let log = log_of(&(1..=10).collect::<Vec<_>>());
    let archive = open(folder.path());
    append_each(&archive, &log, &[5]);
    let old = contents(folder.path());
    append_each(&archive, &log, &[10]);
    let new = contents(folder.path());
    let whole = new.iter().find(|(name, _)| !old.contains_key(*name)).unwrap().1;
    let partial = "00000000000000000006.partial".to_owned();
    let mut images = vec![(old.clone(), 5), (new.clone(), 10)];
    for cut in (0..=whole.len()).step_by(37).chain([whole.len()]) {
        let zeroed = [&whole[..cut], &vec![0; whole.len() - cut]].concat();
        for torn in [whole[..cut].to_vec(), zeroed] {
            let mut image = old.clone();
            image.insert(partial.clone(), torn);
            images.push((image, 5));
        }
    }
    for (image, through) in images {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in image {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        let archive = open(folder.path());
        assert_eq!(archive.archived_through(), Some(through));
        assert_eq!(archive.append(10, &log, &no_rows).unwrap(), Some(10));
        assert_eq!(contents(folder.path()), new);
    }
}

#[test]
fn a_file_whose_name_may_not_last_is_given_up_and_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let log = log_of(&(1..=10).collect::<Vec<_>>());
    let archive = open(folder.path());
    append_each(&archive, &log, &[5]);
    // As after a rename whose folder was not synced: it is there, and does not count.
    let name = file::name(6, 8);
    fs::write(folder.path().join(&name), b"it may go away").unwrap();
    writer::discard(folder.path(), 6);
    append_each(&archive, &log, &[10]);
    assert_eq!(open(folder.path()).archived_through(), Some(10));
    assert!(!folder.path().join(name).exists());
}
