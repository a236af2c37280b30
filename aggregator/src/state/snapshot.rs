//! The state as bytes: what a snapshot file holds and a new replica receives.
//!
//! ```text
//! WMST [version u16] [core, index, digest] [digests] { [kind u8] [rows u32] { [length u32] [row] }… [stale] }… [windows]
//! ```
//!
//! Rows keep their order, so that writing what was read gives the same bytes, and the digest is
//! computed anew and must be the one that was written. Checksums of files are the store's matter.

use std::io::{self, Read, Write};

use wardmesh_common::map::{HashKey, Lookup, Prehashed};

use super::digest::Digests;
use super::pages::Slot;
use super::record::Record;
use super::table::{Entity, Table};
use super::{Core, Known, Scratch, State};

const MAGIC: [u8; 4] = *b"WMST";

/// The version that this build writes and reads.
pub const SNAPSHOT_VERSION: u16 = 1;

/// The longest row that is read, bytes: the largest, a site's window, is 340 KiB.
const ROW_LENGTH_MAX: usize = 4 * 1024 * 1024;

/// Why a state cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The reader or writer failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It does not begin as a snapshot does.
    #[error("these bytes are no snapshot of a state")]
    Magic,
    /// Another version wrote it.
    #[error("the snapshot has version {0}, this build reads {SNAPSHOT_VERSION}: update this node")]
    Version(u16),
    /// A section is not laid out as it must be.
    #[error("the snapshot's {0} are damaged: fetch it from another node")]
    Malformed(&'static str),
    /// The state that was read is not the one that was written.
    #[error("the snapshot's digest is {written:016x}, what it holds has {read:016x}")]
    Digest {
        /// As it says.
        written: u64,
        /// As computed.
        read: u64,
    },
}

/// A state as it was: all that a snapshot needs, and not what follows from it.
#[derive(Debug)]
pub struct Picture(State);

impl Picture {
    /// The log index of the latest entry in it.
    #[must_use]
    pub fn applied(&self) -> u64 {
        self.0.applied
    }

    /// As [`State::write`].
    ///
    /// # Errors
    /// [`SnapshotError::Io`].
    pub fn write(&self, to: &mut dyn Write) -> Result<(), SnapshotError> {
        self.0.write(to)
    }
}

impl State {
    /// The state as it is now, at the cost of some thousand references.
    #[must_use]
    pub fn picture(&self) -> Picture {
        Picture(Self {
            core: self.core.clone(),
            applied: self.applied,
            digests: self.digests.clone(),
            sites: self.sites.clone(),
            sensors: self.sensors.clone(),
            past: self.past.clone(),
            devices: self.devices.clone(),
            findings: self.findings.clone(),
            retired: self.retired.clone(),
            windows: self.windows.clone(),
            identities: Lookup::new(Prehashed),
            causes: Lookup::new(self.hash_key()),
            pending_findings: 0,
            scratch: Scratch::default(),
        })
    }

    /// Writes everything that is replicated.
    ///
    /// # Errors
    /// [`SnapshotError::Io`].
    pub fn write(&self, to: &mut dyn Write) -> Result<(), SnapshotError> {
        let mut row = Vec::new();
        to.write_all(&MAGIC)?;
        to.write_all(&SNAPSHOT_VERSION.to_le_bytes())?;
        write_row(to, &((self.core.clone(), self.applied), self.sum()), &mut row)?;
        write_row(to, &self.digests.to_vec(), &mut row)?;
        write_table(to, &self.sites, &mut row)?;
        write_table(to, &self.sensors, &mut row)?;
        write_table(to, &self.devices, &mut row)?;
        write_table(to, &self.findings, &mut row)?;
        write_table(to, &self.retired, &mut row)?;
        write_table(to, &self.past, &mut row)?;
        to.write_all(&(self.windows.len() as u32).to_le_bytes())?;
        for (site, window) in &self.windows {
            write_row(to, site, &mut row)?;
            write_row(to, window.as_ref(), &mut row)?;
        }
        Ok(())
    }

    /// Reads what [`write`](Self::write) wrote.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub fn read(from: &mut dyn Read) -> Result<Self, SnapshotError> {
        let mut row = Vec::new();
        if read_bytes::<4>(from)? != MAGIC {
            return Err(SnapshotError::Magic);
        }
        let version = u16::from_le_bytes(read_bytes(from)?);
        if version != SNAPSHOT_VERSION {
            return Err(SnapshotError::Version(version));
        }
        let head: ((Core, u64), u64) = read_row(from, "core fields", &mut row)?;
        let ((core, applied), written) = head;
        let digests = read_row(from, "digests", &mut row)?;
        let digests = Digests::from_vec(digests).ok_or(SnapshotError::Malformed("digests"))?;
        let key = HashKey(core.key);
        let mut state = Self {
            core,
            applied,
            digests,
            sites: read_table(from, key, "sites", &mut row)?,
            sensors: read_table(from, key, "sensors", &mut row)?,
            devices: read_table(from, key, "devices", &mut row)?,
            findings: read_table(from, key, "findings", &mut row)?,
            retired: read_table(from, key, "retired nodes", &mut row)?,
            past: read_table(from, key, "past starts", &mut row)?,
            windows: Default::default(),
            identities: Lookup::new(Prehashed),
            causes: Lookup::new(key),
            pending_findings: 0,
            scratch: Scratch::default(),
        };
        state.read_windows(from, &mut row)?;
        state.index();
        let read = state.sum();
        if read == written { Ok(state) } else { Err(SnapshotError::Digest { written, read }) }
    }

    fn read_windows(
        &mut self,
        from: &mut dyn Read,
        row: &mut Vec<u8>,
    ) -> Result<(), SnapshotError> {
        for _ in 0..u32::from_le_bytes(read_bytes(from)?) {
            let site = read_row(from, "windows", row)?;
            let window: super::merge::Window = read_row(from, "windows", row)?;
            if window.sum_from_scratch(self.hash_key()) != Some(window.sum()) {
                return Err(SnapshotError::Malformed("windows"));
            }
            self.windows.insert(site, window.into());
        }
        Ok(())
    }

    /// Rebuilds what follows from the rows.
    fn index(&mut self) {
        let key = self.hash_key();
        for (slot, device) in self.devices.in_slots() {
            let known = Known { slot, router: device.router };
            self.identities.insert(device.identity.hash(key), known);
        }
        for finding in self.findings.in_row_order() {
            self.causes.insert(finding.cause.clone(), finding.id);
            self.pending_findings += usize::from(finding.status.is_pending());
        }
    }
}

fn write_row<T: Record>(to: &mut dyn Write, value: &T, row: &mut Vec<u8>) -> io::Result<()> {
    row.clear();
    value.write(row);
    to.write_all(&(row.len() as u32).to_le_bytes())?;
    to.write_all(row)
}

fn write_table<E: Entity>(
    to: &mut dyn Write,
    table: &Table<E>,
    row: &mut Vec<u8>,
) -> io::Result<()> {
    to.write_all(&[E::KIND])?;
    to.write_all(&(table.len() as u32).to_le_bytes())?;
    table.in_row_order().try_for_each(|entity| write_row(to, entity, row))?;
    write_row(to, &table.stale_slots().to_vec(), row)
}

fn read_bytes<const N: usize>(from: &mut dyn Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_row<T: Record>(
    from: &mut dyn Read,
    section: &'static str,
    row: &mut Vec<u8>,
) -> Result<T, SnapshotError> {
    let malformed = SnapshotError::Malformed(section);
    let length = u32::from_le_bytes(read_bytes(from)?) as usize;
    if length > ROW_LENGTH_MAX {
        return Err(malformed);
    }
    row.resize(length, 0);
    from.read_exact(row)?;
    let mut rest = row.as_slice();
    T::read(&mut rest).filter(|_| rest.is_empty()).ok_or(malformed)
}

fn read_table<E: Entity>(
    from: &mut dyn Read,
    key: HashKey,
    section: &'static str,
    row: &mut Vec<u8>,
) -> Result<Table<E>, SnapshotError> {
    if read_bytes::<1>(from)? != [E::KIND] {
        return Err(SnapshotError::Malformed(section));
    }
    let mut table = Table::new(key);
    for _ in 0..u32::from_le_bytes(read_bytes(from)?) {
        table.insert(read_row::<E>(from, section, row)?);
    }
    table.settle(row);
    let stale: Vec<Slot> = read_row(from, section, row)?;
    if !table.mark_stale(&stale) {
        return Err(SnapshotError::Malformed(section));
    }
    table.close_command();
    Ok(table)
}
