//! A spool's tables in memory: a thousand sensors on one machine would measure its disk, which no
//! sensor shares with another.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use wardmesh_sensor::spool::table::{Disk, Rack, Rows, Table};

/// A disk that forgets everything with its process.
#[derive(Debug, Default)]
pub struct Memory(Mutex<BTreeMap<String, Arc<Shelf>>>);

/// One table.
#[derive(Debug, Default)]
struct Shelf(Mutex<BTreeMap<Vec<u8>, Bytes>>);

impl Disk for Memory {
    fn table(&self, name: &str) -> io::Result<Table> {
        let shelf = Arc::clone(self.0.lock().entry(name.to_owned()).or_default());
        Ok(Table(shelf))
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync_folder(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Rack for Shelf {
    fn get(&self, key: &[u8]) -> io::Result<Option<Bytes>> {
        Ok(self.0.lock().get(key).cloned())
    }

    fn apply(&self, changes: Vec<(Vec<u8>, Option<Bytes>)>) -> io::Result<()> {
        let mut rows = self.0.lock();
        for (key, value) in changes {
            match value {
                Some(value) => drop(rows.insert(key, value)),
                None => drop(rows.remove(&key)),
            }
        }
        Ok(())
    }

    fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Rows<'_> {
        let rows = self.0.lock();
        let found = rows.range::<[u8], _>((from, to));
        let found: Vec<_> =
            found.map(|(key, value)| Ok((key.clone().into(), value.clone()))).collect();
        Box::new(found.into_iter())
    }

    fn count(&self) -> usize {
        self.0.lock().len()
    }
}
