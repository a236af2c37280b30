//! Opens the index, or throws it away: it is derived, so what cannot be trusted is built anew.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use sled::{Db, Tree};

use super::cover;
use super::meta::Meta;
use super::{Expected, Rebuild};
use crate::store::{StoreError, key, row};

/// sled's page cache, bytes; its default of 1 GiB ignores cgroups. It holds three times as much memory as it
/// counts: with 64 MiB a node of 1,000 sensors held 630 MiB after two minutes, with this and half of raft-log's
/// cache 370.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// How often sled writes out and collects garbage, milliseconds. Never off: pages then only grow.
const FLUSH_EVERY_MS: u64 = 500;

/// Keys up to which all are read and summed at a start (about two seconds); of more, a sample.
const VERIFIED_KEYS_MAX: u64 = 2_000_000;

/// Rows at either end of the table that a sample reads, with what they are found by.
const SAMPLED_ROWS: usize = 4_096;

/// How long a lock is waited for: sled's own threads hold it a little longer than its last user.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// How often it is tried meanwhile.
const LOCK_RETRY: Duration = Duration::from_millis(10);

/// An index that may be used.
pub(super) struct Opened {
    pub(super) db: Db,
    pub(super) meta: Meta,
}

/// Opens the index of a folder and says which entries' rows it wants again.
pub(super) fn open(folder: &Path, expected: &Expected) -> Result<(Opened, Rebuild), StoreError> {
    let mut opened = match unlocked(folder, expected) {
        Ok(opened) => opened,
        Err(locked @ StoreError::Locked(_)) => return Err(locked),
        Err(cause) => {
            tracing::warn!(path = %folder.display(), %cause, "building the query index anew");
            std::fs::remove_dir_all(folder).map_err(StoreError::io("remove", folder))?;
            attempt(folder, expected)?
        }
    };
    let meta = &mut opened.meta;
    meta.lacks(meta.next, expected.next);
    meta.next = meta.next.max(expected.next);
    meta.from = meta.from.max(expected.history_from);
    meta.lacks_none_below(meta.from);
    meta.cluster = meta.cluster.or(expected.cluster);
    opened.db.insert(key::META, meta.to_bytes()).map_err(StoreError::index)?;
    let rebuild = meta.missing.map_or(Rebuild::None, Rebuild::From);
    Ok((opened, rebuild))
}

/// Opens the index as soon as whoever had it open has let it go.
fn unlocked(folder: &Path, expected: &Expected) -> Result<Opened, StoreError> {
    let until = Instant::now() + LOCK_WAIT;
    loop {
        match attempt(folder, expected) {
            Err(StoreError::Locked(_)) if Instant::now() < until => std::thread::sleep(LOCK_RETRY),
            attempted => return attempted,
        }
    }
}

/// sled panics on some kinds of damage; here that is one more reason to begin anew.
fn attempt(folder: &Path, expected: &Expected) -> Result<Opened, StoreError> {
    catch_unwind(AssertUnwindSafe(|| open_checked(folder, expected)))
        .unwrap_or_else(|_| Err(StoreError::Index("sled panicked on its files".to_owned())))
}

fn open_checked(folder: &Path, expected: &Expected) -> Result<Opened, StoreError> {
    let config = sled::Config::new()
        .path(folder)
        .cache_capacity(CACHE_BYTES)
        .flush_every_ms(Some(FLUSH_EVERY_MS));
    let db = config.open().map_err(|cause| match cause {
        sled::Error::Io(io) if io.to_string().contains("lock") => {
            StoreError::Locked(folder.to_owned())
        }
        cause => StoreError::index(cause),
    })?;
    let meta = match db.get(key::META).map_err(StoreError::index)? {
        None if db.is_empty() => Meta::default(),
        None => return Err(broken("its marker is lost")),
        Some(bytes) => Meta::from_bytes(&bytes)
            .ok_or_else(|| broken("its marker is damaged or of another version"))?,
    };
    if let (Some(own), Some(cluster)) = (meta.cluster, expected.cluster)
        && own != cluster
    {
        return Err(broken("it is of another cluster"));
    }
    if meta.keys <= VERIFIED_KEYS_MAX {
        check_all(&db, &meta)?
    } else {
        check_sample(&db)?
    }
    Ok(Opened { db, meta })
}

fn broken(what: &str) -> StoreError {
    StoreError::Index(what.to_owned())
}

/// Reads everything and holds it against the marker's count and sum.
fn check_all(tree: &Tree, meta: &Meta) -> Result<(), StoreError> {
    let mut found = Meta::default();
    for entry in tree.iter() {
        let (key, value) = entry.map_err(StoreError::index)?;
        if key != key::META {
            found.added(&key, &value);
        }
    }
    let whole = (found.keys, found.digest) == (meta.keys, meta.digest);
    whole.then_some(()).ok_or_else(|| broken("its rows are not those that were written"))
}

/// Reads some rows, and whether they are found by what they are about.
pub(super) fn check_sample(tree: &Tree) -> Result<(), StoreError> {
    let rows = || tree.scan_prefix([key::BATCHES]);
    for entry in rows().take(SAMPLED_ROWS).chain(rows().rev().take(SAMPLED_ROWS)) {
        let (key, value) = entry.map_err(StoreError::index)?;
        let read = key::read_batch(&key)
            .and_then(|(tenant, place)| Some((tenant, place, row::read(&value)?)));
        let (tenant, place, batches) = read.ok_or_else(|| broken("a row is damaged"))?;
        for subject in batches.iter().flat_map(row::subjects) {
            if !cover::covered(tree, &tenant, &subject, key::block(place.index))? {
                return Err(broken("a row is not found by what it is about"));
            }
        }
    }
    Ok(())
}
