//! The replicated intent: what a log entry asks of every replica, and its bytes.
//!
//! A command's bytes are a small envelope and then the sensors' frames as they were sent: nothing
//! re-encodes an event. Pure; an entry that cannot be decoded stops the node (the caller's part).

use std::fmt;

use bytes::Bytes;
use wardmesh_common::id::{ClusterId, FindingId, NodeId, SensorId, SiteId, TenantId};
use wardmesh_common::map::HashKey;
use wardmesh_common::time::Timestamp;
use wardmesh_common::wire::Lane;

use super::findings::Status;

mod codec;

pub use codec::NotACommand;

/// What this build's `apply` does; a command of a higher version stops the node, which must be
/// updated before it can go on.
pub const APPLY_VERSION: u16 = 1;

/// One replicated intent. Time reaches the state only in here.
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    /// The version of `apply` that it needs.
    pub apply_version: u16,
    /// The leader's time: never goes back from command to command.
    pub at: Timestamp,
    /// What to do.
    pub action: Action,
}

/// What a command does.
#[derive(Clone, PartialEq, Eq)]
pub enum Action {
    /// The first command of a cluster: who it is, and the key of its maps and digest.
    Found {
        /// The cluster's id.
        cluster: ClusterId,
        /// Drawn at init, the same on every replica.
        key: HashKey,
        /// SHA-256 of the admin token; the token itself is shown once and kept nowhere.
        admin_token: [u8; 32],
    },
    /// Batches of any sensors, in the order in which they are to be applied.
    Ingest(Vec<Submission>),
    /// A sensor's start wants to send: its epoch, and the older ones that its spool still holds.
    OpenEpoch(OpenEpoch),
    /// A batch that can never be applied: the watermark passes over it.
    Skip(Skip),
    /// Adds or renames a facility.
    DefineSite(DefineSite),
    /// Admits a sensor at a site.
    Enrol(Enrol),
    /// Stops a sensor's admission for good.
    Revoke(SensorId),
    /// Time passes.
    Tick,
    /// Somebody deals with a finding.
    UpdateFinding(UpdateFinding),
    /// A node says how much room its volume has.
    ReportNode(ReportNode),
    /// A node's clock is wrong, or right again.
    ReportClock(ReportClock),
}

/// One batch on its way into the state.
#[derive(Clone, PartialEq, Eq)]
pub struct Submission {
    /// Whose certificate it came under.
    pub sensor: SensorId,
    /// The leader's clock minus the sensor's at the sending, nanoseconds; transit time included.
    pub clock_offset: i64,
    /// The sealed frame, byte for byte.
    pub frame: Bytes,
}

/// See [`Action::OpenEpoch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenEpoch {
    /// Whose start it is.
    pub sensor: SensorId,
    /// The tenant in its certificate; another's is refused.
    pub tenant: TenantId,
    /// The random number of this start.
    pub epoch: u64,
    /// Earlier starts whose batches are still in the spool; every other open one is closed.
    pub held: Vec<u64>,
    /// The lane that the hello opens.
    pub lane: Lane,
    /// The last place of the lane that this start has sealed, then those that the spool has of each held
    /// one, 0 where it has none; empty where the sensor does not tell.
    pub tails: Vec<u64>,
    /// Where the sensor is, `address:port`, as the node sees it.
    pub remote: String,
    /// The sensor's software version.
    pub version: String,
}

impl OpenEpoch {
    /// The last place of the lane that the sensor knows of in a start; `None` where it does not tell.
    #[must_use]
    pub fn tail(&self, epoch: u64) -> Option<u64> {
        if epoch == self.epoch {
            return self.tails.first().copied();
        }
        let at = self.held.iter().position(|held| *held == epoch)?;
        self.tails.get(at + 1).copied().filter(|tail| *tail > 0)
    }
}

/// See [`Action::Skip`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip {
    /// Whose batch it is.
    pub sensor: SensorId,
    /// Its epoch.
    pub epoch: u64,
    /// Its lane.
    pub lane: Lane,
    /// Its place.
    pub seq: u64,
    /// The chain hash that its header carries, from which the next frame goes on.
    pub chain: u64,
    /// Events that are lost with it.
    pub events: u32,
    /// Why: a `Rejection`'s code.
    pub reason: String,
}

/// See [`Action::DefineSite`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefineSite {
    /// Whose facility it is.
    pub tenant: TenantId,
    /// Its name in every URL.
    pub site: SiteId,
    /// Its name for people.
    pub title: String,
}

/// See [`Action::Enrol`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrol {
    /// The UUID in its certificate.
    pub sensor: SensorId,
    /// The tenant in its certificate.
    pub tenant: TenantId,
    /// Where it stands.
    pub site: SiteId,
    /// Its name for people.
    pub name: String,
}

/// See [`Action::UpdateFinding`]. What is `None` stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateFinding {
    /// Whose finding it is; another's is not found.
    pub tenant: TenantId,
    /// Which one.
    pub finding: FindingId,
    /// The revisions of which it must have one; empty: whichever it has.
    pub expected: Vec<u64>,
    /// What becomes of it.
    pub status: Option<Status>,
    /// Who sees to it; an empty name for nobody.
    pub assignee: Option<String>,
    /// What people say of it; empty for nothing.
    pub note: Option<String>,
    /// Who changes it.
    pub by: String,
}

/// See [`Action::ReportNode`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportNode {
    /// Which node.
    pub node: NodeId,
    /// Its name for people.
    pub name: String,
    /// The folder on the volume.
    pub path: String,
    /// Bytes that are left.
    pub free: u64,
    /// Whether that is enough again.
    pub enough: bool,
    /// Whether it has run short since the last report.
    pub short: bool,
}

/// See [`Action::ReportClock`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportClock {
    /// Whose clock.
    pub node: NodeId,
    /// The node's name for people.
    pub name: String,
    /// Its clock minus the time that the cluster agreed on, nanoseconds.
    pub offset: i64,
    /// Whether it is wrong now.
    pub off: bool,
}

impl Command {
    /// A command of this build's version.
    #[must_use]
    pub fn new(at: Timestamp, action: Action) -> Self {
        Self { apply_version: APPLY_VERSION, at, action }
    }

    /// Bytes of frames that it carries: what bounds an entry's size.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        match &self.action {
            Action::Ingest(submissions) => submissions.iter().map(|s| s.frame.len()).sum(),
            _ => 0,
        }
    }
}

/// Names the action and its size; never its contents.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.action {
            Action::Found { .. } => "found",
            Action::Ingest(submissions) => {
                return write!(f, "ingest({} batches)", submissions.len());
            }
            Action::OpenEpoch(_) => "open-epoch",
            Action::Skip(_) => "skip",
            Action::DefineSite(_) => "define-site",
            Action::Enrol(_) => "enrol",
            Action::Revoke(_) => "revoke",
            Action::Tick => "tick",
            Action::UpdateFinding(_) => "update-finding",
            Action::ReportNode(_) => "report-node",
            Action::ReportClock(_) => "report-clock",
        };
        f.write_str(name)
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}@{}", self.at)
    }
}
