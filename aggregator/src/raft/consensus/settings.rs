//! What a node's consensus is told at its start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use openraft::{Config, ConfigError, SnapshotPolicy};
use wardmesh_common::id::NodeId;
use wardmesh_common::space::Space;
use wardmesh_common::tls::Identity;

use crate::raft::types::Member;

/// Entries in one append: joined commands are large, and their bytes are bounded besides.
const APPEND_ENTRIES_MAX: u64 = 64;

/// How long a snapshot may be on its way and being installed: some gigabytes over a slow line.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(15 * 60);

/// A follower that is further behind, in entries, is not taken for a caught-up learner.
const LAG_MAX: u64 = 10_000;

/// What a node's consensus is told at its start.
#[derive(Clone)]
pub struct Settings {
    /// This node's id; must be its certificate's.
    pub node_id: NodeId,
    /// How others reach this node.
    pub member: Member,
    /// The node's volume; consensus keeps `node-id` and `raft/` in it.
    pub data: PathBuf,
    /// Where the Raft endpoint listens (UDP).
    pub raft_listen: SocketAddr,
    /// This node's identity among the nodes.
    pub identity: Identity,
    /// Heartbeats and elections.
    pub timing: Timing,
    /// Whether a read of [`Consistency::Leader`](super::Consistency::Leader) trusts the leader's lease
    /// and so that no machine's clock stands still; else a quorum confirms the leader for it as well.
    pub lease_reads: bool,
    /// Snapshots and purges.
    pub compaction: Compaction,
    /// The last index that the event archive holds durably: a purge never passes it. A node without
    /// an archive answers `u64::MAX`.
    pub archived_through: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Bytes that are written before a snapshot beside its own: what is not archived yet.
    pub unarchived_bytes: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// The room that the volume has.
    pub space: Arc<Space>,
}

/// Heartbeats and elections (Raft paper, section 5.6: broadcast time ≪ election timeout).
///
/// openraft lets the lease run out first and then waits between the shortest and the longest time, so
/// that a silent leader is replaced after `election_max + election_min` to `2 × election_max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Between two heartbeats.
    pub heartbeat: Duration,
    /// The shortest time from a lease's end to an election.
    pub election_min: Duration,
    /// The longest; also a leader's lease from its last heartbeat on.
    pub election_max: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(150),
            election_min: Duration::from_millis(400),
            election_max: Duration::from_millis(800),
        }
    }
}

/// When snapshots are built and what of the log is purged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compaction {
    /// A snapshot after so many applied entries.
    pub snapshot_entries: u64,
    /// A snapshot after so many bytes of batches since the last.
    pub snapshot_bytes: u64,
    /// Applied entries that are kept for followers that come back.
    pub keep_entries: u64,
    /// A reachable follower holds up the purge while it is at most so many entries behind; beyond
    /// that it gets a snapshot.
    pub laggard_entries: u64,
    /// Bytes of log that are kept for followers at most, whatever the two above say: entries may be
    /// large, and one whose volume is full stays behind for as long as that lasts.
    pub laggard_bytes: u64,
}

/// Bytes of log that are kept for followers: as much as grows between two snapshots and again, read
/// within two seconds at a start.
const LAGGARD_BYTES: u64 = 2 * 1024 * 1024 * 1024;

impl Compaction {
    /// A snapshot every so many entries. A follower that comes back finds half of that in the log at
    /// least, and one that is behind by ten snapshots gets a snapshot instead.
    #[must_use]
    pub const fn every(snapshot_entries: u64) -> Self {
        Self {
            snapshot_entries,
            snapshot_bytes: 1024 * 1024 * 1024,
            keep_entries: snapshot_entries / 2,
            laggard_entries: snapshot_entries.saturating_mul(10),
            laggard_bytes: LAGGARD_BYTES,
        }
    }
}

impl Default for Compaction {
    fn default() -> Self {
        Self::every(20_000)
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl Settings {
    /// The same in openraft's words.
    pub(super) fn config(&self, cluster: &str) -> Result<Config, ConfigError> {
        let config = Config {
            cluster_name: cluster.to_owned(),
            heartbeat_interval: millis(self.timing.heartbeat),
            election_timeout_min: millis(self.timing.election_min),
            election_timeout_max: millis(self.timing.election_max),
            install_snapshot_timeout: millis(SNAPSHOT_PATIENCE),
            max_payload_entries: APPEND_ENTRIES_MAX,
            replication_lag_threshold: LAG_MAX,
            // Both are decided by `upkeep`, which knows bytes and the archive.
            snapshot_policy: SnapshotPolicy::Never,
            max_in_snapshot_log_to_keep: u64::MAX,
            enable_pre_vote: Some(true),
            // A restarted leader asks its peers, who may know more than it does.
            enable_leader_restore: Some(false),
            ..Config::default()
        };
        config.validate()
    }
}
