//! The spool with a power cut at any moment: copies of its folder in which what was not synced is lost
//! wholly or in part. What was promised and not acknowledged must be there, and nothing that never was.

use std::collections::{BTreeMap, BTreeSet};

use wardmesh_common::random::SplitMix64;

use super::*;

/// Runs; `WARDMESH_SEED=N` runs that one alone.
const SEEDS: u64 = 6;

/// Steps of a run.
const STEPS: usize = 10;

/// Images that are opened after each step.
const IMAGES: usize = 2;

/// What a disk writes or loses at once.
const BLOCK: usize = 4096;

/// Files by their path within the spool.
type Files = BTreeMap<std::path::PathBuf, Vec<u8>>;

fn files(folder: &Path) -> Files {
    let mut found = Files::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = std::fs::read(&path) {
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), bytes);
            }
        }
    }
    found
}

/// What a power cut leaves of `now`, where `synced` was on disk: of each block the old or the new, of a
/// file that grew any length, of a new or removed file either.
fn image(dice: &mut SplitMix64, synced: &Files, now: &Files) -> Files {
    let mut image = Files::new();
    let names: BTreeSet<_> = synced.keys().chain(now.keys()).collect();
    for name in names {
        let (old, new) = (synced.get(name), now.get(name));
        let left = match (old, new) {
            (Some(old), Some(new)) => mixed(dice, old, new),
            (old, new) if dice.roll(2) == 0 => match old.or(new) {
                Some(bytes) => bytes.clone(),
                None => continue,
            },
            _ => continue,
        };
        image.insert(name.clone(), left);
    }
    image
}

fn mixed(dice: &mut SplitMix64, old: &[u8], new: &[u8]) -> Vec<u8> {
    let grown = new.len().saturating_sub(old.len());
    let mut left = new.to_vec();
    if grown > 0 {
        left.truncate(old.len() + dice.roll(grown as u64 + 1) as usize);
    }
    let keeps = dice.roll(4);
    for (at, block) in left.chunks_mut(BLOCK).enumerate() {
        let before = old.get(at * BLOCK..).unwrap_or_default();
        let before = &before[..before.len().min(block.len())];
        if before != &block[..before.len()] && dice.roll(4) < keeps {
            block[..before.len()].copy_from_slice(before);
        }
    }
    left
}

/// The texts that an image of a spool holds in the bulk lane, in order.
fn opened(image: &Files) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool");
    for (name, bytes) in image {
        let path = path.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let spool = open(&path, 99);
    let held = spool.after(Lane::Bulk, None, usize::MAX).unwrap();
    let text = |(_, bytes): &(Position, Bytes)| {
        let frame = wardmesh_common::wire::frame::Frame::open(bytes).unwrap();
        String::from_utf8(frame.archive(&mut Vec::new()).unwrap().to_vec()).unwrap()
    };
    held.iter().map(text).collect()
}

struct Run {
    dice: SplitMix64,
    folder: tempfile::TempDir,
    spool: Spool,
    offered: Vec<String>,
    promised: usize,
    acked: usize,
    synced: Files,
}

impl Run {
    fn begin(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let spool = open(&folder.path().join("spool"), 7);
        let synced = files(&folder.path().join("spool"));
        let (offered, promised, acked) = (Vec::new(), 0, 0);
        Self { dice: SplitMix64::new(seed), folder, spool, offered, promised, acked, synced }
    }

    fn step(&mut self) {
        if self.dice.roll(3) == 0 && self.acked < self.promised {
            self.acked += self.dice.roll((self.promised - self.acked) as u64) as usize + 1;
            self.spool.acked(Lane::Bulk, 7, self.acked as u64);
            settle(&self.spool);
            return self.cut();
        }
        let mut answers = Vec::new();
        for _ in 0..=self.dice.roll(4) {
            let length = self.dice.roll(30_000);
            let noise: String =
                (0..length).map(|_| char::from(b'a' + self.dice.roll(26) as u8)).collect();
            let text = format!("{} {noise}", self.offered.len());
            answers.push(self.spool.offer(archive(Lane::Bulk, &text)).unwrap());
            self.offered.push(text);
        }
        // In the middle of it, whatever is there.
        std::thread::sleep(std::time::Duration::from_micros(self.dice.roll(3_000)));
        self.cut();
        for answer in answers {
            assert_eq!(answer.wait().unwrap(), Kept::Emitted);
            self.promised += 1;
        }
        self.synced = files(&self.folder.path().join("spool"));
        self.cut();
    }

    fn cut(&mut self) {
        let now = files(&self.folder.path().join("spool"));
        for _ in 0..IMAGES {
            let image = image(&mut self.dice, &self.synced, &now);
            let held = opened(&image);
            let Some(begin) = held.first() else {
                assert_eq!(self.acked, self.promised, "what was promised is gone");
                continue;
            };
            let first = self.offered.iter().position(|offered| offered == begin);
            let first = first.expect("this was never offered");
            assert!(first <= self.acked, "{first} was promised, {} acknowledged", self.acked);
            let end = first + held.len();
            assert!(end >= self.promised, "up to {end}, promised up to {}", self.promised);
            assert!(self.offered[first..end] == held[..], "another order");
        }
    }
}

#[test]
fn a_power_cut_at_any_moment_keeps_what_was_promised() {
    let only = std::env::var_os("WARDMESH_SEED").and_then(|seed| seed.to_str()?.parse().ok());
    let seeds: Vec<u64> = only.map_or((0..SEEDS).collect(), |seed| vec![seed]);
    for seed in seeds {
        let walk = || {
            let mut run = Run::begin(seed);
            (0..STEPS).for_each(|_| run.step());
        };
        let walked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(walk));
        assert!(walked.is_ok(), "WARDMESH_SEED={seed} shows it again, as far as threads let it");
    }
}
