//! The spool across closing, damage, a full budget and a new epoch.

use super::*;

#[path = "tests/crash.rs"]
mod crash;

#[path = "tests/told.rs"]
mod told;

const LARGE: u64 = 1 << 30;

fn archive(lane: Lane, text: &str) -> Archive {
    Archive { lane, bytes: text.as_bytes().to_vec(), events: 1 }
}

fn open(folder: &Path, epoch: u64) -> Spool {
    let (spool, aside) = Spool::open(folder, LARGE, epoch, None).unwrap();
    assert_eq!(aside, None);
    spool
}

/// Waits until orders that have no answer are carried out.
fn settle(spool: &Spool) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(spool.settled());
}

fn bulk(spool: &Spool) -> Vec<(u64, u64, u64, Vec<u8>)> {
    let held = spool.after(Lane::Bulk, None, 100).unwrap();
    held.iter()
        .map(|(position, bytes)| {
            let frame = wardmesh_common::wire::frame::Frame::open(bytes).unwrap();
            let archive = frame.archive(&mut Vec::new()).unwrap().to_vec();
            (position.start, position.seq, frame.header.epoch, archive)
        })
        .collect()
}

fn reopen(folder: &Path, spool: Spool, epoch: u64) -> Spool {
    drop(spool);
    begin_again(folder, epoch, || None)
}

/// Once the last start has let go of the folder.
fn begin_again(folder: &Path, epoch: u64, ledger: impl Fn() -> Option<Ledger>) -> Spool {
    for _ in 0..200 {
        match Spool::open(folder, LARGE, epoch, ledger()) {
            Ok((spool, None)) => return spool,
            Ok((_, Some(aside))) => panic!("set aside: {aside:?}"),
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(10)),
        }
    }
    panic!("the spool stays locked");
}

#[test]
fn keeps_order_over_starts_and_forgets_only_what_is_acked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool");
    let spool = open(&path, 7);
    for text in ["a", "b", "c"] {
        assert_eq!(spool.hold(archive(Lane::Bulk, text)).unwrap(), Kept::Emitted);
    }
    let spool = reopen(&path, spool, 8);
    spool.hold(archive(Lane::Bulk, "d")).unwrap();
    assert_eq!(spool.epochs(), Epochs { current: 8, held: vec![7] });
    spool.acked(Lane::Bulk, 7, 2);
    settle(&spool);
    assert_eq!(bulk(&spool), [(1, 3, 7, b"c".to_vec()), (2, 1, 8, b"d".to_vec())]);
    spool.acked(Lane::Bulk, 7, 3);
    settle(&spool);
    assert_eq!(spool.epochs(), Epochs { current: 8, held: vec![] });
}

#[test]
fn the_oldest_stays_when_the_budget_is_used_up() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, _) = Spool::open(&folder.path().join("spool"), 300, 1, None).unwrap();
    let kept: Vec<_> =
        (0..4).map(|n| spool.hold(archive(Lane::Bulk, &format!("{n:0100}"))).unwrap()).collect();
    assert_eq!(kept[0], Kept::Emitted);
    assert_eq!(kept[3], Kept::Refused(1));
    let first = bulk(&spool);
    assert_eq!(first[0].1, 1);
    spool.acked(Lane::Bulk, 1, 1);
    let refilled = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(5));
        spool.hold(archive(Lane::Bulk, "room again")).unwrap() == Kept::Emitted
    });
    assert!(refilled);
    let seqs: Vec<u64> = bulk(&spool).iter().map(|batch| batch.1).collect();
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "refusals leave no gap: {seqs:?}");
}

#[test]
fn readopted_batches_keep_their_content_under_a_new_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(&folder.path().join("spool"), 7);
    for text in ["a", "b"] {
        spool.hold(archive(Lane::Bulk, text)).unwrap();
    }
    spool.readopt(Lane::Bulk, 7, 9, 0);
    settle(&spool);
    assert_eq!(bulk(&spool), [(2, 1, 9, b"a".to_vec()), (2, 2, 9, b"b".to_vec())]);
    assert_eq!(spool.epochs(), Epochs { current: 9, held: vec![] });
}

/// What may have been applied is kept, but neither sent nor forgotten.
#[test]
fn what_nobody_can_tell_becomes_a_dead_letter() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger");
    let path = folder.path().join("spool");
    let (spool, _) = Spool::open(&path, LARGE, 7, Some(Ledger::open(&ledger).unwrap())).unwrap();
    for n in 0..150 {
        spool.hold(archive(Lane::Bulk, &format!("{n}"))).unwrap();
    }
    spool.readopt(Lane::Bulk, 7, 9, 149);
    settle(&spool);
    assert_eq!(bulk(&spool), [(2, 1, 9, b"148".to_vec()), (2, 2, 9, b"149".to_vec())]);
    assert_eq!(spool.counts().dead.load(Ordering::Relaxed), 148);
    let text = std::fs::read_to_string(&ledger).unwrap();
    assert_eq!(text.matches("rejected").count(), 148);
    assert_eq!(text.matches("\"readopted\"").count(), 2);
}

#[test]
fn the_hello_tells_how_far_each_start_came() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool");
    let spool = open(&path, 7);
    for text in ["a", "b", "c"] {
        spool.hold(archive(Lane::Bulk, text)).unwrap();
    }
    spool.dead(Lane::Bulk, Position { start: 1, seq: 3 }, "malformed");
    let spool = reopen(&path, spool, 8);
    spool.hold(archive(Lane::Urgent, "d")).unwrap();
    let epochs = spool.epochs();
    assert_eq!(spool.tails(Lane::Bulk, &epochs), [0, 3], "dead letters had a place too");
    assert_eq!(spool.tails(Lane::Urgent, &epochs), [1, 0]);
}

#[test]
fn dead_letters_leave_the_lane_and_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool");
    let spool = open(&path, 7);
    spool.hold(archive(Lane::Bulk, "poison")).unwrap();
    spool.dead(Lane::Bulk, Position { start: 1, seq: 1 }, "malformed");
    settle(&spool);
    assert!(bulk(&spool).is_empty());
    assert_eq!(spool.counts().dead.load(Ordering::Relaxed), 1);
}

#[test]
fn a_broken_spool_is_set_aside_with_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool");
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("conf"), b"this is no sled database").unwrap();
    std::fs::write(path.join("db"), vec![7; 100_000]).unwrap();
    let (spool, aside) = Spool::open(&path, LARGE, 1, None).unwrap();
    let aside = aside.expect("the broken spool is reported");
    assert!(aside.path.ends_with("spool.broken-1"));
    assert!(aside.bytes > 100_000);
    spool.hold(archive(Lane::Bulk, "a")).unwrap();
}

#[test]
fn a_second_sensor_is_kept_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool");
    let _first = open(&path, 1);
    assert!(matches!(Spool::open(&path, LARGE, 2, None), Err(SpoolError::Locked(_))));
}

/// A volume with so many bytes left.
fn volume(folder: &Path) -> (Arc<Space>, Arc<AtomicU64>) {
    use wardmesh_common::space::{Limits, Room};
    let free = Arc::new(AtomicU64::new(u64::MAX));
    let told = Arc::clone(&free);
    let probe = move |_: &Path| {
        Some(Room { free: told.load(Ordering::Relaxed), total: u64::MAX, files: true })
    };
    let limits = Limits { low: 8 << 20, reserve: 8 << 20 };
    (Arc::new(Space::told_by(folder.to_owned(), limits, Box::new(probe))), free)
}

/// Lets a look at the volume grow old.
fn look_again() {
    std::thread::sleep(std::time::Duration::from_millis(40));
}

#[test]
fn a_full_volume_refuses_what_is_new_and_keeps_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(&folder.path().join("spool"), 7);
    let (space, free) = volume(folder.path());
    spool.watch(space);
    for text in ["a", "b", "c"] {
        spool.hold(archive(Lane::Bulk, text)).unwrap();
    }
    free.store(8 << 20, Ordering::Relaxed);
    look_again();
    assert!(!spool.has_room(1) && !spool.has_disk_room(1));
    assert_eq!(spool.hold(archive(Lane::Bulk, "d")).unwrap(), Kept::Refused(1));
    // The reserve is there to let go of what is acknowledged.
    spool.acked(Lane::Bulk, 7, 1);
    settle(&spool);
    assert_eq!(bulk(&spool).len(), 2);

    // To the last byte: even that waits.
    free.store(0, Ordering::Relaxed);
    look_again();
    spool.acked(Lane::Bulk, 7, 2);
    spool.acked(Lane::Bulk, 7, 3);
    assert_eq!(spool.hold(archive(Lane::Bulk, "e")).unwrap(), Kept::Refused(1));
    assert_eq!(bulk(&spool).len(), 2);
    assert!(!spool.has_failed());
    // A session that ends does not wait for room.
    settle(&spool);
    assert_eq!(bulk(&spool).len(), 2);

    free.store(u64::MAX, Ordering::Relaxed);
    look_again();
    settle(&spool);
    assert!(spool.is_drained());
    assert_eq!(spool.hold(archive(Lane::Bulk, "f")).unwrap(), Kept::Emitted);
    assert_eq!(spool.counts().refused.load(Ordering::Relaxed), 2);
    assert_eq!(spool.counts().queued.load(Ordering::Relaxed), 0);
    assert_eq!(spool.counts().acked.load(Ordering::Relaxed), 3);
}

#[test]
fn what_the_ledger_calls_acked_is_neither_promised_nor_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let (path, ledger) = (folder.path().join("spool"), folder.path().join("ledger.ndjson"));
    let spool = open_with(&path, 7, &ledger);
    spool.hold(archive(Lane::Bulk, "a")).unwrap();
    spool.hold(archive(Lane::Bulk, "b")).unwrap();
    drop(spool);
    // Killed after the line and before sled had the removal on the disk.
    let promised = std::fs::read_to_string(&ledger).unwrap();
    let first = promised.lines().next().unwrap();
    let told = format!("{promised}{}\n", first.replace("emitted", "acked"));
    std::fs::write(&ledger, &told).unwrap();
    let spool = open_with(&path, 8, &ledger);
    assert_eq!(bulk(&spool), [(1, 2, 7, b"b".to_vec())]);
    assert_eq!(std::fs::read_to_string(&ledger).unwrap(), told);
}

fn open_with(folder: &Path, epoch: u64, ledger: &Path) -> Spool {
    begin_again(folder, epoch, || Some(Ledger::open(ledger).unwrap()))
}

#[test]
fn what_lies_in_the_dead_letters_is_not_promised_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool");
    let spool = open(&path, 7);
    spool.hold(archive(Lane::Bulk, "a")).unwrap();
    spool.hold(archive(Lane::Bulk, "b")).unwrap();
    // Killed after the letter and before the batch was gone.
    let (key, frame) = spool.store.batches.iter().next().unwrap().unwrap();
    spool.store.dead.insert(&key, [b"malformed\0", frame.as_ref()].concat()).unwrap();
    let spool = reopen(&path, spool, 8);
    assert_eq!(bulk(&spool), [(1, 2, 7, b"b".to_vec())]);
    assert_eq!(spool.store.status().unwrap().dead_letters, 1);
}

#[test]
fn a_batch_that_is_damaged_behind_its_letter_leaves_the_letter_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool");
    let spool = open(&path, 7);
    spool.hold(archive(Lane::Bulk, "a")).unwrap();
    let (key, frame) = spool.store.batches.iter().next().unwrap().unwrap();
    let letter = [b"malformed\0", frame.as_ref()].concat();
    spool.store.dead.insert(&key, letter.clone()).unwrap();
    let mut damaged = frame.to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    spool.store.batches.insert(&key, damaged).unwrap();
    let spool = reopen(&path, spool, 8);
    assert_eq!(spool.store.batches.len(), 0);
    assert_eq!(spool.store.dead.get(&key).unwrap().unwrap(), letter);
}
