//! The store as a whole: pages are complete and exact, whatever was archived, purged or lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use wardmesh_common::id::SensorId;
use wardmesh_common::space::{Limits, Room};
use wardmesh_common::time::Timestamp;

use super::archive::{FileName, Retention};
use super::fixture::{Dice, Fleet, device, resolve, tenant};
use super::*;

mod lacking;

const SMALL_FILE_BYTES: u64 = 16_384;

fn open(folder: &Path, next: u64) -> (Store, Rebuild) {
    let archive = Archive::with_file_bytes(&folder.join("archive"), SMALL_FILE_BYTES).unwrap();
    let opening = Opening { cluster: None, next };
    Store::with_archive(folder, archive, &opening).unwrap()
}

/// A store that a fleet's entries went through, the older half archived and purged from the log.
fn filled(folder: &Path, fleet: &Fleet) -> Store {
    let (store, _) = open(folder, 0);
    (0..fleet.next).for_each(|entry| store.commit(entry, fleet.rows(entry)));
    store.flush();
    assert_eq!(store.missing(&fleet.log), None);
    let half = fleet.next / 2;
    assert_eq!(store.archive_up_to(half, &fleet.log).unwrap(), Some(half));
    fleet.log.purge(half - 10);
    store
}

/// Turns pages of random sizes until there are no more.
fn turn(store: &Store, fleet: &Fleet, query: &EventQuery, dice: &mut Dice) -> Vec<StoredEvent> {
    let (mut events, mut query) = (Vec::new(), query.clone());
    loop {
        let most = [5, 900][dice.below(2) as usize];
        query.limit = 1 + dice.below(most) as usize;
        let page = store.events(&query, &fleet.log, &resolve).unwrap();
        assert!(page.events.len() <= query.limit);
        events.extend(page.events);
        match page.next {
            Some(next) if Some(next) > query.after => query.after = Some(next),
            Some(next) => panic!("the page after {:?} goes on at {next}", query.after),
            None => return events,
        }
    }
}

fn queries() -> Vec<EventQuery> {
    let all = EventQuery::all(tenant(), 1);
    let site = |name: &str| Some(name.parse().unwrap());
    let (sensor, time) = (SensorId([3; 16]), |s| Some(Timestamp::from_parts(s, 0)));
    let mut queries = vec![
        EventQuery { site: site("site-0"), ..all.clone() },
        EventQuery { site: site("site-9"), ..all.clone() },
        EventQuery { sensor: Some(sensor), ..all.clone() },
        EventQuery { device: Some(device(4)), ..all.clone() },
        EventQuery { device: Some(device(200)), ..all.clone() },
        EventQuery { since: time(1_150), until: time(1_200), ..all.clone() },
        EventQuery { since: time(1_201), until: time(1_200), ..all.clone() },
    ];
    queries.push(EventQuery { site: site("site-1"), device: Some(device(2)), ..all.clone() });
    queries.push(EventQuery { sensor: Some(sensor), device: Some(device(2)), ..all.clone() });
    queries.push(EventQuery { sensor: Some(sensor), site: site("site-0"), ..all.clone() });
    queries.push(EventQuery { device: Some(device(1)), since: time(1_100), ..all.clone() });
    queries.push(all);
    queries
}

#[test]
fn pages_hold_every_event_once_and_in_log_order() {
    let (folder, fleet) = (tempfile::tempdir().unwrap(), Fleet::after(400));
    let (store, mut dice) = (filled(folder.path(), &fleet), Dice(5));
    for query in queries() {
        for _ in 0..3 {
            let events = turn(&store, &fleet, &query, &mut dice);
            assert!(events == fleet.expected(&query, 0), "{query:?}");
        }
    }
    let other = EventQuery::all("other".parse().unwrap(), 10);
    let page = store.events(&other, &fleet.log, &resolve).unwrap();
    assert_eq!((page.events, page.next, page.indexed_below), (vec![], None, 400));
}

/// A store whose memory holds the rows of few batches only.
fn narrow(folder: &Path, fleet: &Arc<Fleet>, room: &Arc<AtomicU64>) -> Store {
    let (mut store, _) = open(folder, 0);
    store.pending = Pending::of_at_most(20);
    store.attach(Box::new(Arc::clone(fleet)));
    let room = Arc::clone(room);
    let told = move |_: &Path| {
        Some(Room { free: room.load(Ordering::Relaxed), total: u64::MAX, files: true })
    };
    let limits = Limits { low: 2 << 20, reserve: 1 << 20 };
    store.archive.watch(Arc::new(Space::told_by(folder.to_owned(), limits, Box::new(told))));
    store
}

/// As at a start, where the log is applied before anybody archives beside.
#[test]
fn more_than_memory_holds_may_be_applied_without_a_row_being_lost() {
    let (folder, fleet) = (tempfile::tempdir().unwrap(), Arc::new(Fleet::after(400)));
    let room = Arc::new(AtomicU64::new(u64::MAX));
    let store = narrow(folder.path(), &fleet, &room);
    (0..400).for_each(|entry| store.commit(entry, fleet.rows(entry)));
    assert!(store.take_failure().is_none());
    assert_eq!(store.archive_up_to(399, &fleet.log).unwrap(), Some(399));
    for entry in 0..400 {
        assert_eq!(store.rows(entry).unwrap(), fleet.rows(entry).into(), "{entry}");
    }
}

#[test]
fn rows_that_found_no_room_are_lost_until_the_next_start_alone() {
    let (folder, fleet) = (tempfile::tempdir().unwrap(), Arc::new(Fleet::after(400)));
    let room = Arc::new(AtomicU64::new(0));
    let store = narrow(folder.path(), &fleet, &room);
    (0..400).for_each(|entry| store.commit(entry, fleet.rows(entry)));
    assert!(matches!(store.take_failure(), Some(StoreError::Full { .. })));
    assert!(store.take_failure().is_none(), "it tried once");
    room.store(u64::MAX, Ordering::Relaxed);
    std::thread::sleep(Duration::from_millis(50));
    let lost = store.archive_up_to(399, &fleet.log).unwrap_err();
    let StoreError::RowsLost(lost) = lost else { panic!("{lost}") };
    assert_eq!(store.archived_through(), Some(lost - 1), "what comes before is kept");
    drop(store);
    let store = narrow(folder.path(), &fleet, &room);
    (0..400).for_each(|entry| store.commit(entry, fleet.rows(entry)));
    assert_eq!(store.archive_up_to(399, &fleet.log).unwrap(), Some(399));
    assert_eq!(store.rows(lost).unwrap(), fleet.rows(lost).into());
}

#[test]
fn a_snapshot_counts_what_is_not_archived_and_a_restart_nothing_of_what_is() {
    let (folder, fleet) = (tempfile::tempdir().unwrap(), Arc::new(Fleet::after(100)));
    let (store, _) = open(folder.path(), 0);
    store.attach(Box::new(Arc::clone(&fleet)));
    assert_eq!(store.unarchived_bytes(), 0);
    (0..100).for_each(|entry| store.commit(entry, fleet.rows(entry)));
    let all = store.unarchived_bytes();
    assert!(all >= fleet.log.bytes_from(0), "{all}");
    store.archive_up_to(60, &fleet.log).unwrap();
    assert!((1..all / 2).contains(&store.unarchived_bytes()), "{}", store.unarchived_bytes());
    store.archive_up_to(99, &fleet.log).unwrap();
    assert_eq!(store.unarchived_bytes(), 0);
    drop(store);
    let (store, _) = open(folder.path(), 100);
    store.attach(Box::new(Arc::clone(&fleet)));
    (0..100).for_each(|entry| store.commit(entry, fleet.rows(entry)));
    assert_eq!(store.unarchived_bytes(), 0, "nothing has come since");
}

/// The index waits for room: neither what makes room nor the node's end may wait for the index.
#[test]
fn a_full_volume_holds_up_neither_retention_nor_the_end() {
    let (folder, fleet) = (tempfile::tempdir().unwrap(), Fleet::after(3_000));
    let (store, _) = open(folder.path(), 0);
    let limits = Limits { low: 2 << 20, reserve: 1 << 20 };
    let told = |_: &Path| Some(Room { free: 0, total: u64::MAX, files: true });
    store.index.watch(Arc::new(Space::told_by(folder.path().to_owned(), limits, Box::new(told))));
    (0..3_000).for_each(|entry| store.commit(entry, fleet.rows(entry)));
    for through in [100, 2_999] {
        store.archive_up_to(through, &fleet.log).unwrap();
    }
    let store = Arc::new(store);
    let (done, waited) = std::sync::mpsc::channel();
    let worker = Arc::clone(&store);
    let working = std::thread::spawn(move || {
        let retention = Retention { bytes_max: 0, since: Timestamp::EPOCH };
        let retired = worker.retain(&retention).unwrap();
        done.send(retired.files > 0).unwrap();
        worker.flush();
        done.send(true).unwrap();
    });
    let patience = Duration::from_secs(20);
    assert_eq!(waited.recv_timeout(patience), Ok(true), "retention waits for the index");
    assert!(waited.recv_timeout(Duration::from_millis(300)).is_err(), "there is no room");
    store.stopping();
    assert_eq!(waited.recv_timeout(patience), Ok(true), "the end waits for room");
    working.join().unwrap();
    drop(store);
    // Nothing was written: all of it is missing now, and none is taken to be there.
    let (_, rebuild) = open(folder.path(), 3_000);
    let Rebuild::From(missing) = rebuild else { panic!("{rebuild:?}") };
    assert_eq!(missing.through, 2_999);
}

#[test]
fn every_event_is_found_at_its_place_and_nothing_beside_it() {
    let (folder, fleet) = (tempfile::tempdir().unwrap(), Fleet::after(60));
    let store = filled(folder.path(), &fleet);
    let find = |tenant: &TenantId, place| store.event(tenant, place, &fleet.log, &resolve).unwrap();
    for event in &fleet.events {
        assert_eq!(event.reference.to_string().parse(), Ok(event.reference));
        assert_eq!(find(&tenant(), event.reference).as_ref(), Some(event));
        assert_eq!(find(&"other".parse().unwrap(), event.reference), None);
        let beside = EventRef { position: event.reference.position + 7, ..event.reference };
        assert_eq!(find(&tenant(), beside), None);
    }
    for text in
        ["", "evt_", "1-2-3", "evt_1-2", "evt_1-2-3-4", "evt_01-2-3", "evt_1-+2-3", "evt_1-2-x"]
    {
        assert!(text.parse::<EventRef>().is_err(), "{text}");
    }
}

#[test]
fn a_page_that_finds_nothing_is_bounded_and_says_where_to_go_on() {
    let (folder, fleet) = (tempfile::tempdir().unwrap(), Fleet::after(300));
    let store = filled(folder.path(), &fleet);
    let unknown = |_: &AppliedBatch, _: &str, _: &wardmesh_common::wire::v1::ArchivedEvent| None;
    let mut query = EventQuery { device: Some(device(1)), ..EventQuery::all(tenant(), 50) };
    let mut pages = 0;
    while let Some(next) = store.events(&query, &fleet.log, &unknown).unwrap().next {
        assert!(Some(next) > query.after);
        query.after = Some(next);
        pages += 1;
    }
    let batches = fleet.rows.values().flatten().filter(|row| row.devices.contains(&device(1)));
    assert_eq!(pages, (batches.count() - 1) / events::BATCHES_PER_PAGE_MAX);
    assert!(pages > 0);
}

#[test]
fn what_retention_removed_is_not_found_and_the_page_says_so() {
    let (folder, fleet) = (tempfile::tempdir().unwrap(), Fleet::after(400));
    let store = filled(folder.path(), &fleet);
    let before = store.disk_bytes().unwrap();
    let bytes_max = before.archive / 2;
    let retired = store.retain(&Retention { bytes_max, since: Timestamp::EPOCH }).unwrap();
    assert!(retired.files > 0);
    assert_eq!(store.disk_bytes().unwrap().archive, before.archive - retired.bytes);
    let history_from = store.history_from(&fleet.log);
    assert!(history_from > 0 && history_from < 200, "{history_from}");
    let mut dice = Dice(6);
    for query in queries() {
        assert!(turn(&store, &fleet, &query, &mut dice) == fleet.expected(&query, history_from));
        assert_eq!(store.events(&query, &fleet.log, &resolve).unwrap().history_from, history_from);
    }
    drop(store);
    let (_, rebuild) = open(folder.path(), 201);
    assert_eq!(rebuild, Rebuild::None);
}

#[test]
fn after_a_snapshot_from_another_node_history_comes_back_from_its_peers() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut fleet = Fleet::after(70);
    // A peer whose files are cut elsewhere.
    let peer = filled(other.path(), &fleet);
    assert_eq!(peer.archive_up_to(69, &fleet.log).unwrap(), Some(69));
    fleet = Fleet::after(100);
    let (store, _) = open(folder.path(), 0);
    (0..20).for_each(|entry| store.commit(entry, fleet.rows(entry)));
    store.archive_up_to(10, &fleet.log).unwrap();
    // What the log still has of entries that were not applied here is not taken from it.
    store.restored(59);
    assert_eq!(store.archive_up_to(59, &fleet.log).unwrap(), Some(10));
    fleet.log.purge(59);
    (60..100).for_each(|entry| store.commit(entry, fleet.rows(entry)));
    store.flush();
    assert_eq!((store.missing(&fleet.log), store.history_from(&fleet.log)), (None, 60));
    let query = EventQuery::all(tenant(), 1_000);
    let page = store.events(&query, &fleet.log, &resolve).unwrap();
    assert!(page.events == fleet.expected(&query, 60));
    assert_eq!((page.missing, page.history_from), (None, 60));
    assert_eq!(store.archive_up_to(99, &fleet.log).unwrap(), Some(99));
    fleet.log.purge(99);
    assert_eq!(store.history_from(&fleet.log), 60);
    assert!(store.events(&query, &fleet.log, &resolve).unwrap().events == page.events);

    let mut history = vec![60];
    for file in peer.archive().files().iter().rev() {
        let name = FileName { first: file.first, through: file.through };
        let fetched = store.archive().fetched_path(name);
        fs::copy(&file.path, &fetched).unwrap();
        match store.archive().adopt(&fetched, *history.last().unwrap()) {
            Ok(_) => {}
            Err(StoreError::Misplaced { .. }) => continue,
            Err(error) => panic!("{error}"),
        }
        // Until its rows are fed, nothing of it is promised.
        assert_eq!(store.history_from(&fleet.log), *history.last().unwrap());
        assert!(store.extend_index(&|| false).unwrap());
        history.push(store.history_from(&fleet.log));
    }
    while store.extend_index(&|| false).unwrap() {}
    assert!(history.len() > 3 && history.is_sorted_by(|a, b| a > b), "{history:?}");
    assert_eq!((store.history_from(&fleet.log), store.missing(&fleet.log)), (0, None));
    let mut dice = Dice(8);
    for query in queries() {
        assert!(turn(&store, &fleet, &query, &mut dice) == fleet.expected(&query, 0), "{query:?}");
    }
    drop(store);
    fs::remove_dir_all(folder.path().join("index")).unwrap();
    let (store, rebuild) = open(folder.path(), 100);
    let missing = Missing { from: 0, through: 99 };
    assert_eq!(rebuild, Rebuild::From(missing));
    store.refeed(missing, &|| false).unwrap();
    store.flush();
    assert!(turn(&store, &fleet, &EventQuery::all(tenant(), 1), &mut dice) == fleet.events);
}

#[test]
fn a_row_of_another_batch_is_an_error_not_an_answer() {
    let (folder, fleet) = (tempfile::tempdir().unwrap(), Fleet::after(30));
    let (store, _) = open(folder.path(), 0);
    for entry in 0..30 {
        let mut rows = fleet.rows(entry);
        rows.iter_mut().for_each(|row| row.seq += 1);
        store.commit(entry, rows);
    }
    store.flush();
    let error = store.events(&EventQuery::all(tenant(), 9), &fleet.log, &resolve).unwrap_err();
    assert!(matches!(error, StoreError::Entry { .. }), "{error}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    let Ok(entries) = fs::read_dir(from) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        let to = to.join(path.file_name().unwrap());
        // What vanishes meanwhile was being renamed or collected.
        if path.is_dir() { copy(&path, &to) } else { drop(fs::copy(&path, &to)) }
    }
}

/// Copies the folder while it is being written, as a crash leaves it, and goes on from the copy.
#[test]
fn a_crash_at_any_moment_loses_nothing_that_was_archived_or_can_be_replayed() {
    let (folder, fleet) = (tempfile::tempdir().unwrap(), Fleet::after(600));
    let (source, done) = (folder.path().join("store"), AtomicBool::new(false));
    let (store, _) = open(&source, 0);
    let copied = AtomicUsize::new(0);
    let copies: Vec<(PathBuf, Option<u64>)> = std::thread::scope(|scope| {
        scope.spawn(|| {
            let begun = Instant::now();
            for entry in 0..600 {
                // The copies are spread over the writing, however slow the copying is.
                while copied.load(Ordering::SeqCst) < entry as usize / 100 {
                    assert!(begun.elapsed() < Duration::from_secs(120), "nothing is copied");
                    std::thread::sleep(Duration::from_millis(1));
                }
                store.commit(entry, fleet.rows(entry));
                if entry % 40 == 39 {
                    store.archive_up_to(entry, &fleet.log).unwrap();
                }
                std::thread::sleep(Duration::from_micros(500));
            }
            done.store(true, Ordering::SeqCst);
        });
        let mut copies = Vec::new();
        while !done.load(Ordering::SeqCst) && copies.len() < 12 {
            let archived = store.archived_through();
            let to = folder.path().join(format!("copy-{}", copies.len()));
            copy(&source, &to);
            copies.push((to, archived));
            copied.store(copies.len(), Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(15));
        }
        copies
    });
    assert!(copies.len() > 3);
    let mut dice = Dice(7);
    for (copy, archived) in copies {
        let sealed = Archive::open(&copy.join("archive")).unwrap().archived_through();
        let next = sealed.map_or(0, |sealed| sealed + 1);
        let (store, _) = open(&copy, next);
        assert!(store.archived_through() >= archived);
        for index in 0..=archived.unwrap_or(0) {
            let kept = fleet.log.read(index).unwrap().filter(|_| !fleet.rows(index).is_empty());
            assert_eq!(store.archive().read(index).unwrap(), kept);
        }
        (next..600).for_each(|entry| store.commit(entry, fleet.rows(entry)));
        store.flush();
        while let Some(missing) = store.missing(&fleet.log) {
            store.refeed(missing, &|| false).unwrap();
            store.flush();
        }
        let query = EventQuery::all(tenant(), 1);
        assert!(turn(&store, &fleet, &query, &mut dice) == fleet.events);
    }
}
