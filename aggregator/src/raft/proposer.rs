//! Joins the batches of all sensors into commands: one fsync for hundreds of batches.
//!
//! Batches come in through a queue that is bounded in bytes, leave it in its order as commands of
//! up to [`JOINED_LENGTH_MAX`], and each waiter gets its own receipt. On a follower the same joined
//! batches are forwarded to the leader. The order of one sensor's batches is kept; where one fails,
//! later ones may answer `Gap`, and the session above sends again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use wardmesh_common::wire::frame::Cost;

use crate::state::command::Submission;
use crate::state::receipt::BatchReceipt;

pub(super) mod forward;
pub(super) mod gate;
mod join;
#[cfg(test)]
mod tests;

pub(super) use join::run;

/// Bytes of batches in one command at which no more is joined: an append of a few of them still fits
/// between two heartbeats, and larger ones gain nothing on an fsync.
pub const JOINED_LENGTH_MAX: usize = 256 * 1024;

/// Batches in one command: small ones, of as many sensors.
pub const JOINED_BATCHES_MAX: usize = 64;

/// Events in one command at which no more is joined. Frames are compressed, so that their length does not
/// bound the time for which a replica's state is locked: so many take 10 ms at 100,000 devices, and twice
/// that right after a snapshot was begun, when what is written to is copied first.
pub const JOINED_EVENTS_MAX: usize = 4_096;

/// Bytes that the frames of one command expand to at which no more is joined: each is expanded, checked
/// and read, at some 200 MB/s.
pub const JOINED_RAW_MAX: usize = 1024 * 1024;

/// Bytes below which a command waits [`LINGER`] for company while others are on their way.
pub const JOINED_LENGTH_MIN: usize = 64 * 1024;

/// How long a small command waits: well below an fsync and a round trip, so that it is not felt.
pub const LINGER: Duration = Duration::from_millis(1);

/// Commands of batches on their way through the log at once: the log groups what comes while it
/// syncs, and what is in flight is lost to a leader change.
pub const PROPOSALS_IN_FLIGHT_MAX: usize = 16;

/// Bytes of frames that wait or are on their way; beyond it submissions are answered
/// `Overloaded`. Some hundred milliseconds of the fastest disk.
pub const QUEUE_LENGTH_MAX: usize = 32 * 1024 * 1024;

/// What a submission takes in the queue beside its frame, bytes.
const SUBMISSION_OVERHEAD: usize = 128;

/// When to try again after an overload: a few commands' time.
pub const RETRY_AFTER_OVERLOAD: Duration = Duration::from_millis(100);

/// When to try again while nobody leads: a fraction of an election.
pub const RETRY_AFTER_NO_LEADER: Duration = Duration::from_millis(250);

/// When to try again after a change of leader: what was under way is lost, but somebody leads.
pub const RETRY_AFTER_CHANGE: Duration = Duration::from_millis(20);

/// How long batches wait for somebody to lead before they are refused: an election and its begin. A
/// hand-over is not felt, and who waits here is served before whoever asks again.
pub const LEADERLESS_PATIENCE: Duration = Duration::from_secs(2);

/// Between two looks for a leader while batches wait: a fraction of a hand-over.
pub(super) const LEADERLESS_POLL: Duration = Duration::from_millis(5);

/// When to try again while volumes are full: somebody has to make room, and all have to be told within
/// seconds that it is there.
pub const RETRY_AFTER_DISK_FULL: Duration = Duration::from_secs(2);

/// How long a command may take from proposal to receipt before its outcome is called unknown: a
/// leader change is over sooner, and a disk that needs longer serves nobody.
pub const OUTCOME_PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no receipt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The queue is full: nothing was proposed.
    #[error("the node has more to do than it can hold: try again in {retry_after:?}")]
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
    /// Nobody leads, or the leader cannot be reached: nothing was proposed.
    #[error("no leader can be reached: try again in {retry_after:?}")]
    NoLeader {
        /// When to try again.
        retry_after: Duration,
    },
    /// The leader's volume has no room, or so many others' that there is no majority: nothing was
    /// proposed.
    #[error("the cluster's volumes are full: {why}; try again in {retry_after:?}")]
    DiskFull {
        /// Whose, in words.
        why: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// It was proposed, and the leader changed or did not answer in time: it may be applied or not.
    /// Batches are sent again, since the watermark tells; other commands are looked up first.
    #[error("the outcome is not known: {0}")]
    Unknown(String),
    /// This node is shutting down or was stopped by an error; another one may serve.
    #[error("this node has stopped: {0}")]
    Stopped(String),
}

impl Unavailable {
    /// When it is worth trying again.
    #[must_use]
    pub const fn retry_after(&self) -> Duration {
        match self {
            Self::Overloaded { retry_after }
            | Self::NoLeader { retry_after }
            | Self::DiskFull { retry_after, .. } => *retry_after,
            Self::Unknown(_) | Self::Stopped(_) => RETRY_AFTER_NO_LEADER,
        }
    }

    /// Who was asked leads no more.
    pub(super) const fn succeeded() -> Self {
        Self::NoLeader { retry_after: RETRY_AFTER_CHANGE }
    }

    pub(super) const fn no_leader() -> Self {
        Self::NoLeader { retry_after: RETRY_AFTER_NO_LEADER }
    }

    pub(super) const fn disk_full(why: String) -> Self {
        Self::DiskFull { why, retry_after: RETRY_AFTER_DISK_FULL }
    }
}

/// A batch's receipt and the log index of its command.
pub type Answer = Result<(BatchReceipt, u64), Unavailable>;

/// A batch that waits for its receipt.
pub(super) struct Waiting {
    pub(super) submission: Submission,
    answer: oneshot::Sender<Answer>,
    _room: OwnedSemaphorePermit,
}

impl Waiting {
    /// What it costs to apply, as its header says: admission has checked it.
    pub(super) fn cost(&self) -> Cost {
        Cost::of(&self.submission.frame)
    }

    /// What it takes in the queue, bytes.
    fn length(&self) -> usize {
        length(&self.submission)
    }

    pub(super) fn answer(self, answer: Answer) {
        // A session that is gone does not wait any more.
        let _ = self.answer.send(answer);
    }
}

fn length(submission: &Submission) -> usize {
    submission.frame.len().saturating_add(SUBMISSION_OVERHEAD)
}

/// The near end of the queue.
pub(super) struct Queue {
    sender: mpsc::UnboundedSender<Waiting>,
    room: Arc<Semaphore>,
    refused: AtomicU64,
}

impl Queue {
    /// A queue and its far end. The channel itself needs no bound: the room does.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Waiting>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(QUEUE_LENGTH_MAX));
        (Self { sender, room, refused: AtomicU64::new(0) }, receiver)
    }

    /// Puts a batch at the end; returns at once, so that the caller's order is the queue's.
    pub(super) fn put(
        &self,
        submission: Submission,
    ) -> Result<oneshot::Receiver<Answer>, Unavailable> {
        let length = u32::try_from(length(&submission)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(length);
        let room = room.map_err(|_| {
            self.refused.fetch_add(1, Ordering::Relaxed);
            Unavailable::Overloaded { retry_after: RETRY_AFTER_OVERLOAD }
        })?;
        let (answer, receiver) = oneshot::channel();
        let waiting = Waiting { submission, answer, _room: room };
        self.sender
            .send(waiting)
            .map_err(|_| Unavailable::Stopped("the queue is closed".to_owned()))?;
        Ok(receiver)
    }

    /// Bytes that wait or are on their way.
    pub(super) fn filled(&self) -> usize {
        QUEUE_LENGTH_MAX.saturating_sub(self.room.available_permits())
    }

    /// Batches that found no room.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}
