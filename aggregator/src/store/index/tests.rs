//! The index against replays, gaps, damage and a writer that is behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::store::fixture::{Dice, Fleet, tenant};

mod blocks;

const WITHIN: Duration = Duration::from_secs(20);

/// Damages that are tried, all from one seed.
const DAMAGES: usize = 60;

fn expecting(next: u64) -> Expected {
    Expected { cluster: Some(ClusterId([1; 16])), next, history_from: 0 }
}

fn open(folder: &Path, next: u64) -> (Index, Rebuild) {
    Index::open(folder, &expecting(next)).unwrap()
}

fn commit(index: &Index, fleet: &Fleet, entries: std::ops::Range<u64>) {
    for entry in entries {
        index.commit(entry, fleet.rows(entry));
        if entry % 500 == 499 {
            index.flush();
        }
    }
    index.flush();
}

fn rows(index: &Index) -> Vec<(u64, AppliedBatch)> {
    let mut rows = Vec::new();
    let visitor = |index, batch| {
        rows.push((index, batch));
        Ok(ControlFlow::Continue(()))
    };
    index.visit(&tenant(), None, Place::default(), visitor).unwrap();
    rows
}

fn expected(fleet: &Fleet, entries: std::ops::Range<u64>) -> Vec<(u64, AppliedBatch)> {
    entries.flat_map(|entry| fleet.rows(entry).into_iter().map(move |row| (entry, row))).collect()
}

/// Feeds an entry as soon as the writer takes it.
fn feed(index: &Index, entry: u64, rows: Vec<AppliedBatch>) {
    let rows = Rows::from(rows);
    while !index.try_refeed(entry, &rows) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Feeds what is missing, as a node does.
fn refeed(index: &Index, fleet: &Fleet) {
    while let Some(missing) = index.progress().missing {
        (missing.from..=missing.through).for_each(|entry| feed(index, entry, fleet.rows(entry)));
        index.flush();
    }
}

#[test]
fn a_replay_changes_nothing() {
    let (folder, fleet) = (tempfile::tempdir().unwrap(), Fleet::after(200));
    let (index, rebuild) = open(folder.path(), 0);
    assert_eq!(rebuild, Rebuild::None);
    commit(&index, &fleet, 0..150);
    commit(&index, &fleet, 100..150);
    drop(index);
    let (index, rebuild) = open(folder.path(), 70);
    assert_eq!(rebuild, Rebuild::None);
    commit(&index, &fleet, 70..200);
    assert_eq!(rows(&index), expected(&fleet, 0..200));
    let progress = index.progress();
    assert_eq!((progress.next, progress.missing, progress.failed), (200, None, None));
    drop(index);
    assert_eq!(open(folder.path(), 200).1, Rebuild::None, "count and sum hold");
}

#[test]
fn what_is_missing_is_known_over_restarts_until_it_is_fed() {
    let (folder, fleet) = (tempfile::tempdir().unwrap(), Fleet::after(100));
    let (index, _) = open(folder.path(), 0);
    commit(&index, &fleet, 0..20);
    drop(index);
    let (index, rebuild) = open(folder.path(), 50);
    let missing = Missing { from: 20, through: 49 };
    assert_eq!(rebuild, Rebuild::From(missing));
    commit(&index, &fleet, 50..60);
    (20..30).for_each(|entry| feed(&index, entry, fleet.rows(entry)));
    (20..25).for_each(|entry| feed(&index, entry, fleet.rows(entry)));
    // A snapshot from another node: the next entry is further on.
    commit(&index, &fleet, 80..100);
    drop(index);
    let (index, rebuild) = open(folder.path(), 100);
    assert_eq!(rebuild, Rebuild::From(Missing { from: 30, through: 79 }));
    refeed(&index, &fleet);
    assert_eq!(rows(&index), expected(&fleet, 0..100));
    drop(index);
    assert_eq!(open(folder.path(), 100).1, Rebuild::None);
}

#[test]
fn only_what_can_still_be_had_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let expected = |next, history_from| Expected { history_from, ..expecting(next) };
    let open = |e: Expected| Index::open(folder.path(), &e).unwrap().1;
    assert_eq!(open(expected(50, 50)), Rebuild::None);
    assert_eq!(open(expected(70, 60)), Rebuild::From(Missing { from: 60, through: 69 }));
    assert_eq!(open(expected(70, 65)), Rebuild::From(Missing { from: 65, through: 69 }));
    assert_eq!(open(expected(70, 70)), Rebuild::None);
}

/// Damages the index in a folder.
type Spoiler<'a> = &'a dyn Fn(&Path);

/// Copies a folder, one level deep and below.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name))
        } else {
            drop(fs::copy(&path, to.join(name)))
        }
    }
}

#[test]
fn what_cannot_be_trusted_is_built_anew() {
    let (source, fleet) = (tempfile::tempdir().unwrap(), Fleet::after(60));
    let (index, _) = open(source.path(), 0);
    commit(&index, &fleet, 0..60);
    drop(index);
    let lost = |folder: &Path, change: &dyn Fn(&Db)| {
        let config = sled::Config::new().path(folder);
        let until = Instant::now() + WITHIN;
        while config.open().map(|db| change(&db)).is_err() && Instant::now() < until {}
    };
    let row = key::batch(&tenant(), Place { index: expected(&fleet, 0..60)[9].0, ordinal: 0 });
    let spoilers: [(&str, Spoiler<'_>); 7] = [
        ("lost marker", &|f| lost(f, &|db| drop(db.remove(key::META).unwrap()))),
        ("bad marker", &|f| lost(f, &|db| drop(db.insert(key::META, &[1, 0]).unwrap()))),
        ("lost row", &|f| lost(f, &|db| drop(db.remove(&row).unwrap().unwrap()))),
        ("changed row", &|f| lost(f, &|db| drop(db.insert(&row, &[1; 9]).unwrap().unwrap()))),
        ("added row", &|f| lost(f, &|db| drop(db.insert([9], &[1]).unwrap()))),
        ("no file", &|f| {
            fs::remove_file(f.join("db")).unwrap();
            fs::create_dir(f.join("db")).unwrap();
        }),
        ("overwritten file", &|f| fs::write(f.join("db"), vec![0xff; 600_000]).unwrap()),
    ];
    for (what, spoil) in spoilers {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        copy(source.path(), &path);
        spoil(&path);
        let (index, rebuild) = open(&path, 60);
        assert_eq!(rebuild, Rebuild::From(Missing { from: 0, through: 59 }), "{what}");
        refeed(&index, &fleet);
        assert_eq!(rows(&index), expected(&fleet, 0..60), "{what}");
    }
    let other = Expected { cluster: Some(ClusterId([2; 16])), ..expecting(60) };
    let (index, _) = Index::open(source.path(), &other).unwrap();
    assert_eq!(rows(&index), [], "another cluster's");
}

#[test]
fn damage_anywhere_is_harmless_since_it_is_built_anew() {
    let (source, fleet) = (tempfile::tempdir().unwrap(), Fleet::after(60));
    let (index, _) = open(source.path(), 0);
    commit(&index, &fleet, 0..60);
    drop(index);
    let mut dice = Dice(17);
    for _ in 0..DAMAGES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        copy(source.path(), &path);
        let file = path.join(["db", "conf"][usize::from(dice.below(8) == 0)]);
        let mut bytes = fs::read(&file).unwrap();
        // What lies before the end of what was written; behind it sled keeps zeros.
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1;
        let at = dice.below(used) as usize;
        match dice.below(3) {
            0 => bytes[at] ^= 1 << dice.below(8),
            1 => bytes.truncate(at),
            _ => bytes.iter_mut().skip(at).take(512).for_each(|byte| *byte = 0),
        }
        fs::write(&file, &bytes).unwrap();
        let (index, rebuild) = open(&path, 60);
        if let Rebuild::From(missing) = rebuild {
            (missing.from..=missing.through).for_each(|e| feed(&index, e, fleet.rows(e)));
            index.flush();
        }
        assert_eq!(rows(&index), expected(&fleet, 0..60), "{} at {at}", file.display());
    }
}

#[test]
fn a_sample_notices_damaged_rows_and_rows_that_nothing_finds() {
    let (folder, fleet) = (tempfile::tempdir().unwrap(), Fleet::after(60));
    let (index, _) = open(folder.path(), 0);
    commit(&index, &fleet, 0..60);
    opening::check_sample(&index.db).unwrap();
    let (entry, row) = expected(&fleet, 0..60).remove(0);
    let device = Subject::Device(row.devices[0]);
    let found_by = key::subject(&tenant(), &device, key::block(entry));
    assert!(index.db.remove(&found_by).unwrap().is_some());
    opening::check_sample(&index.db).unwrap_err();
    index.db.insert(found_by, &[1]).unwrap();
    opening::check_sample(&index.db).unwrap();
    let key = key::batch(&tenant(), Place { index: entry, ordinal: row.ordinal });
    index.db.insert(key, &[0; 9]).unwrap();
    opening::check_sample(&index.db).unwrap_err();
}

/// Flips single bits all over sled's file: an answer is whole, or the rows are asked for again.
#[test]
fn no_flipped_bit_leaves_rows_missing_unnoticed() {
    let (source, fleet) = (tempfile::tempdir().unwrap(), Fleet::after(300));
    let (index, _) = open(source.path(), 0);
    (0..30).for_each(|group| commit(&index, &fleet, group * 10..group * 10 + 10));
    drop(index);
    let sound = fs::read(source.path().join("db")).unwrap();
    let used: Vec<usize> = (0..sound.len()).filter(|at| sound[*at] != 0).collect();
    let mut dice = Dice(77);
    for _ in 0..60 {
        let folder = tempfile::tempdir().unwrap();
        let path: PathBuf = folder.path().join("index");
        copy(source.path(), &path);
        let (at, bit) = (used[dice.below(used.len() as u64) as usize], dice.below(8));
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << bit;
        fs::write(path.join("db"), &bytes).unwrap();
        let (index, _) = open(&path, 300);
        refeed(&index, &fleet);
        assert_eq!(rows(&index), expected(&fleet, 0..300), "bit {bit} of byte {at}");
    }
}

#[test]
fn a_waiting_reader_does_not_linger_and_is_told_when_it_waits_in_vain() {
    let (folder, fleet) = (tempfile::tempdir().unwrap(), Fleet::after(10));
    let (index, _) = open(folder.path(), 0);
    (0..10).for_each(|entry| index.commit(entry, fleet.rows(entry)));
    index.wait_for(9, WITHIN).unwrap();
    assert_eq!(rows(&index), expected(&fleet, 0..10));
    let error = index.wait_for(10, Duration::from_millis(20)).unwrap_err();
    assert!(matches!(error, StoreError::Behind { wanted: 10, next: 10 }), "{error}");
}

#[test]
fn commit_never_blocks_and_nothing_is_lost_for_good() {
    let (folder, fleet) = (tempfile::tempdir().unwrap(), Fleet::after(4_000));
    let (index, _) = open(folder.path(), 0);
    (0..4_000).for_each(|entry| index.commit(entry, fleet.rows(entry)));
    index.flush();
    index.commit(4_000, Vec::new());
    index.wait_for(4_000, WITHIN).unwrap();
    assert_eq!(index.passed_over() > 0, index.progress().missing.is_some());
    refeed(&index, &fleet);
    assert_eq!(rows(&index), expected(&fleet, 0..4_000));
    drop(index);
    assert_eq!(open(folder.path(), 4_001).1, Rebuild::None);
}

fn forget(index: &Index, below: u64, left: &[(u64, AppliedBatch)]) {
    let until = Instant::now() + WITHIN;
    index.forget(below);
    while rows(index).len() > left.len() && Instant::now() < until {
        index.flush();
    }
    assert_eq!(rows(index), left);
}

#[test]
fn forgets_whole_groups_with_all_that_finds_them() {
    let (folder, fleet) = (tempfile::tempdir().unwrap(), Fleet::after(1_300));
    let (index, _) = open(folder.path(), 0);
    commit(&index, &fleet, 0..1_300);
    forget(&index, 1_100, &expected(&fleet, 1_024..1_300));
    drop(index);
    let (index, rebuild) = open(folder.path(), 1_300);
    assert_eq!(rebuild, Rebuild::None, "count and sum hold");
    forget(&index, u64::MAX, &[]);
    assert_eq!(index.db.len(), 1, "only the marker is left");
}

#[test]
fn the_time_of_application_is_found_by_halving() {
    let (folder, fleet) = (tempfile::tempdir().unwrap(), Fleet::after(150));
    let (index, _) = open(folder.path(), 0);
    commit(&index, &fleet, 0..150);
    for at in (990..1_160).map(|seconds| Timestamp::from_parts(seconds, 0)) {
        let from = index.applied_from(&tenant(), at).unwrap();
        let later =
            |(entry, row): &(u64, AppliedBatch)| (*entry >= from) == (row.received_at >= at);
        assert!(rows(&index).iter().all(later), "{at}");
    }
    assert_eq!(index.applied_from(&"other".parse().unwrap(), Timestamp::EPOCH).unwrap(), 0);
    assert!(index.progress().ahead > Duration::ZERO);
}

#[test]
fn a_row_that_cannot_be_read_is_an_error_that_names_the_index() {
    let (folder, fleet) = (tempfile::tempdir().unwrap(), Fleet::after(50));
    let (index, _) = open(folder.path(), 0);
    commit(&index, &fleet, 0..50);
    let (key, _) = index.db.scan_prefix([key::BATCHES]).nth(3).unwrap().unwrap();
    let (_, damaged) = key::read_batch(&key).unwrap();
    let before = expected(&fleet, 0..damaged.index).len();
    index.db.insert(key, b"no row").unwrap();
    let from = Place { index: 0, ordinal: 0 };
    let mut seen = 0;
    let visited = index.visit(&tenant(), None, from, |_, _| {
        seen += 1;
        Ok(ControlFlow::Continue(()))
    });
    let why = visited.unwrap_err().to_string();
    assert!(why.contains(folder.path().to_str().unwrap()), "{why}");
    assert_eq!(seen, before, "it went on behind what it could not read");
}

#[test]
fn a_second_process_is_refused_and_harms_nothing() {
    let (folder, fleet) = (tempfile::tempdir().unwrap(), Fleet::after(10));
    let (index, _) = open(folder.path(), 0);
    commit(&index, &fleet, 0..10);
    let second = Index::open(folder.path(), &expecting(0));
    assert!(matches!(second, Err(StoreError::Locked(_))), "{second:?}");
    assert_eq!(rows(&index), expected(&fleet, 0..10));
}
