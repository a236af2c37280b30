//! What a node does beside serving: archives applied commands, keeps to its retention, and feeds the
//! query index what it lacks. One thread, never inside `apply`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use wardmesh_common::time::Timestamp;

use crate::raft::log_store::LogStore;
use crate::replica::Replica;
use crate::state::command::{Action, Command};
use crate::state::effects::AppliedBatch;
use crate::state::sift::Sifter;
use crate::store::StoreError;
use crate::store::archive::Retention;

/// How often there is something to do.
const PERIOD: Duration = Duration::from_millis(500);

/// The first log index that a command can have: Raft's own entry comes before it.
const FIRST_COMMAND: u64 = 1;

/// Bytes by which the log grows before a file is written: what is archived can be purged, and the log
/// is read whole at every start.
const LOG_GROWTH_MAX: u64 = 256 * 1024 * 1024;

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
pub fn run(replica: &Replica, log: &LogStore, keeping: Keeping, stop: &Arc<AtomicBool>) {
    let mut archived_at = 0;
    while !stop.load(Ordering::Acquire) {
        // Each on its own: a full archive volume must not keep the index incomplete.
        for done in [archive(replica, log, keeping, &mut archived_at), reindex(replica, log, stop)]
        {
            if let Err(cause) = done {
                tracing::error!(%cause, "housekeeping");
            }
        }
        // A step at a time, so that what is applied does not wait.
        while !stop.load(Ordering::Acquire) && !replica.facets().refresh(&replica.state()) {}
        std::thread::sleep(PERIOD);
    }
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
    if unarchived > keeping.unarchived_entries || (unarchived > 0 && grown > LOG_GROWTH_MAX) {
        let through = store.archive_up_to(applied, log)?;
        *archived_at = log.size_on_disk();
        tracing::info!(?through, "archived");
        store.retain(&Retention { bytes_max: keeping.archive_bytes, since: Timestamp::EPOCH })?;
    }
    Ok(())
}

/// Feeds the index the rows that it lacks, from log and archive.
///
/// What came of a batch depends on all that came before it: history is read from its beginning.
fn reindex(replica: &Replica, log: &LogStore, stop: &AtomicBool) -> Result<(), StoreError> {
    let store = replica.store();
    let Some(missing) = store.missing(log) else { return Ok(()) };
    if missing.through > replica.state().applied() {
        return Ok(());
    }
    tracing::info!(from = missing.from, through = missing.through, "feeding the query index again");
    let history_from = store.history_from(log);
    let mut sifter = Sifter::new(history_from <= FIRST_COMMAND);
    let mut scratch = Vec::new();
    for index in history_from..=missing.through {
        if stop.load(Ordering::Acquire) {
            return Ok(());
        }
        let command = store.command(index, log)?.map(Command::decode).transpose();
        let command =
            command.map_err(|cause| StoreError::Entry { index, cause: cause.to_string() })?;
        let rows = command.map_or_else(Vec::new, |command| {
            let applied = sifter.sift(&command, &mut scratch);
            if index < missing.from {
                Vec::new()
            } else {
                rows(replica, &command, &applied, &mut scratch)
            }
        });
        if !rows.is_empty() || index == missing.through {
            store.refeed(index, rows);
        }
    }
    Ok(())
}

fn rows(
    replica: &Replica,
    command: &Command,
    applied: &[u32],
    scratch: &mut Vec<u8>,
) -> Vec<AppliedBatch> {
    let Action::Ingest(submissions) = &command.action else { return Vec::new() };
    let state = replica.state();
    let row = |ordinal: &u32| {
        let submission = submissions.get(*ordinal as usize)?;
        state.row_of(*ordinal, submission, command.at, scratch)
    };
    applied.iter().filter_map(row).collect()
}
