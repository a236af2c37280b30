//! Ordered tables that the spool is kept in: `sled` in production, memory that forgets what was not
//! synced in a simulation.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use bytes::Bytes;

pub(super) mod sled;

/// A key and its value.
pub type Row = (Bytes, Bytes);

/// Rows in the order of their keys.
pub type Rows<'a> = Box<dyn DoubleEndedIterator<Item = io::Result<Row>> + 'a>;

/// What all tables of a spool lie on.
pub trait Disk: Debug + Send + Sync {
    /// The table of this name, made where it is missing.
    ///
    /// # Errors
    /// The disk's.
    fn table(&self, name: &str) -> io::Result<Table>;

    /// Makes all that was written durable.
    ///
    /// # Errors
    /// The disk's; what was written before is then lost or not.
    fn sync(&self) -> io::Result<()>;

    /// Makes it durable that there are files at all, and the folder that they lie in.
    ///
    /// # Errors
    /// The disk's.
    fn sync_folder(&self) -> io::Result<()>;
}

/// What one table is kept in.
pub trait Rack: Debug + Send + Sync {
    /// The value under a key.
    ///
    /// # Errors
    /// The disk's.
    fn get(&self, key: &[u8]) -> io::Result<Option<Bytes>>;

    /// Puts (`Some`) and removes (`None`), all or nothing, also over a crash.
    ///
    /// # Errors
    /// The disk's.
    fn apply(&self, changes: Vec<(Vec<u8>, Option<Bytes>)>) -> io::Result<()>;

    /// The rows between two keys.
    fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Rows<'_>;

    /// How many rows there are.
    fn count(&self) -> usize;
}

/// One table; clones share it.
#[derive(Clone, Debug)]
pub struct Table(pub Arc<dyn Rack>);

/// Changes that come to be together.
#[derive(Debug, Default)]
pub(super) struct Changes(Vec<(Vec<u8>, Option<Bytes>)>);

impl Changes {
    pub(super) fn insert(&mut self, key: &[u8], value: Bytes) {
        self.0.push((key.to_vec(), Some(value)));
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        self.0.push((key.to_vec(), None));
    }
}

impl Table {
    pub(super) fn get(&self, key: impl AsRef<[u8]>) -> io::Result<Option<Bytes>> {
        self.0.get(key.as_ref())
    }

    pub(super) fn contains_key(&self, key: impl AsRef<[u8]>) -> io::Result<bool> {
        Ok(self.get(key)?.is_some())
    }

    pub(super) fn insert(&self, key: impl AsRef<[u8]>, value: impl Into<Bytes>) -> io::Result<()> {
        self.0.apply(vec![(key.as_ref().to_vec(), Some(value.into()))])
    }

    pub(super) fn remove(&self, key: impl AsRef<[u8]>) -> io::Result<()> {
        self.0.apply(vec![(key.as_ref().to_vec(), None)])
    }

    pub(super) fn apply_batch(&self, changes: Changes) -> io::Result<()> {
        self.0.apply(changes.0)
    }

    pub(super) fn range<K: AsRef<[u8]>>(&self, range: impl RangeBounds<K>) -> Rows<'_> {
        let from = range.start_bound().map(AsRef::as_ref);
        self.0.range(from, range.end_bound().map(AsRef::as_ref))
    }

    pub(super) fn iter(&self) -> Rows<'_> {
        self.0.range(Bound::Unbounded, Bound::Unbounded)
    }

    pub(super) fn len(&self) -> usize {
        self.0.count()
    }
}
