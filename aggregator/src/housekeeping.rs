//! What a node does beside serving: archives applied commands, keeps to its retention, and feeds the
//! query index what it lacks. One thread, never inside `apply`. Damage that it meets stops the node.

use std::mem::{Discriminant, discriminant};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use wardmesh_common::space::{FULL, Level, Space};
use wardmesh_common::time::Timestamp;

use crate::raft::consensus::Consensus;
use crate::raft::log_store::{LogStore, end_process};
use crate::replica::Replica;
use crate::store::StoreError;
use crate::store::archive::{FILE_BYTES, Retention};

/// How often there is something to do.
const PERIOD: Duration = Duration::from_millis(500);

/// How long the query index is fed again before the archive has its turn: what is left comes next.
const REINDEX_MAX: Duration = Duration::from_secs(1);

/// Bytes by which the log grows before a file is written: what is archived can be purged, the log is
/// read whole at every start, and rows wait in memory until then.
const LOG_GROWTH_MAX: u64 = FILE_BYTES;

/// How much is kept, and how often it is archived.
#[derive(Clone, Copy, Debug)]
pub struct Keeping {
    /// Bytes of archived commands.
    pub archive_bytes: u64,
    /// Entries that are applied and not archived yet before a file is written: as many as lie between
    /// two snapshots, since what is in one may be purged once it is archived.
    pub unarchived_entries: u64,
}

/// Works until `stop` turns true.
pub fn run(
    replica: &Replica,
    consensus: &Consensus,
    keeping: Keeping,
    (space, stop): (&Space, &AtomicBool),
) {
    let (mut archived_at, log) = (0, &consensus.log());
    let fatal = end_process();
    let mut said: [Option<Discriminant<StoreError>>; 4] = Default::default();
    while !stop.load(Ordering::Acquire) {
        // Each on its own: a full volume must neither keep the index incomplete nor what is too old.
        let works = [
            archive(replica, log, keeping, &mut archived_at),
            retain(replica, keeping),
            reindex(replica, log, (space, stop)),
            replica.store().take_failure().map_or(Ok(()), Err),
        ];
        for (done, said) in works.into_iter().zip(&mut said) {
            match done {
                Ok(()) => *said = None,
                Err(cause) if cause.is_damage() => {
                    replica.store().note_damage(&cause);
                    return consensus.stop(cause.to_string());
                }
                Err(cause) if cause.is_of_the_disk() => fatal(&cause.to_string()),
                // A snapshot that finds them lost would be fatal as well, at some later time.
                Err(cause @ StoreError::RowsLost(_)) if space.level() > Level::Critical => {
                    consensus.remember_shortage();
                    fatal(&format!("{cause}; there is room again: the next start applies it anew"));
                }
                Err(cause) if is_news(said, &cause) => {
                    tracing::error!(%cause, "housekeeping");
                }
                Err(_) => {}
            }
        }
        // What could not be written has ended the process.
        let _ = log.mark();
        if let Some(cause) = replica.store().progress().failed
            && ran_full(&cause)
            && space.level() > Level::Critical
        {
            consensus.remember_shortage();
            fatal(&format!("{cause}; there is room again: the next start builds it anew"));
        }
        // A step at a time, so that what is applied does not wait.
        while !stop.load(Ordering::Acquire) && !replica.facets().refresh(&replica.state()) {}
        std::thread::sleep(PERIOD);
    }
    let _ = log.mark();
}

/// Whether something is wrong that was not a moment ago. Each time that the same is met, the numbers in
/// it may be others: only its kind counts.
fn is_news(said: &mut Option<Discriminant<StoreError>>, cause: &StoreError) -> bool {
    let kind = discriminant(cause);
    said.replace(kind) != Some(kind)
}

/// Whether the query index failed for want of room, after which sled takes nothing more.
fn ran_full(cause: &str) -> bool {
    // sled tells of an error by its debug form.
    FULL.iter()
        .any(|kind| cause.contains(&format!("{kind:?}")) || cause.contains(&kind.to_string()))
}

/// Writes an archive file where one is due; `archived_at` is the log's size after the last one.
fn archive(
    replica: &Replica,
    log: &LogStore,
    keeping: Keeping,
    archived_at: &mut u64,
) -> Result<(), StoreError> {
    let store = replica.store();
    let applied = replica.state().applied();
    let unarchived = applied.saturating_sub(store.archived_through().unwrap_or(0));
    // A purge makes the log shorter than it was.
    let size = log.size_on_disk();
    *archived_at = (*archived_at).min(size);
    let grown = size - *archived_at;
    let wanted = store.wanted().min(applied) > store.archived_through().unwrap_or(0);
    let due = unarchived > keeping.unarchived_entries
        || (unarchived > 0 && (grown > LOG_GROWTH_MAX || store.is_crowded()));
    // The log keeps what finds no room here; what is archived can be purged, which makes room.
    if due || wanted {
        let through = store.archive_up_to(applied, log)?;
        *archived_at = log.size_on_disk();
        tracing::info!(?through, "archived");
    }
    Ok(())
}

/// Keeps to the retention: all the more where the volume is full, since it makes room.
fn retain(replica: &Replica, keeping: Keeping) -> Result<(), StoreError> {
    let retention = Retention { bytes_max: keeping.archive_bytes, since: Timestamp::EPOCH };
    let retired = replica.store().retain(&retention)?;
    if retired.files > 0 {
        tracing::info!(files = retired.files, bytes = retired.bytes, "removed the oldest history");
    }
    Ok(())
}

/// Feeds the index the rows that it lacks.
fn reindex(
    replica: &Replica,
    log: &LogStore,
    (space, stop): (&Space, &AtomicBool),
) -> Result<(), StoreError> {
    let store = replica.store();
    let Some(missing) = store.missing(log) else { return Ok(()) };
    // It waits for room, and nothing here may wait for that, nor the archive for all of it.
    let until = Instant::now() + REINDEX_MAX;
    let later =
        || stop.load(Ordering::Acquire) || space.level() < Level::Low || Instant::now() > until;
    if missing.through > replica.state().applied() || later() {
        return Ok(());
    }
    tracing::debug!(
        from = missing.from,
        through = missing.through,
        "feeding the query index again"
    );
    store.refeed(missing, &later)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_when_it_begins() {
        let full = |bytes| StoreError::Full { path: "archive".into(), bytes };
        let mut said = None;
        // (what is met) → whether it is said
        let cases = [
            (full(1_000), true),
            (full(2_000), false),
            (full(3_000), false),
            (StoreError::NotApplied(7), true),
            (full(4_000), true),
        ];
        for (cause, news) in cases {
            assert_eq!(is_news(&mut said, &cause), news, "{cause}");
        }
        said = None;
        assert!(is_news(&mut said, &full(4_000)), "it was over in between");
    }
}
