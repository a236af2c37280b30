//! The wire: a fixed 64-byte header, then one rkyv archive.
//!
//! The bytes that a sensor seals here go unchanged through its spool, QUIC, the Raft log, every
//! replica and the archive. Formats are promises: a `vN` module is frozen once released, golden
//! bytes hold it, and readers accept the version before their own.
//!
//! ```text
//! stream:  [length u32][sent_at u64][frame] [length u32][sent_at u64][frame] …
//! frame:   [header 64][payload: rkyv archive, LZ4 block where the flag says so]
//! ```

pub mod frame;
pub mod message;
pub mod v1;

/// The largest frame that is sent or accepted, bytes: 112 KiB of archive before compression, the
/// header, and the most that LZ4 adds to what it cannot compress (1/255 and 16 bytes). The spool
/// keeps values of at most 120 KiB.
pub const FRAME_LENGTH_MAX: usize = 114 * 1024;

/// The largest archive that is sealed or expanded, bytes.
pub const ARCHIVE_LENGTH_MAX: usize = 112 * 1024;

/// Events in a batch: 512 events of about 200 bytes fit one send window; more only delays the ack.
pub const EVENTS_PER_BATCH_MAX: usize = 512;

/// A stream of batches with its own sequence, so that what is urgent never waits behind a spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Edge signals and health.
    Urgent,
    /// All else.
    Bulk,
}

impl Lane {
    /// Both lanes, urgent first.
    pub const ALL: [Self; 2] = [Self::Urgent, Self::Bulk];

    /// The lane's number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Urgent => 0,
            Self::Bulk => 1,
        }
    }

    /// The lane of a number on the wire.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Urgent),
            1 => Some(Self::Bulk),
            _ => None,
        }
    }

    /// `urgent` or `bulk`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Urgent => "urgent",
            Self::Bulk => "bulk",
        }
    }
}

impl std::fmt::Display for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
