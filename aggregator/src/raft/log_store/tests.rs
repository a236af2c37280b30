//! The log: openraft's suite, reopening, cut tails, and every flipped bit.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use openraft::RaftLogReader;
use openraft::storage::{RaftLogStorage, RaftLogStorageExt};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::{EntryPayload, StorageError};
use parking_lot::Mutex;
use raft_log::Callback;
use tempfile::TempDir;

use super::*;
use crate::raft::snapshot::Snapshots;
use crate::raft::state_machine::StateMachine;
use crate::raft::testing::{Recorder, ingest, log_id, never};
use crate::raft::types::{LeaderId, Member, Membership, Payload};

mod crash;
mod damage;

struct Stores;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, TempDir> for Stores {
    async fn build(&self) -> Result<(TempDir, LogStore, StateMachine), StorageError<TypeConfig>> {
        let folder = tempfile::tempdir().unwrap();
        let log = LogStore::open(&folder.path().join("log"), never()).unwrap();
        let snapshots = Snapshots::open(&folder.path().join("snapshot")).unwrap();
        let machine = StateMachine::new(Arc::new(Recorder::default()), Arc::new(snapshots));
        Ok((folder, log, machine))
    }
}

#[tokio::test]
async fn openrafts_own_suite_passes() {
    Suite::test_all(Stores).await.unwrap();
}

fn vote(term: u64) -> Vote {
    Vote { leader_id: LeaderId { term, node_id: 1 }, committed: true }
}

fn open(folder: &TempDir) -> LogStore {
    LogStore::open(folder.path(), never()).unwrap()
}

fn membership(index: u64) -> Entry {
    let member = Member { name: "a".into(), raft_address: "a.b:4434".into(), ..Member::default() };
    let membership = Membership::new(vec![[1].into()], BTreeMap::from([(1, member)]));
    Entry { log_id: log_id(1, index), payload: Payload::Membership(membership.unwrap()) }
}

fn blank(index: u64) -> Entry {
    Entry { log_id: log_id(1, index), payload: Payload::Blank }
}

/// A vote, a membership, a blank, three commands, a commit of the entry before the last.
async fn fill(store: &mut LogStore) {
    store.save_vote(&vote(1)).await.unwrap();
    let entries = [membership(0), blank(1), ingest(1, 2, 10), ingest(1, 3, 20), ingest(1, 4, 30)];
    store.blocking_append(entries).await.unwrap();
    store.save_committed(Some(log_id(1, 3))).await.unwrap();
    store.sync().unwrap();
}

#[tokio::test]
async fn a_reopened_log_has_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(&folder);
    fill(&mut store).await;
    store.purge(log_id(1, 1)).await.unwrap();
    store.truncate_after(Some(log_id(1, 3))).await.unwrap();
    store.save_vote(&vote(2)).await.unwrap();
    drop(store);

    let mut store = open(&folder);
    assert_eq!(store.read_vote().await.unwrap(), Some(vote(2)));
    assert_eq!(store.read_committed().await.unwrap(), Some(log_id(1, 3)));
    let state = store.get_log_state().await.unwrap();
    assert_eq!(state.last_purged_log_id, Some(log_id(1, 1)));
    assert_eq!(state.last_log_id, Some(log_id(1, 3)));
    assert_eq!(store.kept(), 2..4);
    let entries = store.try_get_log_entries(..).await.unwrap();
    assert_eq!(entries, [ingest(1, 2, 10), ingest(1, 3, 20)]);
}

#[tokio::test]
async fn every_kind_of_entry_comes_back_from_disk() {
    let folder = tempfile::tempdir().unwrap();
    fill(&mut open(&folder)).await;
    let store = open(&folder);
    let entry = |index| store.read(index).unwrap().unwrap().into_entry().unwrap();
    assert_eq!(entry(0), membership(0));
    assert_eq!(entry(1), blank(1));
    assert_eq!(entry(2), ingest(1, 2, 10));
    assert!(store.read_command(1).unwrap().is_none());
    let EntryPayload::Normal(command) = ingest(1, 2, 10).payload else { panic!() };
    assert_eq!(store.read_command(2).unwrap(), Some((log_id(1, 2), command)));
    assert!(store.read(5).unwrap().is_none());
}

#[tokio::test]
async fn a_read_is_bounded_in_bytes_but_returns_one_at_least() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(&folder);
    let entries = (0..10).map(|index| ingest(1, index, READ_BYTES_MAX / 4 + 1));
    store.blocking_append(entries.collect::<Vec<_>>()).await.unwrap();
    assert_eq!(store.limited_get_log_entries(2, 10).await.unwrap().len(), 3);
    assert_eq!(store.read_range(2..10, 1).unwrap().len(), 1);
    let mut reader = store.get_log_reader().await;
    let stream = reader.entries_stream(1..9).await;
    let streamed: Vec<_> = futures::StreamExt::collect(stream).await;
    let indexes: Vec<u64> = streamed.into_iter().map(|e| e.unwrap().log_id.index).collect();
    assert_eq!(indexes, (1..9).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_purge_frees_chunks_and_old_entries_are_read_from_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = settings(folder.path(), 64 << 10).unwrap();
    config.log_cache_capacity = Some(1);
    let mut store = LogStore::open_with(config, never()).unwrap();
    for index in 0..1000 {
        store.blocking_append([ingest(1, index, 1000)]).await.unwrap();
    }
    let before = store.size_on_disk();
    assert_eq!(store.try_get_log_entries(10..12).await.unwrap().len(), 2);
    store.purge(log_id(1, 899)).await.unwrap();
    store.sync().unwrap();
    assert!(store.size_on_disk() < before / 5, "{} of {before}", store.size_on_disk());
    assert_eq!(store.kept(), 900..1000);
}

/// The chunk file of a log that has only one.
fn chunk(folder: &TempDir) -> PathBuf {
    let mut found = chunks(folder);
    assert_eq!(found.len(), 1);
    found.remove(0)
}

/// Flips each bit of the last chunk from a byte on: the log must not open and not change.
fn refuses_each_flipped_bit(folder: &TempDir, from: usize, what: &str) {
    let path = chunk(folder);
    let whole = std::fs::read(&path).unwrap();
    for bit in from * 8..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, &bytes).unwrap();
        let opened = LogStore::open(folder.path(), never());
        let error = opened.err().unwrap_or_else(|| panic!("{what}: bit {bit} went unnoticed"));
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{what}, bit {bit}: {error}");
        assert!(error.to_string().contains("at byte"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{what}: bit {bit} changed the file");
    }
}

#[tokio::test]
async fn every_flipped_bit_is_noticed_and_nothing_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    fill(&mut open(&folder)).await;
    refuses_each_flipped_bit(&folder, 0, "all kinds");
}

#[tokio::test]
async fn a_flipped_bit_in_the_very_last_record_is_no_crash() {
    for last in ["vote", "append", "commit", "truncate", "purge", "nothing"] {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(&folder);
        if last != "nothing" {
            fill(&mut store).await;
        }
        let from = std::fs::read(chunk(&folder)).unwrap().len();
        match last {
            "vote" => store.save_vote(&vote(2)).await.unwrap(),
            "append" => store.blocking_append([blank(5)]).await.unwrap(),
            "commit" => store.save_committed(Some(log_id(1, 4))).await.unwrap(),
            "truncate" => store.truncate_after(Some(log_id(1, 3))).await.unwrap(),
            "purge" => store.purge(log_id(1, 1)).await.unwrap(),
            _ => {}
        }
        drop(store);
        let from = if last == "nothing" { 0 } else { from };
        refuses_each_flipped_bit(&folder, from, last);
    }
}

/// The chunk files, the oldest first.
fn chunks(folder: &TempDir) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path());
    let mut found: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|e| e == "wal")).collect();
    found.sort();
    found
}

/// A log of several small chunks with thirteen entries, the last of them with one.
async fn fill_chunks(folder: &TempDir) {
    let config = settings(folder.path(), 2 << 10).unwrap();
    let mut store = LogStore::open_with(config, never()).unwrap();
    for index in 0..13 {
        store.blocking_append([ingest(1, index, 500)]).await.unwrap();
    }
    assert!(chunks(folder).len() > 3);
}

#[tokio::test]
async fn damage_in_an_older_chunk_refuses_to_open() {
    let folder = tempfile::tempdir().unwrap();
    fill_chunks(&folder).await;
    let path = &chunks(&folder)[1];
    let whole = std::fs::read(path).unwrap();
    for byte in (0..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[byte] ^= 0x10;
        std::fs::write(path, &bytes).unwrap();
        assert!(LogStore::open(folder.path(), never()).is_err(), "byte {byte}");
        std::fs::write(path, &whole[..byte]).unwrap();
        assert!(LogStore::open(folder.path(), never()).is_err(), "cut at {byte}");
    }
    std::fs::write(path, &whole).unwrap();
    assert_eq!(open(&folder).kept(), 0..13);
}

#[tokio::test]
async fn a_crash_while_a_chunk_is_begun_loses_nothing_but_the_beginning() {
    let folder = tempfile::tempdir().unwrap();
    fill_chunks(&folder).await;
    let last = chunks(&folder).pop().unwrap();
    let offset = std::fs::metadata(&last).unwrap().len();
    let start: u64 =
        last.file_stem().unwrap().to_str().unwrap()[2..].replace('_', "").parse().unwrap();
    let next =
        settings(folder.path(), 1).unwrap().wal.chunk_path(raft_log::ChunkId(start + offset));
    for beginning in [&[][..], &[0, 0, 0, 5], &[0, 0, 0, 5, 1, 0]] {
        std::fs::write(&next, beginning).unwrap();
        assert_eq!(open(&folder).kept(), 0..13);
        assert!(!std::path::Path::new(&next).exists());
    }
    // The same crash may have cut the chunk before.
    std::fs::write(&next, []).unwrap();
    let whole = std::fs::read(&last).unwrap();
    std::fs::write(&last, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(open(&folder).kept(), 0..12);
    // Nor are zeros a beginning: blocks that were never written.
    let whole = std::fs::read(&last).unwrap().len() as u64;
    let next = settings(folder.path(), 1).unwrap().wal.chunk_path(raft_log::ChunkId(start + whole));
    for beginning in [[&[0; 64][..], &[]].concat(), [&[0, 0, 0, 5, 1], &[0; 64][..]].concat()] {
        std::fs::write(&next, beginning).unwrap();
        assert_eq!(open(&folder).kept(), 0..12);
    }
    std::fs::write(&next, [7; 64]).unwrap();
    assert!(LogStore::open(folder.path(), never()).is_err());
    assert!(std::path::Path::new(&next).exists());
}

#[tokio::test]
async fn an_entry_of_a_newer_version_names_its_index() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(&folder);
    let mut entry = ingest(1, 0, 10);
    if let EntryPayload::Normal(command) = &mut entry.payload {
        command.apply_version += 1;
    }
    store.blocking_append([entry]).await.unwrap();
    let error = store.try_get_log_entries(0..1).await.unwrap_err().to_string();
    assert!(error.starts_with("log entry 0 cannot be followed"), "{error}");
    assert!(error.contains("update this node"), "{error}");
}

#[tokio::test]
async fn a_record_cut_short_is_taken_off_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    fill(&mut open(&folder)).await;
    let path = chunk(&folder);
    let mut ends = vec![std::fs::read(&path).unwrap().len()];
    for index in 5..8 {
        open(&folder).blocking_append([ingest(1, index, 40)]).await.unwrap();
        ends.push(std::fs::read(&path).unwrap().len());
    }
    let whole = std::fs::read(&path).unwrap();
    for length in ends[0]..whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        let last = 4 + ends[1..].iter().filter(|end| **end <= length).count() as u64;
        let mut store = open(&folder);
        assert_eq!(store.kept(), 0..last + 1, "cut at {length}");
        assert_eq!(store.read_committed().await.unwrap(), Some(log_id(1, 3)));
        let entry = ingest(2, last + 1, 50);
        store.blocking_append([entry.clone()]).await.unwrap();
        drop(store);
        assert_eq!(open(&folder).read(last + 1).unwrap().unwrap().into_entry().unwrap(), entry);
    }
}

#[tokio::test]
async fn zeros_of_a_write_that_never_came_are_taken_off() {
    let folder = tempfile::tempdir().unwrap();
    fill(&mut open(&folder)).await;
    let path = chunk(&folder);
    let whole = std::fs::read(&path).unwrap();
    // Found by cutting the power of an ext4: the file was longer, its last block not written.
    for zeros in [1, 41, 4096 - whole.len() % 4096] {
        std::fs::write(&path, [&whole[..], &vec![0; zeros]].concat()).unwrap();
        assert_eq!(open(&folder).kept(), 0..5, "{zeros} zeros");
    }
}

#[tokio::test]
async fn zeros_to_the_end_were_never_written_but_others_are_damage() {
    let folder = tempfile::tempdir().unwrap();
    fill(&mut open(&folder)).await;
    let path = chunk(&folder);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&whole[..], &[0; 4096]].concat()).unwrap();
    assert_eq!(open(&folder).kept(), 0..5);
    assert_eq!(std::fs::read(&path).unwrap(), whole, "the zeros were taken off");
    // What follows zeros was written after them.
    let damage = [&whole[..], &[0; 4096], b"W"].concat();
    std::fs::write(&path, &damage).unwrap();
    assert!(LogStore::open(folder.path(), never()).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), damage);
    // A committed entry was acknowledged: where it is missing, it was not a crash.
    std::fs::write(&path, &whole).unwrap();
    let mut store = open(&folder);
    store.blocking_append([ingest(1, 5, 200)]).await.unwrap();
    store.save_committed(Some(log_id(1, 5))).await.unwrap();
    drop(store);
    assert_eq!(open(&folder).kept(), 0..6);
}

#[tokio::test]
async fn a_second_process_cannot_open_it() {
    let folder = tempfile::tempdir().unwrap();
    let _store = open(&folder);
    let error = LogStore::open(folder.path(), never()).err().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn a_log_that_a_snapshot_overtook_goes_on_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(&folder);
    fill(&mut store).await;
    store.purge(log_id(2, 20)).await.unwrap();
    store.save_committed(Some(log_id(2, 30))).await.unwrap();
    assert_eq!(store.read_committed().await.unwrap(), Some(log_id(1, 3)));
    store.save_committed(Some(log_id(2, 20))).await.unwrap();
    assert_eq!(store.kept(), 21..21);
    assert!(store.limited_get_log_entries(3, 9).await.unwrap().is_empty());
    store.blocking_append([ingest(2, 21, 10)]).await.unwrap();
    drop(store);
    let mut store = open(&folder);
    assert_eq!(store.kept(), 21..22);
    assert_eq!(store.read_committed().await.unwrap(), Some(log_id(2, 20)));
    assert!(store.limited_get_log_entries(20, 22).await.unwrap().is_empty());
    assert_eq!(store.read_range(0..100, usize::MAX).unwrap().len(), 1);
}

/// A `Fatal` that goes on, and what it was told.
fn noted() -> (Fatal, Arc<Mutex<Vec<String>>>) {
    let reasons = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&reasons);
    (Arc::new(move |reason| seen.lock().push(reason.to_owned())), reasons)
}

#[tokio::test]
async fn a_chunk_that_cannot_be_begun_ends_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let (fatal, reasons) = noted();
    let config = settings(folder.path(), 2 << 10).unwrap();
    let mut store = LogStore::open_with(config, fatal).unwrap();
    store.blocking_append([ingest(1, 0, 500)]).await.unwrap();
    std::fs::remove_dir_all(folder.path()).unwrap();
    assert!(reasons.lock().is_empty());
    store.append((1..9).map(|index| ingest(1, index, 500)), IOFlushed::noop()).await.unwrap_err();
    assert!(reasons.lock()[0].starts_with("the Raft log cannot be written: "), "{reasons:?}");
}

#[test]
fn a_failed_flush_ends_the_process_before_anyone_is_told() {
    let (fatal, reasons) = noted();
    let (sender, mut receiver) = tokio::sync::oneshot::channel();
    let callback = Flushed { whom: Whom::Task(sender), fatal };
    callback.send(Err(io::Error::other("no space")));
    assert_eq!(*reasons.lock(), ["the Raft log cannot be written to disk: no space"]);
    assert!(receiver.try_recv().unwrap().is_err());
}
