//! How much room a volume has: looked at before something is written, since a write that finds none
//! may leave half of itself behind.
//!
//! It must not decide what is refused: it names the level, its owner knows what each level means.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long a look counts: `statvfs` costs some microseconds, and a fast disk takes 40 MB meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Room below which nothing is written that can be avoided, bytes: votes and marks take tens of
/// bytes, a page each at worst.
pub const SPENT_BYTES: u64 = 1024 * 1024;

/// Files below which nothing is begun.
const FILES_MIN: u64 = 16;

/// How often a start looks whether there is room at last.
pub const WAIT_POLL: Duration = Duration::from_secs(1);

/// How often a start that waits says so.
const SAY_AGAIN: Duration = Duration::from_secs(30);

/// How much room there is, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Hardly anything can be written.
    Spent,
    /// The reserve is used: only what keeps promises that were made.
    Critical,
    /// Nothing new should be begun.
    Low,
    /// Enough.
    Ample,
}

impl Level {
    /// `spent`, `critical`, `low` or `ample`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spent => "spent",
            Self::Critical => "critical",
            Self::Low => "low",
            Self::Ample => "ample",
        }
    }
}

/// Where the levels begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Below it is [`Level::Low`], bytes.
    pub low: u64,
    /// Below it is [`Level::Critical`], bytes.
    pub reserve: u64,
}

/// What a volume can still take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes that an unprivileged process may still write.
    pub free: u64,
    /// Bytes in all.
    pub total: u64,
    /// Whether files can still be made.
    pub files: bool,
}

impl Room {
    /// Everything that there could be: of a volume that cannot be asked.
    pub const UNKNOWN: Self = Self { free: u64::MAX, total: u64::MAX, files: true };

    /// Asks the volume of a folder (`statvfs(3)`).
    ///
    /// # Errors
    /// The system's.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let stat = rustix::fs::statvfs(folder)?;
        // Some file systems have no table of files, and count none.
        let files = stat.f_files == 0 || stat.f_favail >= FILES_MIN;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Ok(Self { free: bytes(stat.f_bavail), total: bytes(stat.f_blocks), files })
    }

    /// Its level under limits.
    #[must_use]
    pub const fn level(self, limits: &Limits) -> Level {
        match self.free {
            free if free < SPENT_BYTES => Level::Spent,
            free if free < limits.reserve || !self.files => Level::Critical,
            free if free < limits.low => Level::Low,
            _ => Level::Ample,
        }
    }
}

/// What a write for which there is no room fails with: on the volume (`ENOSPC`), or within what the quota
/// leaves of it (`EDQUOT`).
pub const FULL: [io::ErrorKind; 2] = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];

/// Whether a write failed for want of room.
#[must_use]
pub fn is_full(cause: &io::Error) -> bool {
    FULL.contains(&cause.kind())
}

/// What tells the room of a folder's volume; `None` where it cannot be told.
pub type Probe = Box<dyn Fn(&Path) -> Option<Room> + Send + Sync>;

/// A volume that is watched.
pub struct Space {
    folder: PathBuf,
    limits: Limits,
    probe: Probe,
    latest: Mutex<Option<(Instant, Room)>>,
}

/// Without what tells the room.
impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Space({}, {:?})", self.folder.display(), self.limits)
    }
}

impl Space {
    /// The volume that holds `folder`, or is going to.
    #[must_use]
    pub fn new(folder: PathBuf, limits: Limits) -> Self {
        Self::told_by(folder, limits, Box::new(|folder| Room::of(folder).ok()))
    }

    /// A volume whose room is told by something else than the system.
    #[must_use]
    pub fn told_by(folder: PathBuf, limits: Limits, probe: Probe) -> Self {
        Self { folder, limits, probe, latest: Mutex::default() }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where its levels begin.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The room as of 20 ms ago at most. A volume that cannot be asked is taken to have room: what is
    /// wrong with it shows when it is written to.
    #[must_use]
    pub fn room(&self) -> Room {
        let Ok(mut latest) = self.latest.lock() else { return Room::UNKNOWN };
        if let Some((at, room)) = *latest
            && at.elapsed() < LOOK_AGAIN
        {
            return room;
        }
        let existing = self.folder.ancestors().find(|folder| folder.exists());
        let room = existing.and_then(|folder| (self.probe)(folder)).unwrap_or(Room::UNKNOWN);
        *latest = Some((Instant::now(), room));
        room
    }

    /// The level now.
    #[must_use]
    pub fn level(&self) -> Level {
        self.room().level(&self.limits)
    }

    /// Whether so many bytes can be written above the reserve.
    #[must_use]
    pub fn fits(&self, bytes: u64) -> bool {
        let Room { free, files, .. } = self.room();
        files && free >= self.limits.reserve.saturating_add(bytes)
    }

    /// Waits until there is room for a start; says now and then what is in the way.
    pub async fn wait_for_room(&self, say: impl Fn(&str)) {
        let mut said: Option<Instant> = None;
        while let Some(obstacle) = self.obstacle() {
            if said.is_none_or(|at| at.elapsed() >= SAY_AGAIN) {
                say(&obstacle);
                said = Some(Instant::now());
            }
            tokio::time::sleep(WAIT_POLL).await;
        }
    }

    /// What is in the way of a start, for a log or a probe; `None` where there is room for it.
    #[must_use]
    pub fn obstacle(&self) -> Option<String> {
        let Room { free, files, .. } = self.room();
        let (folder, reserve) = (self.folder.display(), self.limits.reserve);
        match self.level() {
            Level::Low | Level::Ample => None,
            Level::Spent | Level::Critical if !files => {
                Some(format!("{folder} cannot take more files: remove some; this waits for it"))
            }
            Level::Spent | Level::Critical => Some(format!(
                "{folder} has {free} bytes left, {reserve} are needed: free space or enlarge the \
                 volume; this waits for it"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const LIMITS: Limits = Limits { low: 64 << 20, reserve: 16 << 20 };

    #[test]
    fn levels_begin_at_their_limits() {
        let cases = [
            (0, Level::Spent),
            (SPENT_BYTES - 1, Level::Spent),
            (SPENT_BYTES, Level::Critical),
            (LIMITS.reserve - 1, Level::Critical),
            (LIMITS.reserve, Level::Low),
            (LIMITS.low - 1, Level::Low),
            (LIMITS.low, Level::Ample),
        ];
        for (free, level) in cases {
            assert_eq!(Room { free, total: 1 << 30, files: true }.level(&LIMITS), level, "{free}");
        }
        let no_files = Room { free: 1 << 30, total: 1 << 30, files: false };
        assert_eq!(no_files.level(&LIMITS), Level::Critical);
        assert_eq!(Room::UNKNOWN.level(&LIMITS), Level::Ample);
    }

    #[test]
    fn a_used_up_quota_is_a_full_volume() {
        use rustix::io::Errno;
        let cases =
            [(Errno::NOSPC, true), (Errno::DQUOT, true), (Errno::IO, false), (Errno::ROFS, false)];
        for (errno, full) in cases {
            assert_eq!(is_full(&errno.into()), full, "{errno}");
        }
    }

    #[test]
    fn a_folder_that_is_not_there_yet_is_on_the_volume_above_it() {
        let folder = tempfile::tempdir().unwrap();
        let room = |folder: &Path| Room::of(folder).unwrap().total;
        let space = Space::new(folder.path().join("data/raft"), LIMITS);
        assert_eq!(space.room().total, room(folder.path()));
        let vast =
            Space::new(folder.path().to_owned(), Limits { low: u64::MAX, reserve: u64::MAX });
        assert!(vast.level() <= Level::Critical && !vast.fits(1));
        let obstacle = vast.obstacle().unwrap();
        assert!(obstacle.contains(folder.path().to_str().unwrap()), "{obstacle}");
        assert!(Space::new(folder.path().to_owned(), Limits { low: 0, reserve: 0 }).fits(1));
    }
}
