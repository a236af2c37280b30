//! What a command came to: the answer that goes back to whoever proposed it.

use wardmesh_common::id::{ClusterId, SiteId};
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::message::Reason;

/// The answer to a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Receipt {
    /// Nothing to say: a tick, or an entry of Raft's own.
    #[default]
    Done,
    /// One answer a batch, in the order of the submissions.
    Ingested(Vec<BatchReceipt>),
    /// Where the sensor's epochs stand.
    EpochOpened(OpenedEpoch),
    /// The registry or the cluster changed, or was as asked already.
    Accepted,
    /// It was not done, and repeating it will not help: what is in the way, in words.
    Refused(String),
    /// The cluster exists already.
    Founded(ClusterId),
    /// The finding was changed.
    Updated {
        /// The revision that it has now.
        revision: u64,
    },
    /// The finding has another revision than was expected: nothing was changed.
    Stale {
        /// The revision that it has.
        revision: u64,
    },
    /// There is no such thing: nothing was changed.
    NotFound,
}

/// What became of one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchReceipt {
    /// Applied now.
    Applied,
    /// At or below the watermark: applied before.
    Duplicate {
        /// The watermark.
        watermark: u64,
    },
    /// Further than the next: nothing changed.
    Gap {
        /// The sequence number that is due.
        expected: u64,
    },
    /// Never to be applied.
    Rejected(Reason),
}

/// Where a sensor's epochs stand after [`OpenEpoch`](super::command::OpenEpoch).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedEpoch {
    /// The facility that the registry has the sensor at.
    pub site: SiteId,
    /// The watermarks of its open epochs.
    pub watermarks: Vec<Watermark>,
}

/// How far one lane of one epoch has been applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// The epoch.
    pub epoch: u64,
    /// The lane.
    pub lane: Lane,
    /// The last applied sequence number; 0 before the first.
    pub seq: u64,
    /// Events applied up to there.
    pub events: u64,
    /// The chain hashes of the latest places, oldest first, that of `seq` last.
    pub chains: Vec<u64>,
    /// Bit n tells that the batch at `seq - n` was passed over, not applied.
    pub skipped: u32,
}
