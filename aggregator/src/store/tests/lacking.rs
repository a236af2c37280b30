//! What the index lacks is never taken for what is not there.

use super::*;
use crate::state::command::{Action, Command};

#[test]
fn an_event_whose_row_is_not_fed_yet_is_not_denied() {
    let (folder, fleet) = (tempfile::tempdir().unwrap(), Fleet::after(60));
    drop(filled(folder.path(), &fleet));
    fs::remove_dir_all(folder.path().join("index")).unwrap();
    let (store, rebuild) = open(folder.path(), 30);
    let missing = Missing { from: 0, through: 29 };
    assert_eq!(rebuild, Rebuild::From(missing));
    (30..60).for_each(|entry| store.commit(entry, fleet.rows(entry)));
    store.flush();
    let find = |place| store.event(&tenant(), place, &fleet.log, &resolve);
    for event in &fleet.events {
        match (find(event.reference), event.reference.index < 30) {
            (Ok(Some(found)), false) => assert_eq!(&found, event),
            (Err(StoreError::Lacking(lacks)), true) => assert_eq!(lacks, missing),
            (answer, _) => panic!("{}: {answer:?}", event.reference),
        }
    }
    store.refeed(missing, &|| false).unwrap();
    store.flush();
    let found = |event: &StoredEvent| find(event.reference).unwrap().as_ref() == Some(event);
    assert!(fleet.events.iter().all(found));
}

#[test]
fn feeding_comes_further_each_time_also_where_there_is_nothing_to_feed() {
    let (folder, fleet) = (tempfile::tempdir().unwrap(), Fleet::after(1));
    let (store, _) = open(folder.path(), 0);
    (1..=100).for_each(|index| {
        let tick = Command::new(Timestamp::from_parts(index, 0), Action::Tick);
        fleet.log.put(index, tick.encode().unwrap());
        store.commit(index, Vec::new());
    });
    store.archive_up_to(100, &fleet.log).unwrap();
    drop(store);
    fs::remove_dir_all(folder.path().join("index")).unwrap();
    let (store, _) = open(folder.path(), 101);
    let mut turns = 0;
    while let Some(missing) = store.missing(&fleet.log) {
        let looks = AtomicUsize::new(0);
        // Ten entries a turn, none of which has a row.
        store.refeed(missing, &|| looks.fetch_add(1, Ordering::Relaxed) >= 10).unwrap();
        store.flush();
        turns += 1;
        assert!(turns < 20, "it stands still at {missing:?}");
    }
    assert!(turns > 5);
}

#[test]
fn what_is_applied_finds_room_beside_a_history_that_is_fed() {
    let (folder, fleet) = (tempfile::tempdir().unwrap(), Fleet::after(3_000));
    let (store, _) = open(folder.path(), 0);
    (0..3_000).for_each(|entry| store.commit(entry, fleet.rows(entry)));
    store.archive_up_to(2_999, &fleet.log).unwrap();
    drop(store);
    fs::remove_dir_all(folder.path().join("index")).unwrap();
    let (store, _) = open(folder.path(), 3_000);
    store.index.begin_at(3_000);
    store.flush();
    // The writer stands still, as it does in a sled garbage collection.
    let free = Arc::new(AtomicU64::new(0));
    let (told, limits) = (Arc::clone(&free), Limits { low: 2 << 20, reserve: 1 << 20 });
    let told = move |_: &Path| {
        Some(Room { free: told.load(Ordering::Acquire), total: u64::MAX, files: true })
    };
    store.index.watch(Arc::new(Space::told_by(folder.path().to_owned(), limits, Box::new(told))));
    std::thread::scope(|scope| {
        let feeding = scope.spawn(|| while store.extend_index(&|| false).unwrap() {});
        // It feeds as much as it may, and no more after that.
        std::thread::sleep(Duration::from_millis(300));
        (3_000..3_600).for_each(|entry| store.commit(entry, Vec::new()));
        assert_eq!(store.passed_over(), 0);
        free.store(1 << 40, Ordering::Release);
        feeding.join().unwrap();
    });
    store.flush();
    assert_eq!((store.history_from(&fleet.log), store.progress().missing), (0, None));
    let mut dice = Dice(3);
    assert!(turn(&store, &fleet, &EventQuery::all(tenant(), 1), &mut dice) == fleet.events);
}
