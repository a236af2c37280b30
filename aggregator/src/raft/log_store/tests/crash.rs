//! The log against a model, with a power cut at each write and sync.
//!
//! After every step the folder is taken as a power cut may leave it: of what was not synced, any part
//! is lost, torn anywhere, or zeros where blocks were never written; names not synced may be gone. It
//! must open, hold all that was acknowledged, and nothing that was never written. Now and then the run
//! goes on from such an image.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use wardmesh_common::random::SplitMix64;

use super::*;

/// Runs; `WARDMESH_SEED=N` runs that one alone.
const SEEDS: u64 = 24;

/// Steps of a run.
const STEPS: usize = 30;

/// Images of the time before a step's end that are opened; where somebody was told, one more of after.
const IMAGES: usize = 1;

/// A chunk file's size: a few entries.
const CHUNK: usize = 2 << 10;

/// Chance that a seed repeats.
struct Dice(SplitMix64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.0.roll(sides)
    }

    fn up_to(&mut self, least: usize, most: usize) -> usize {
        least + self.roll((most - least) as u64 + 1) as usize
    }
}

/// What a log holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Held {
    vote: Option<Vote>,
    committed: Option<LogId>,
    purged: Option<LogId>,
    /// The terms and lengths of the entries that are kept.
    entries: BTreeMap<u64, (u64, usize)>,
}

impl Held {
    fn last(&self) -> Option<LogId> {
        let last = self.entries.last_key_value();
        last.map(|(index, (term, _))| log_id(*term, *index)).max(self.purged)
    }

    fn next(&self) -> u64 {
        self.last().map_or(0, |last| last.index + 1)
    }

    async fn of(store: &mut LogStore) -> Self {
        let state = store.get_log_state().await.unwrap();
        let entries = store.try_get_log_entries(..).await.unwrap();
        let entry = |entry: Entry| {
            let bytes = match &entry.payload {
                EntryPayload::Normal(command) => command.frame_bytes(),
                other => panic!("never written: {other:?}"),
            };
            let log_id = entry.log_id;
            assert_eq!(entry, ingest(log_id.leader_id.term, log_id.index, bytes), "another entry");
            (log_id.index, (log_id.leader_id.term, bytes))
        };
        let held = Self {
            vote: store.read_vote().await.unwrap(),
            committed: store.read_committed().await.unwrap(),
            purged: state.last_purged_log_id,
            entries: entries.into_iter().map(entry).collect(),
        };
        assert_eq!(held.last(), state.last_log_id);
        held
    }
}

/// The bytes of every chunk file.
type Files = BTreeMap<String, Vec<u8>>;

fn files(folder: &Path) -> Files {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let chunks = files.filter(|path| path.extension().is_some_and(|e| e == "wal"));
    chunks
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?.to_owned();
            // One that was purged may go meanwhile.
            Some((name, std::fs::read(path).ok()?))
        })
        .collect()
}

/// Where a chunk begins in the whole log: `r-00_000_000_000_000_007_247.wal`.
fn offset(name: &str) -> u64 {
    let digits: String = name.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

/// What a power cut leaves of `now`, where `synced` was on disk before.
fn image(dice: &mut Dice, synced: &Files, now: &Files) -> Files {
    let mut image = Files::new();
    // Chunks are removed after the purge that allows it was synced, the oldest first. One that grew since
    // is gone for good: what it held at its end is not known here.
    let removed: Vec<&String> = synced.keys().filter(|name| !now.contains_key(*name)).collect();
    let mut next = now.keys().next().map_or(0, |name| offset(name));
    for name in removed.iter().rev().take(dice.up_to(0, removed.len())) {
        if offset(name) + synced[*name].len() as u64 != next {
            break;
        }
        next = offset(name);
        image.insert((*name).clone(), synced[*name].clone());
    }
    let mut torn = false;
    for (name, bytes) in now {
        let safe = synced.get(name).map_or(0, Vec::len);
        let whole = !removed.is_empty() || dice.roll(3) == 0;
        let mut left = bytes.clone();
        if torn {
            // Its first record is written only once the one before it is synced.
            left.clear();
        } else if !whole {
            left.truncate(dice.up_to(safe, bytes.len()));
            let blank = dice.up_to(safe, left.len());
            if dice.roll(3) == 0 && left.len() - blank >= 64 {
                left[blank..].fill(0);
            }
            torn = left != *bytes;
        }
        image.insert(name.clone(), left);
    }
    image
}

/// A log under test, and what it may hold after a power cut now.
struct Run {
    dice: Dice,
    folder: TempDir,
    store: Option<LogStore>,
    /// What was on disk for sure when somebody was last told so.
    synced: Files,
    /// What the log held then, and after each record since.
    since: Vec<Held>,
    term: u64,
}

fn open_small(folder: &Path) -> io::Result<LogStore> {
    LogStore::open_with(settings(folder, CHUNK)?, never())
}

impl Run {
    fn begin(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Some(open_small(folder.path()).unwrap());
        let synced = files(folder.path());
        let since = vec![Held::default()];
        Self { dice: Dice::new(seed), folder, store, synced, since, term: 1 }
    }

    fn held(&self) -> Held {
        self.since.last().unwrap().clone()
    }

    fn store(&mut self) -> &mut LogStore {
        self.store.as_mut().unwrap()
    }

    /// One step; whether somebody was told that all is on disk.
    async fn step(&mut self) -> bool {
        let mut held = self.held();
        match self.dice.roll(12) {
            0..=5 => return self.append().await,
            6 => {
                self.term += 1;
                held.vote = Some(vote(self.term));
                self.since.push(held);
                let vote = vote(self.term);
                self.store().save_vote(&vote).await.unwrap();
            }
            7 => return self.truncate().await,
            8 => return self.purge().await,
            9..=10 => return self.commit().await,
            _ => {
                self.store = None;
                self.store = Some(open_small(self.folder.path()).unwrap());
                assert_eq!(Held::of(self.store()).await, held, "reopened");
            }
        }
        true
    }

    /// Appends; sometimes the callback is not waited for.
    async fn append(&mut self) -> bool {
        let mut held = self.held();
        let mut entries = Vec::new();
        for _ in 0..self.dice.up_to(1, 4) {
            let (index, bytes) = (held.next(), self.dice.up_to(1, 700));
            held.entries.insert(index, (self.term, bytes));
            entries.push(ingest(self.term, index, bytes));
            self.since.push(held.clone());
        }
        let waits = self.dice.roll(2) == 0;
        if waits {
            self.store().blocking_append(entries).await.unwrap();
        } else {
            self.store().append(entries, IOFlushed::noop()).await.unwrap();
        }
        waits
    }

    async fn truncate(&mut self) -> bool {
        let mut held = self.held();
        let committed = held.committed.max(held.purged).map(|id| id.index);
        // Raft takes nothing back that is committed.
        let free: Vec<u64> =
            held.entries.keys().copied().filter(|index| Some(*index) > committed).collect();
        let Some(first) = free.get(self.dice.up_to(0, free.len())).copied() else { return false };
        held.entries.split_off(&first);
        let last = held.last();
        self.since.push(held);
        self.store().truncate_after(last).await.unwrap();
        true
    }

    /// Purges what is committed, or all where a snapshot overtook the log.
    async fn purge(&mut self) -> bool {
        let mut held = self.held();
        let overtaken = self.dice.roll(4) == 0;
        let upto = match (overtaken, held.committed) {
            (true, _) => log_id(self.term, held.next() + self.dice.roll(5)),
            (false, Some(committed)) if Some(committed) > held.purged => committed,
            (false, _) => return false,
        };
        held.entries = held.entries.split_off(&(upto.index + 1));
        held.purged = Some(upto);
        self.since.push(held);
        self.store().purge(upto).await.unwrap();
        true
    }

    async fn commit(&mut self) -> bool {
        let mut held = self.held();
        let beyond: Vec<LogId> = held
            .entries
            .iter()
            .map(|(index, (term, _))| log_id(*term, *index))
            .filter(|id| Some(*id) > held.committed)
            .collect();
        let Some(id) = beyond.get(self.dice.up_to(0, beyond.len())).copied() else { return false };
        held.committed = Some(id);
        self.since.push(held);
        self.store().save_committed(Some(id)).await.unwrap();
        false
    }

    /// Opens some of what a power cut could leave now; sometimes the run goes on from one.
    async fn cut(&mut self, told: bool) {
        // Read before the writer may do more: whoever was told was told of this.
        let told_of = files(self.folder.path());
        self.store().log.read().wait_worker_idle().unwrap();
        let now = files(self.folder.path());
        for _ in 0..IMAGES {
            let (found, store, folder) = self.survivor(&now).await;
            if !told && self.dice.roll(20) == 0 {
                (self.store, self.folder) = (Some(store), folder);
                self.since = vec![found];
                self.synced = files(self.folder.path());
                return;
            }
        }
        if told {
            self.since = vec![self.held()];
            self.synced = told_of;
            self.survivor(&now).await;
        }
    }

    /// What a power cut leaves, opened: it must be one of what the log may hold.
    async fn survivor(&mut self, now: &Files) -> (Held, LogStore, TempDir) {
        let image = image(&mut self.dice, &self.synced, now);
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in &image {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        let opened = open_small(folder.path());
        let mut store =
            opened.unwrap_or_else(|cause| panic!("a mere crash, and it does not open: {cause}"));
        let found = Held::of(&mut store).await;
        assert!(self.since.contains(&found), "{found:?} is none of {:#?}", self.since);
        (found, store, folder)
    }
}

#[tokio::test]
async fn a_power_cut_at_any_moment_loses_nothing_that_was_acknowledged() {
    let only = std::env::var_os("WARDMESH_SEED").and_then(|seed| seed.to_str()?.parse().ok());
    let seeds: BTreeSet<u64> = only.map_or((0..SEEDS).collect(), |seed| [seed].into());
    for seed in seeds {
        let mut run = Run::begin(seed);
        let walk = async {
            for _ in 0..STEPS {
                let told = run.step().await;
                run.cut(told).await;
            }
        };
        let walked = futures::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(walk)).await;
        assert!(walked.is_ok(), "WARDMESH_SEED={seed} shows it again");
    }
}

#[test]
fn an_image_keeps_what_was_synced_and_tears_the_rest() {
    let mut dice = Dice::new(1);
    let one = |bytes: &[u8]| Files::from([("r-0.wal".to_owned(), bytes.to_vec())]);
    let (synced, now) = (one(&[1; 100]), one(&[[1; 100], [2; 100]].concat()));
    let images: Vec<Files> = (0..200).map(|_| image(&mut dice, &synced, &now)).collect();
    assert!(images.iter().all(|image| image["r-0.wal"].starts_with(&[1; 100])));
    let lengths: BTreeSet<usize> = images.iter().map(|image| image["r-0.wal"].len()).collect();
    assert!(lengths.len() > 50 && lengths.contains(&200), "{lengths:?}");
    assert!(images.iter().any(|image| image["r-0.wal"].ends_with(&[0; 64])));
}
