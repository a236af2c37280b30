//! What sensor and node say to each other around the batches: hello, welcome, receipts, refusals.
//!
//! ```text
//! sensor                                   node            one bidirectional stream a lane
//!   Hello{epoch, held, …}        ──────────►
//!                                ◄──────────  Welcome{watermarks, window, …}  or  Refusal
//!   Batch Batch Batch …          ──────────►
//!                                ◄──────────  Receipt{epoch, seq, outcome} …  one a batch, in order
//! ```

use bytes::Bytes;
use rkyv::rancor;
use rkyv::{Archive, Deserialize, Serialize};

use super::Lane;
use super::frame::{self, Frame, FrameError, Schema, Seal};
use crate::time::Timestamp;

/// The first frame on a lane's stream.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The cluster that the sensor was enrolled in, if it knows: another is refused.
    pub cluster: Option<[u8; 16]>,
    /// The sensor's UUID; must be the certificate's.
    pub sensor: [u8; 16],
    /// This start's epoch.
    pub epoch: u64,
    /// Earlier epochs that the spool still holds.
    pub held: Vec<u64>,
    /// The last place of the stream's lane that this start has sealed, then those that the spool has of
    /// each held epoch, 0 where it has none. Less than what was applied shows a restored image.
    pub tails: Vec<u64>,
    /// The lowest batch version that the sensor can send.
    pub version_min: u16,
    /// The highest one.
    pub version_max: u16,
    /// Whether the sensor may send LZ4 payloads.
    pub compression: bool,
    /// Nanoseconds since the Unix epoch by the sensor's clock, at sending.
    pub sent_at: u64,
    /// The sensor's software version.
    pub software: String,
}

/// The answer to a [`Hello`] that is served.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The cluster that answers.
    pub cluster: [u8; 16],
    /// The site that the registry has the sensor at.
    pub site: String,
    /// The batch version to send.
    pub version: u16,
    /// Whether LZ4 payloads are read.
    pub compression: bool,
    /// The largest frame that is read, bytes.
    pub frame_max: u32,
    /// Batches that may be unanswered on this stream.
    pub window: u16,
    /// The node's clock minus the sensor's, nanoseconds, transit included.
    pub clock_offset: i64,
    /// The leader's ingest address, if one is known: connecting there saves a hop.
    pub leader: Option<String>,
    /// Where the lane stands for each open epoch.
    pub watermarks: Vec<Mark>,
}

/// How far one epoch of the stream's lane has been applied.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The epoch.
    pub epoch: u64,
    /// The last applied sequence number, 0 before the first.
    pub seq: u64,
    /// The chain hashes of the latest places, oldest first, that of `seq` last.
    pub chains: Vec<u64>,
    /// Bit n tells that the batch at `seq - n` was passed over, not applied.
    pub skipped: u32,
}

/// What became of a batch: one for each batch, in the order of the batches. `Acknowledged` at `seq`
/// covers all before it in the epoch.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The epoch of the batch.
    pub epoch: u64,
    /// Its place in the stream's lane.
    pub seq: u64,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a batch.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Fsynced by a majority and applied by the leader, which had applied the Raft log up to this
    /// index by then; the sensor may forget the batch.
    Acknowledged(u64),
    /// Earlier batches are missing here: send again from this sequence number.
    Gap(u64),
    /// Never to be applied as it stands. What is wrong with the batch itself (`Malformed`,
    /// `TooLarge`, `UnknownSchema`, `WrongSensor`) was passed over, and the watermark has passed it:
    /// to the dead letters. `EpochClosed` and `Forked` speak of the epoch: the watermark stays, and
    /// what is spooled goes on under a new epoch. `PassedOver` says that it was passed over earlier. Any
    /// other reason is the sensor's or the cluster's:
    /// the watermark stays, and the batch goes to the dead letters.
    Rejected(Reason),
    /// Not now: no leader, or the queue is full. Send again after so many milliseconds.
    Unavailable(u32),
}

/// Why a batch or a session is not taken.
#[derive(
    Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
#[repr(u8)]
pub enum Reason {
    /// Lengths, checksum, compression or layout do not hold.
    Malformed,
    /// Longer than a frame may be.
    TooLarge,
    /// A schema or version that this cluster does not read.
    UnknownSchema,
    /// The batch or hello names another sensor than the certificate.
    WrongSensor,
    /// The sensor was enrolled in another cluster.
    WrongCluster,
    /// The registry does not have the sensor.
    NotEnrolled,
    /// The sensor was revoked.
    Revoked,
    /// The epoch was never opened, or is closed.
    EpochClosed,
    /// Another batch has its place, or the chain hash does not go on from the watermark: a disk or
    /// memory image was restored.
    Forked,
    /// A frame came where another was due: a batch before the hello, a second hello.
    OutOfTurn,
    /// The node has no cluster yet, or does not follow it.
    NotReady,
    /// The batch was passed over earlier: it will never be applied.
    PassedOver,
}

impl Reason {
    /// Kebab case, for logs, metrics and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLarge => "too-large",
            Self::UnknownSchema => "unknown-schema",
            Self::WrongSensor => "wrong-sensor",
            Self::WrongCluster => "wrong-cluster",
            Self::NotEnrolled => "not-enrolled",
            Self::Revoked => "revoked",
            Self::EpochClosed => "epoch-closed",
            Self::Forked => "forked",
            Self::OutOfTurn => "out-of-turn",
            Self::NotReady => "not-ready",
            Self::PassedOver => "passed-over",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a session is not served; the connection is closed after it.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// What the operator can do, in words.
    pub detail: String,
}

/// One frame that is not a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// From the sensor.
    Hello(Hello),
    /// From the node.
    Welcome(Welcome),
    /// From the node.
    Receipt(Receipt),
    /// From the node.
    Refusal(Refusal),
}

/// Why a frame is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAMessage {
    /// It is no frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Its archive is not laid out as its schema says.
    #[error("the archive is not laid out as its schema says")]
    Layout,
    /// It is a batch.
    #[error("a batch came where a message was due")]
    Batch,
}

impl Message {
    /// The message as a frame on `lane`.
    ///
    /// # Errors
    /// Only if memory cannot be had.
    pub fn seal(&self, lane: Lane, at: Timestamp) -> Result<Bytes, rancor::Error> {
        let (schema, archive) = match self {
            Self::Hello(hello) => (Schema::Hello, rkyv::to_bytes(hello)?),
            Self::Welcome(welcome) => (Schema::Welcome, rkyv::to_bytes(welcome)?),
            Self::Receipt(receipt) => (Schema::Receipt, rkyv::to_bytes(receipt)?),
            Self::Refusal(refusal) => (Schema::Refusal, rkyv::to_bytes(refusal)?),
        };
        let seal =
            Seal { schema, lane, events: 0, epoch: 0, seq: 0, sealed_at: at, previous_chain: 0 };
        Ok(frame::seal(&seal, &archive, false))
    }

    /// Reads a message from a frame's bytes.
    ///
    /// # Errors
    /// [`NotAMessage`].
    pub fn open(bytes: &[u8]) -> Result<Self, NotAMessage> {
        let frame = Frame::open(bytes)?;
        let mut scratch = Vec::new();
        let archive = frame.archive(&mut scratch)?;
        let layout = |rancor::Failure| NotAMessage::Layout;
        Ok(match frame.header.schema {
            Schema::Hello => Self::Hello(rkyv::from_bytes(archive).map_err(layout)?),
            Schema::Welcome => Self::Welcome(rkyv::from_bytes(archive).map_err(layout)?),
            Schema::Receipt => Self::Receipt(rkyv::from_bytes(archive).map_err(layout)?),
            Schema::Refusal => Self::Refusal(rkyv::from_bytes(archive).map_err(layout)?),
            Schema::Batch => return Err(NotAMessage::Batch),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_frozen() {
        let hello = Hello {
            cluster: Some([1; 16]),
            sensor: [2; 16],
            epoch: 3,
            held: vec![4, 5],
            tails: vec![7, 8, 0],
            version_min: 1,
            version_max: 1,
            compression: true,
            sent_at: 6,
            software: "0.1.0".into(),
        };
        let welcome = Welcome {
            cluster: [1; 16],
            site: "st-adalbert".into(),
            version: 1,
            compression: true,
            frame_max: 7,
            window: 8,
            clock_offset: -9,
            leader: Some("agg-1:4433".into()),
            watermarks: vec![Mark { epoch: 3, seq: 10, chains: vec![12, 11], skipped: 2 }],
        };
        let receipt = Receipt { epoch: 3, seq: 10, outcome: Outcome::Acknowledged(12) };
        let refusal = Refusal { reason: Reason::Revoked, detail: "revoked".into() };
        let messages = [
            ("hello", Message::Hello(hello)),
            ("welcome", Message::Welcome(welcome)),
            ("receipt", Message::Receipt(receipt)),
            ("refusal", Message::Refusal(refusal)),
        ];
        let sealed = messages.map(|(name, message)| {
            let bytes = message.seal(Lane::Bulk, Timestamp::from_nanos(5)).unwrap();
            assert_eq!(Message::open(&bytes), Ok(message));
            (name, bytes)
        });
        let samples: Vec<_> = sealed.iter().map(|(name, bytes)| (*name, bytes.as_ref())).collect();
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/message-v1.hex");
        crate::golden::check(&path, &samples);
    }

    #[test]
    fn messages_round_trip() {
        let at = Timestamp::from_nanos(5);
        let outcomes = [
            Outcome::Acknowledged(7),
            Outcome::Gap(3),
            Outcome::Rejected(Reason::Forked),
            Outcome::Unavailable(250),
        ];
        for outcome in outcomes {
            let message = Message::Receipt(Receipt { epoch: 1, seq: 2, outcome });
            let bytes = message.seal(Lane::Urgent, at).unwrap();
            assert_eq!(Message::open(&bytes), Ok(message));
        }
    }
}
