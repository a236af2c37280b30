//! Requests as bytes. Frozen with [`VERSION`](super::VERSION): a field is added in a new version.

use bytes::BufMut;
use openraft::raft::{AppendEntriesRequest, TransferLeaderRequest, VoteRequest};
use wardmesh_common::id::{ClusterId, SensorId};
use wardmesh_common::time::Timestamp;

use super::change::{change, put_change};
use super::{HistoryName, Request, SnapshotName, SnapshotOffer, Unreadable};
use crate::raft::codec::{self, Malformed, Reader};
use crate::raft::types::{Entry, TypeConfig};
use crate::state::command::{Action, Command, Submission};

const APPEND: u8 = 1;
const VOTE: u8 = 2;
const PRE_VOTE: u8 = 3;
const SNAPSHOT: u8 = 4;
const TRANSFER_LEADER: u8 = 5;
const SUBMIT: u8 = 6;
const PROPOSE: u8 = 7;
const READ_INDEX: u8 = 8;
const STATUS: u8 = 9;
const PROBE: u8 = 10;
const JOIN: u8 = 11;
const CHANGE: u8 = 12;
const HISTORY_FILES: u8 = 14;
const HISTORY_BYTES: u8 = 15;
const SNAPSHOT_HELD: u8 = 16;
const ROOM: u8 = 18;

/// Appends the body and returns its kind.
pub(super) fn put(out: &mut Vec<u8>, request: &Request) -> Result<u8, Malformed> {
    Ok(match request {
        Request::Append(append) => {
            put_append(out, append)?;
            APPEND
        }
        Request::Vote(vote) => {
            put_vote(out, vote);
            VOTE
        }
        Request::PreVote(vote) => {
            put_vote(out, vote);
            PRE_VOTE
        }
        Request::Snapshot(offer) => {
            codec::put_vote(out, &offer.vote);
            codec::put_meta(out, &offer.meta);
            out.put_u64_le(offer.length);
            out.put_u32_le(offer.sum);
            out.put_u64_le(offer.offset);
            SNAPSHOT
        }
        Request::TransferLeader(transfer) => {
            codec::put_vote(out, transfer.from_leader());
            out.put_u64_le(*transfer.to_node_id());
            codec::put_log_id_option(out, transfer.last_log_id());
            TRANSFER_LEADER
        }
        Request::Submit(submissions) => {
            put_submissions(out, submissions);
            SUBMIT
        }
        Request::Propose(action) => {
            put_action(out, action)?;
            PROPOSE
        }
        Request::ReadIndex { linearizable } => {
            out.put_u8((*linearizable).into());
            READ_INDEX
        }
        Request::Status => STATUS,
        Request::Probe => PROBE,
        Request::Join(cluster) => {
            out.put_slice(&cluster.0);
            JOIN
        }
        Request::Change(change) => {
            put_change(out, change);
            CHANGE
        }
        Request::HistoryFiles { below } => {
            out.put_u64_le(*below);
            HISTORY_FILES
        }
        Request::HistoryBytes { file, offset, length } => {
            out.put_u64_le(file.first);
            out.put_u64_le(file.through);
            out.put_u64_le(*offset);
            out.put_u32_le(*length);
            HISTORY_BYTES
        }
        Request::SnapshotHeld(name) => {
            codec::put_log_id_option(out, name.last.as_ref());
            out.put_u64_le(name.length);
            out.put_u32_le(name.sum);
            SNAPSHOT_HELD
        }
        Request::Room => ROOM,
    })
}

/// Reads the body of a kind.
pub(super) fn read(kind: u8, reader: &mut Reader) -> Result<Request, Unreadable> {
    Ok(match kind {
        APPEND => Request::Append(append(reader)?),
        VOTE => Request::Vote(vote(reader)?),
        PRE_VOTE => Request::PreVote(vote(reader)?),
        SNAPSHOT => Request::Snapshot(SnapshotOffer {
            vote: reader.vote()?,
            meta: reader.meta()?,
            length: reader.u64("snapshot's length")?,
            sum: reader.u32("snapshot's checksum")?,
            offset: reader.u64("snapshot's offset")?,
        }),
        TRANSFER_LEADER => Request::TransferLeader(TransferLeaderRequest::new(
            reader.vote()?,
            reader.u64("next leader")?,
            reader.log_id_option()?,
        )),
        SUBMIT => Request::Submit(submissions(reader)?),
        PROPOSE => Request::Propose(action(reader)?),
        READ_INDEX => Request::ReadIndex { linearizable: reader.bool("consistency")? },
        STATUS => Request::Status,
        PROBE => Request::Probe,
        JOIN => Request::Join(cluster(reader)?),
        CHANGE => Request::Change(change(reader)?),
        HISTORY_FILES => Request::HistoryFiles { below: reader.u64("bound")? },
        HISTORY_BYTES => Request::HistoryBytes {
            file: HistoryName { first: reader.u64("file")?, through: reader.u64("file")? },
            offset: reader.u64("offset")?,
            length: reader.u32("length")?,
        },
        SNAPSHOT_HELD => Request::SnapshotHeld(SnapshotName {
            last: reader.log_id_option()?,
            length: reader.u64("snapshot's length")?,
            sum: reader.u32("snapshot's checksum")?,
        }),
        ROOM => Request::Room,
        other => return Err(Malformed::Unknown("kind", other.into()).into()),
    })
}

pub(super) fn cluster(reader: &mut Reader) -> Result<ClusterId, Malformed> {
    let id = reader.take(16, "cluster")?;
    Ok(ClusterId(*id.first_chunk().ok_or(Malformed::Short("cluster"))?))
}

fn put_append(
    out: &mut Vec<u8>,
    append: &AppendEntriesRequest<TypeConfig>,
) -> Result<(), Malformed> {
    codec::put_vote(out, &append.vote);
    codec::put_log_id_option(out, append.prev_log_id.as_ref());
    codec::put_log_id_option(out, append.leader_commit.as_ref());
    out.put_u32_le(append.entries.len() as u32);
    append.entries.iter().try_for_each(|entry| codec::put_entry(out, entry))
}

fn append(reader: &mut Reader) -> Result<AppendEntriesRequest<TypeConfig>, Unreadable> {
    let vote = reader.vote()?;
    let prev_log_id = reader.log_id_option()?;
    let leader_commit = reader.log_id_option()?;
    let count = reader.u32("entries")?;
    let entries = (0..count).map(|_| entry(reader)).collect::<Result<_, _>>()?;
    Ok(AppendEntriesRequest { vote, prev_log_id, entries, leader_commit })
}

/// What [`codec::put_entry`] wrote; a payload that cannot be decoded is told with its index.
fn entry(reader: &mut Reader) -> Result<Entry, Unreadable> {
    let log_id = reader.log_id()?;
    let kind = reader.u8("kind")?;
    let payload = codec::payload(kind, reader.bytes("payload")?);
    let payload = payload.map_err(|cause| Unreadable::Entry { index: log_id.index, cause })?;
    Ok(Entry { log_id, payload })
}

fn put_vote(out: &mut Vec<u8>, vote: &VoteRequest<TypeConfig>) {
    codec::put_vote(out, &vote.vote);
    codec::put_log_id_option(out, vote.last_log_id.as_ref());
    out.put_u8(vote.leadership_transfer.into());
}

fn vote(reader: &mut Reader) -> Result<VoteRequest<TypeConfig>, Malformed> {
    let mut request = VoteRequest::new(reader.vote()?, reader.log_id_option()?);
    request.leadership_transfer = reader.bool("leadership transfer")?;
    Ok(request)
}

fn put_submissions(out: &mut Vec<u8>, submissions: &[Submission]) {
    out.put_u32_le(submissions.len() as u32);
    for submission in submissions {
        out.put_slice(&submission.sensor.0);
        out.put_i64_le(submission.clock_offset);
        codec::put_bytes(out, &submission.frame);
    }
}

fn submissions(reader: &mut Reader) -> Result<Vec<Submission>, Malformed> {
    let count = reader.u32("submissions")?;
    (0..count)
        .map(|_| {
            let sensor = reader.take(16, "sensor")?;
            let sensor = sensor.first_chunk().ok_or(Malformed::Short("sensor"))?;
            Ok(Submission {
                sensor: SensorId(*sensor),
                clock_offset: reader.u64("clock offset")? as i64,
                frame: reader.bytes("frame")?,
            })
        })
        .collect()
}

/// An action travels as a command without a time: the leader stamps it.
fn put_action(out: &mut Vec<u8>, action: &Action) -> Result<(), Malformed> {
    let command = Command::new(Timestamp::EPOCH, action.clone());
    let bytes = command.encode().map_err(|cause| Malformed::Encode(cause.to_string()))?;
    codec::put_bytes(out, &bytes);
    Ok(())
}

fn action(reader: &mut Reader) -> Result<Action, Malformed> {
    Ok(Command::decode(reader.bytes("command")?)?.action)
}
