//! What a node does beside serving: archives applied commands, keeps to its retention, and feeds the
//! query index what it lacks. One thread, never inside `apply`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use wardmesh_common::id::SensorId;
use wardmesh_common::time::Timestamp;
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::frame::Frame;

use crate::config::RetentionConfig;
use crate::raft::log_store::LogStore;
use crate::replica::Replica;
use crate::state::command::{Action, Command};
use crate::state::effects::AppliedBatch;
use crate::store::StoreError;
use crate::store::archive::Retention;

/// How often there is something to do.
const PERIOD: Duration = Duration::from_millis(500);

/// Bytes of log before a file is written: what is archived can be purged, and the log is read whole
/// at every start.
const LOG_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Works until `stop` turns true.
pub fn run(
    replica: &Replica,
    log: &LogStore,
    retention: &RetentionConfig,
    stop: &Arc<AtomicBool>,
) {
    while !stop.load(Ordering::Acquire) {
        if let Err(cause) = once(replica, log, retention) {
            tracing::error!(%cause, "housekeeping");
        }
        std::thread::sleep(PERIOD);
    }
}

fn once(
    replica: &Replica,
    log: &LogStore,
    retention: &RetentionConfig,
) -> Result<(), StoreError> {
    let store = replica.store();
    let applied = replica.state().applied();
    let unarchived = applied.saturating_sub(store.archived_through().unwrap_or(0));
    // As often as snapshots: what is in one may be purged once it is archived.
    let due = unarchived > retention.snapshot_entries;
    if due || (unarchived > 0 && log.size_on_disk() > LOG_BYTES_MAX) {
        let through = store.archive_up_to(applied, log)?;
        tracing::info!(?through, "archived");
        store.retain(&Retention { bytes_max: retention.archive_bytes, since: Timestamp::EPOCH })?;
    }
    reindex(replica, log)
}

/// Feeds the index the rows that it lacks, from log and archive.
///
/// A batch may stand in the log several times, sent again after a change of leader: its first
/// occurrence is the one that counts.
fn reindex(replica: &Replica, log: &LogStore) -> Result<(), StoreError> {
    let store = replica.store();
    let Some(missing) = store.missing(log) else { return Ok(()) };
    if missing.through > replica.state().applied() {
        return Ok(());
    }
    tracing::info!(from = missing.from, through = missing.through, "feeding the query index again");
    let mut seen = BTreeSet::new();
    let mut scratch = Vec::new();
    for index in missing.from..=missing.through {
        let bytes = store.command(index, log)?;
        let rows = bytes.map_or_else(Vec::new, |bytes| match Command::decode(bytes) {
            Ok(command) => rows(replica, &command, &mut seen, &mut scratch),
            Err(cause) => {
                tracing::error!(index, %cause, "an entry cannot be read again");
                Vec::new()
            }
        });
        if !rows.is_empty() || index == missing.through {
            store.refeed(index, rows);
        }
    }
    Ok(())
}

/// A batch's place.
type Place = (SensorId, u64, Lane, u64);

fn rows(
    replica: &Replica,
    command: &Command,
    seen: &mut BTreeSet<Place>,
    scratch: &mut Vec<u8>,
) -> Vec<AppliedBatch> {
    let Action::Ingest(submissions) = &command.action else { return Vec::new() };
    let state = replica.state();
    let first = |sensor, frame: &[u8], seen: &mut BTreeSet<Place>| {
        Frame::open(frame).is_ok_and(|frame| {
            seen.insert((sensor, frame.header.epoch, frame.header.lane, frame.header.seq))
        })
    };
    submissions
        .iter()
        .enumerate()
        .filter(|(_, submission)| first(submission.sensor, &submission.frame, seen))
        .filter_map(|(at, submission)| {
            state.row_of(u32::try_from(at).ok()?, submission, command.at, scratch)
        })
        .collect()
}
