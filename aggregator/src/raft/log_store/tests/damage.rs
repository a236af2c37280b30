//! Damage at any place of any of the log's files: named when it is opened or read, or without effect.

use std::path::Path;

use super::*;
use crate::state::testkit::Dice;

/// Damages that are tried, all from one seed.
const DAMAGES: usize = 600;

/// Everything that a log says, for comparison.
#[derive(Debug, PartialEq)]
struct Said {
    vote: Option<Vote>,
    committed: Option<LogId>,
    kept: std::ops::Range<u64>,
    entries: Vec<Entry>,
}

async fn said(mut store: LogStore) -> Said {
    Said {
        vote: store.read_vote().await.unwrap(),
        committed: store.read_committed().await.unwrap(),
        kept: store.kept(),
        entries: store.try_get_log_entries(..).await.unwrap(),
    }
}

fn open_log(folder: &Path, fatal: Fatal) -> io::Result<LogStore> {
    let mut config = settings(folder, 2 << 10)?;
    config.log_cache_capacity = Some(1);
    LogStore::open_with(config, fatal)
}

/// Ninety entries over many files, of which the first are purged.
async fn fill_log(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let mut store = open_log(folder, never()).unwrap();
    store.save_vote(&vote(1)).await.unwrap();
    for index in 0..90 {
        store.blocking_append([ingest(1, index, 60 + index as usize)]).await.unwrap();
        store.save_committed(Some(log_id(1, index))).await.unwrap();
    }
    store.purge(log_id(1, 30)).await.unwrap();
    store.save_vote(&vote(2)).await.unwrap();
    store.mark().unwrap();
}

fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        paths.chain([folder.with_extension("end")]).filter(|path| path.is_file()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

fn put_back(folder: &Path, files: &[(PathBuf, Vec<u8>)]) {
    std::fs::remove_dir_all(folder).unwrap();
    std::fs::create_dir(folder).unwrap();
    files.iter().for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
}

/// A flipped bit, a lost end, or a block of zeros.
fn damaged(whole: &[u8], dice: &mut Dice) -> (String, Vec<u8>) {
    let (mut bytes, at) = (whole.to_vec(), dice.roll(whole.len() as u64) as usize);
    let what = match dice.roll(3) {
        0 => {
            bytes[at] ^= 1 << dice.roll(8);
            "a flipped bit"
        }
        1 => {
            bytes.truncate(at);
            "a lost end"
        }
        _ => {
            let end = bytes.len().min(at + 512);
            bytes[at..end].fill(0);
            "a block of zeros"
        }
    };
    (format!("{what} at {at} of {}", whole.len()), bytes)
}

#[tokio::test]
async fn damage_anywhere_is_named_or_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    fill_log(&log).await;
    let files = contents(&log);
    assert!(files.len() > 8, "{} files", files.len());
    let whole = said(open_log(&log, never()).unwrap()).await;
    assert_eq!(whole.kept, 31..90);
    let (mut dice, mut named) = (Dice::new(17), 0);
    for _ in 0..DAMAGES {
        put_back(&log, &files);
        let (path, bytes) = &files[dice.roll(files.len() as u64) as usize];
        if bytes.is_empty() {
            continue;
        }
        let (what, damaged) = damaged(bytes, &mut dice);
        std::fs::write(path, damaged).unwrap();
        let what = format!("{what} of {}", path.display());
        match open_log(&log, never()) {
            Ok(store) => assert_eq!(said(store).await, whole, "{what}"),
            Err(error) => {
                named += 1;
                let said = error.to_string();
                assert!(said.contains(path.to_str().unwrap()), "{what}: {said}");
                assert!(said.contains("byte"), "{what}: {said}");
                assert!(said.contains("cluster replace"), "{what}: {said}");
            }
        }
    }
    assert!(named > DAMAGES * 3 / 4, "only {named} of {DAMAGES} had an effect");
}

#[tokio::test]
async fn what_was_on_disk_is_missed_also_where_a_crash_might_have_cut() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    fill_log(&log).await;
    let files = contents(&log);
    let (path, bytes) =
        files.iter().rfind(|(path, _)| path.extension() == Some("wal".as_ref())).unwrap();
    // A vote was the last: without it nothing of the log looks cut.
    for cut in 1..=bytes.len() {
        put_back(&log, &files);
        std::fs::write(path, &bytes[..bytes.len() - cut]).unwrap();
        let error = open_log(&log, never()).err().unwrap_or_else(|| panic!("{cut} bytes"));
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
    put_back(&log, &files);
    std::fs::remove_file(path).unwrap();
    assert!(open_log(&log, never()).is_err(), "a file is gone");
    std::fs::remove_dir_all(&log).unwrap();
    std::fs::create_dir(&log).unwrap();
    assert!(open_log(&log, never()).is_err(), "all of them are gone");
}

#[tokio::test]
async fn damage_that_a_read_meets_ends_the_process_with_file_and_offset() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    fill_log(&log).await;
    let (fatal, reasons) = noted();
    let store = open_log(&log, fatal).unwrap();
    let files = contents(&log);
    let (path, bytes) =
        files.iter().find(|(path, _)| path.extension() == Some("wal".as_ref())).unwrap();
    let mut damaged = bytes.clone();
    damaged[bytes.len() - 40] ^= 2;
    std::fs::write(path, damaged).unwrap();
    let failed = (31..90).find_map(|index| store.read(index).err()).expect("one entry is damaged");
    assert_eq!(failed.kind(), io::ErrorKind::InvalidData);
    let reasons = reasons.lock();
    let [reason] = &reasons[..] else { panic!("{reasons:?}") };
    assert!(reason.contains(path.to_str().unwrap()) && reason.contains("at byte"), "{reason}");
}
