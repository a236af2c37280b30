//! What a start says of promised batches: the spool beside its ledger, either of them older, newer or
//! cut off where a crash can leave them.

use super::*;

/// A spool and its ledger in a folder of their own.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn spool(&self) -> PathBuf {
        self.folder.path().join("spool")
    }

    fn ledger(&self) -> PathBuf {
        self.folder.path().join("ledger.ndjson")
    }

    fn begin(&self, epoch: u64) -> Spool {
        open_with(&self.spool(), epoch, &self.ledger())
    }

    /// A first start that holds these in the bulk lane.
    fn holding(&self, epoch: u64, texts: &[&str]) -> Spool {
        let spool = self.begin(epoch);
        for text in texts {
            let events = text.len() as u32;
            let kept = spool.hold(Archive { events, ..archive(Lane::Bulk, text) });
            assert_eq!(kept.unwrap(), Kept::Emitted);
        }
        spool
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.ledger()).unwrap()
    }

    /// A copy of the spool as it is on the disk, beside this ledger.
    fn copy(&self, ledger: &str) -> Self {
        let copy = Self::new();
        std::fs::write(copy.ledger(), ledger).unwrap();
        std::fs::create_dir(copy.spool()).unwrap();
        for (name, bytes) in crash::files(&self.spool()) {
            let path = copy.spool().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        copy
    }
}

/// The lines of a state, as (sequence number, events).
fn lines(said: &str, state: &str) -> Vec<(u64, u64)> {
    let all = said.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    all.filter(|line| line["state"] == state)
        .map(|line| (line["seq"].as_u64().unwrap(), line["events"].as_u64().unwrap()))
        .collect()
}

fn texts(spool: &Spool) -> Vec<String> {
    bulk(spool).into_iter().map(|(.., text)| String::from_utf8(text).unwrap()).collect()
}

fn lost(spool: &Spool) -> u64 {
    spool.counts().lost.load(Ordering::Relaxed)
}

#[test]
fn a_batch_that_the_spool_lost_is_called_lost_once_and_counted() {
    let place = Place::new();
    let spool = place.holding(7, &["a", "bcdef", "g"]);
    spool.store.batches.remove(store::key(Lane::Bulk, Position { start: 1, seq: 2 })).unwrap();
    drop(spool);
    let spool = place.begin(8);
    assert_eq!(lines(&place.said(), "lost"), [(2, 5)]);
    assert_eq!(lines(&place.said(), "readopted"), []);
    assert_eq!((texts(&spool), lost(&spool)), (vec!["a".to_owned(), "g".to_owned()], 5));
    let said = place.said();
    drop(spool);
    assert_eq!((lost(&place.begin(9)), place.said()), (0, said));
}

#[test]
fn what_was_in_a_spool_that_was_set_aside_is_lost() {
    let place = Place::new();
    drop(place.holding(7, &["a", "bc"]));
    let broken = Place::new();
    std::fs::write(broken.ledger(), place.said()).unwrap();
    std::fs::create_dir(broken.spool()).unwrap();
    std::fs::write(broken.spool().join("conf"), b"this is no sled database").unwrap();
    std::fs::write(broken.spool().join("db"), vec![7; 100_000]).unwrap();
    let ledger = Some(Ledger::open(&broken.ledger()).unwrap());
    let (spool, aside) = Spool::open(&broken.spool(), LARGE, 8, ledger).unwrap();
    assert!(aside.is_some());
    assert_eq!((lost(&spool), lines(&broken.said(), "lost")), (3, vec![(1, 1), (2, 2)]));
}

/// The old and the new place of each `readopted` line, as (epoch, sequence number).
fn moves(said: &str) -> Vec<[(u64, u64); 2]> {
    let all = said.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    all.filter(|line| line["state"] == "readopted")
        .map(|line| {
            let epoch = |key: &str| u64::from_str_radix(line[key].as_str().unwrap(), 16).unwrap();
            let seq = |key: &str| line[key].as_u64().unwrap();
            [(epoch("epoch"), seq("seq")), (epoch("new_epoch"), seq("new_seq"))]
        })
        .collect()
}

#[test]
fn a_crash_while_numbering_anew_loses_nothing_and_names_each_new_batch() {
    let place = Place::new();
    let spool = place.holding(7, &["a", "bc"]);
    let (before, promised) = (place.copy(""), place.said());
    spool.readopt(Lane::Bulk, 7, 9, 0);
    settle(&spool);
    let said = place.said();
    let named = [[(7, 1), (9, 1)], [(7, 2), (9, 2)]];
    assert_eq!((moves(&said), lost(&spool)), (named.to_vec(), 0));
    let at = |line: usize| said.split_inclusive('\n').take(line).collect::<String>();
    assert!(said.starts_with(&promised));
    // Two were promised, two are announced; then come the new ones and what they stand for.
    for cut in 4..=said.lines().count() {
        let place = place.copy(&at(cut));
        let spool = place.begin(11);
        assert_eq!(texts(&spool), ["a", "bc"], "cut at {cut}");
        assert_eq!((lost(&spool), moves(&place.said())), (0, named.to_vec()), "cut at {cut}");
        assert_eq!(lines(&place.said(), "emitted"), [(1, 1), (2, 2), (1, 1), (2, 2)], "{cut}");
        let said = place.said();
        drop(spool);
        assert_eq!((lost(&place.begin(12)), place.said()), (0, said), "again, cut at {cut}");
    }
    // Killed before the step: an announcement alone says nothing.
    for cut in 2..=4 {
        let place = before.copy(&at(cut));
        let spool = place.begin(11);
        assert_eq!((texts(&spool).len(), lost(&spool), place.said()), (2, 0, at(cut)), "{cut}");
    }
}

#[test]
fn an_older_disk_that_has_a_batch_under_the_number_before_has_not_lost_it() {
    let place = Place::new();
    let spool = place.holding(7, &["a"]);
    let before = place.copy("");
    for (epoch, renewed) in [(7, 9), (9, 10)] {
        spool.readopt(Lane::Bulk, epoch, renewed, 0);
        settle(&spool);
    }
    let older = before.copy(&place.said());
    let spool = older.begin(11);
    assert_eq!((texts(&spool), lost(&spool)), (vec!["a".to_owned()], 0));
    let named = [[(7, 1), (9, 1)], [(9, 1), (10, 1)], [(10, 1), (7, 1)]];
    assert_eq!(moves(&older.said()), named);
    // A disk that is empty has lost it, once.
    let empty = Place::new();
    std::fs::write(empty.ledger(), place.said()).unwrap();
    assert_eq!(lost(&empty.begin(11)), 1);
    assert_eq!(lines(&empty.said(), "lost"), [(1, 1)]);
}

#[test]
fn an_older_disk_does_not_send_again_what_was_acknowledged_under_another_number() {
    let place = Place::new();
    let spool = place.holding(7, &["a"]);
    let before = place.copy("");
    for (epoch, renewed) in [(7, 9), (9, 10)] {
        spool.readopt(Lane::Bulk, epoch, renewed, 0);
        settle(&spool);
    }
    spool.acked(Lane::Bulk, 10, 1);
    settle(&spool);
    let older = before.copy(&place.said());
    let spool = older.begin(11);
    assert_eq!((texts(&spool), lost(&spool)), (Vec::<String>::new(), 0));
    assert_eq!(older.said(), place.said());
}

/// The memory and the spool are set back, the ledger is not; what is sealed at an acknowledged place is
/// another batch.
#[test]
fn other_contents_at_an_acknowledged_place_are_sent() {
    let first = Place::new();
    let spool = first.holding(7, &["a"]);
    let (image, emitted) = (first.copy(""), first.said());
    spool.acked(Lane::Bulk, 7, 1);
    settle(&spool);
    let acked = first.said();
    let second = Place::new();
    let sealed = second.holding(7, &["zzz"]);
    // (the ledger before the second was sealed, whether that is in it) → events lost
    for (told, is_told, gone) in
        [(&acked, true, 0), (&acked, false, 0), (&emitted, true, 1), (&emitted, false, 1)]
    {
        let told = format!("{told}{}", if is_told { second.said() } else { String::new() });
        let place = second.copy(&told);
        let spool = place.begin(8);
        assert_eq!((texts(&spool), lost(&spool)), (vec!["zzz".to_owned()], gone), "{told}");
        assert_eq!(lines(&place.said(), "emitted"), [(1, 1), (1, 3)], "{told}");
        let said = place.said();
        drop(spool);
        let spool = place.begin(9);
        assert_eq!((texts(&spool).len(), place.said()), (1, said), "again: {told}");
    }
    drop(sealed);
    // The batch itself is forgotten, also where the other came after it.
    let later = format!("{acked}{}", second.said());
    for (told, gone) in [(acked, 0), (later, 3)] {
        let spool = image.copy(&told).begin(8);
        assert_eq!((texts(&spool), lost(&spool)), (vec![], gone), "{told}");
    }
}

#[test]
fn what_became_a_dead_letter_is_not_lost() {
    let place = Place::new();
    let spool = place.holding(7, &["a", "b"]);
    // Killed after the letter and before the line.
    let mut rows = spool.store.batches.iter();
    let (key, frame) = rows.next().unwrap().unwrap();
    spool.store.dead.insert(&key, [b"malformed\0", frame.as_ref()].concat()).unwrap();
    // The disk damages the other.
    let (key, frame) = rows.next().unwrap().unwrap();
    let mut damaged = frame.to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    spool.store.batches.insert(&key, damaged).unwrap();
    drop(rows);
    drop(spool);
    let spool = place.begin(8);
    assert_eq!((texts(&spool), lost(&spool)), (vec![], 0));
    assert_eq!(lines(&place.said(), "rejected"), [(1, 1), (2, 1)]);
}
