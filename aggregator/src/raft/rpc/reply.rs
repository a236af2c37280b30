//! Replies as bytes. Frozen with [`VERSION`](super::VERSION): a field is added in a new version.

use bytes::BufMut;
use openraft::raft::{AppendEntriesResponse, TransferLeaderError, VoteResponse};
use wardmesh_common::id::{ClusterId, NodeId};
use wardmesh_common::time::Timestamp;

use super::change::{outcome, put_outcome};
use super::receipt::{batch_receipt, put_batch_receipt, put_receipt, receipt};
use super::request::cluster;
use super::{Failure, HistoryFile, HistoryName, NodeStatus, Probed, Reply, Submitted};
use crate::raft::codec::{self, Malformed, Reader};
use crate::raft::types::TypeConfig;

const APPEND: u8 = 1;
const VOTE: u8 = 2;
const SNAPSHOT: u8 = 3;
const TRANSFER_LEADER: u8 = 4;
const SUBMITTED: u8 = 5;
const PROPOSED: u8 = 6;
const READ_INDEX: u8 = 7;
const STATUS: u8 = 8;
const PROBE: u8 = 9;
const JOINED: u8 = 10;
const CHANGED: u8 = 11;
const HISTORY_FILES: u8 = 13;
const HISTORY_BYTES: u8 = 14;
const SNAPSHOT_HELD: u8 = 15;
const ROOM: u8 = 17;
const FAILED: u8 = 255;

/// Appends the body and returns its kind.
pub(super) fn put(out: &mut Vec<u8>, reply: &Reply) -> u8 {
    match reply {
        Reply::Append(append) => {
            put_append(out, append);
            APPEND
        }
        Reply::Vote(vote) => {
            codec::put_vote(out, &vote.vote);
            out.put_u8(vote.vote_granted.into());
            codec::put_log_id_option(out, vote.last_log_id.as_ref());
            VOTE
        }
        Reply::Snapshot(vote) => {
            codec::put_vote(out, vote);
            SNAPSHOT
        }
        Reply::TransferLeader(result) => {
            put_transfer(out, result);
            TRANSFER_LEADER
        }
        Reply::Submitted(answers) => {
            out.put_u32_le(answers.len() as u32);
            answers.iter().for_each(|answer| put_submitted(out, answer));
            SUBMITTED
        }
        Reply::Proposed { receipt, index } => {
            put_receipt(out, receipt);
            out.put_u64_le(*index);
            PROPOSED
        }
        Reply::ReadIndex(index) => {
            out.put_u64_le(*index);
            READ_INDEX
        }
        Reply::Status(status) => {
            put_status(out, status);
            STATUS
        }
        Reply::Probe(probed) => {
            put_probed(out, probed);
            PROBE
        }
        Reply::Joined => JOINED,
        Reply::Changed(result) => {
            put_outcome(out, result);
            CHANGED
        }
        Reply::HistoryFiles(files) => {
            put_files(out, files);
            HISTORY_FILES
        }
        Reply::HistoryBytes(bytes) => {
            codec::put_bytes(out, bytes);
            HISTORY_BYTES
        }
        Reply::SnapshotHeld { offset, checksum } => {
            out.put_u64_le(*offset);
            out.put_u32_le(*checksum);
            SNAPSHOT_HELD
        }
        Reply::Room(enough) => {
            out.put_u8((*enough).into());
            ROOM
        }
        Reply::Failed(failure) => {
            put_failure(out, failure);
            FAILED
        }
    }
}

fn put_probed(out: &mut Vec<u8>, probed: &Probed) {
    out.put_u64_le(probed.node_id);
    codec::put_member(out, &probed.member);
    out.put_u8(probed.empty.into());
    out.put_slice(&probed.cluster.unwrap_or_default().0);
}

fn put_files(out: &mut Vec<u8>, files: &[HistoryFile]) {
    out.put_u32_le(files.len() as u32);
    for HistoryFile { name, bytes } in files {
        [name.first, name.through, *bytes].iter().for_each(|field| out.put_u64_le(*field));
    }
}

/// Reads the body of a kind.
pub(super) fn read(kind: u8, reader: &mut Reader) -> Result<Reply, Malformed> {
    Ok(match kind {
        APPEND => Reply::Append(append(reader)?),
        VOTE => Reply::Vote(vote(reader)?),
        SNAPSHOT => Reply::Snapshot(reader.vote()?),
        TRANSFER_LEADER => Reply::TransferLeader(transfer(reader)?),
        SUBMITTED => {
            let count = reader.u32("answers")?;
            Reply::Submitted((0..count).map(|_| submitted(reader)).collect::<Result<_, _>>()?)
        }
        PROPOSED => Reply::Proposed { receipt: receipt(reader)?, index: reader.u64("index")? },
        READ_INDEX => Reply::ReadIndex(reader.u64("index")?),
        STATUS => Reply::Status(status(reader)?),
        PROBE => Reply::Probe(Probed {
            node_id: reader.u64("node")?,
            member: reader.member()?,
            empty: reader.bool("emptiness")?,
            cluster: Some(cluster(reader)?).filter(|id| *id != ClusterId::default()),
        }),
        JOINED => Reply::Joined,
        CHANGED => Reply::Changed(outcome(reader)?),
        HISTORY_FILES => {
            let count = reader.u32("files")?;
            Reply::HistoryFiles((0..count).map(|_| history_file(reader)).collect::<Result<_, _>>()?)
        }
        HISTORY_BYTES => Reply::HistoryBytes(reader.bytes("bytes")?),
        SNAPSHOT_HELD => {
            Reply::SnapshotHeld { offset: reader.u64("offset")?, checksum: reader.u32("checksum")? }
        }
        ROOM => Reply::Room(reader.bool("room")?),
        FAILED => Reply::Failed(failure(reader)?),
        other => return Err(Malformed::Unknown("kind", other.into())),
    })
}

fn put_append(out: &mut Vec<u8>, append: &AppendEntriesResponse<TypeConfig>) {
    match append {
        AppendEntriesResponse::Success => out.put_u8(0),
        AppendEntriesResponse::PartialSuccess(matching) => {
            out.put_u8(1);
            codec::put_log_id_option(out, matching.as_ref());
        }
        AppendEntriesResponse::Conflict => out.put_u8(2),
        AppendEntriesResponse::HigherVote(vote) => {
            out.put_u8(3);
            codec::put_vote(out, vote);
        }
    }
}

fn append(reader: &mut Reader) -> Result<AppendEntriesResponse<TypeConfig>, Malformed> {
    Ok(match reader.u8("append's outcome")? {
        0 => AppendEntriesResponse::Success,
        1 => AppendEntriesResponse::PartialSuccess(reader.log_id_option()?),
        2 => AppendEntriesResponse::Conflict,
        3 => AppendEntriesResponse::HigherVote(reader.vote()?),
        other => return Err(Malformed::Unknown("append's outcome", other.into())),
    })
}

fn vote(reader: &mut Reader) -> Result<VoteResponse<TypeConfig>, Malformed> {
    let vote = reader.vote()?;
    let granted = reader.bool("grant")?;
    Ok(VoteResponse::new(vote, reader.log_id_option()?, granted))
}

fn put_transfer(out: &mut Vec<u8>, result: &Result<(), TransferLeaderError<TypeConfig>>) {
    match result {
        Ok(()) => out.put_u8(0),
        Err(TransferLeaderError::VoteChanged { expected, actual }) => {
            out.put_u8(1);
            codec::put_vote(out, expected);
            codec::put_vote(out, actual);
        }
        Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
            out.put_u8(2);
            codec::put_log_id_option(out, expected.as_ref());
            codec::put_log_id_option(out, actual.as_ref());
        }
    }
}

fn transfer(reader: &mut Reader) -> Result<Result<(), TransferLeaderError<TypeConfig>>, Malformed> {
    Ok(match reader.u8("transfer's outcome")? {
        0 => Ok(()),
        1 => Err(TransferLeaderError::VoteChanged {
            expected: reader.vote()?,
            actual: reader.vote()?,
        }),
        2 => Err(TransferLeaderError::LogNotFlushed {
            expected: reader.log_id_option()?,
            actual: reader.log_id_option()?,
        }),
        other => return Err(Malformed::Unknown("transfer's outcome", other.into())),
    })
}

fn put_submitted(out: &mut Vec<u8>, answer: &Submitted) {
    match answer {
        Submitted::Applied(receipt, index) => {
            out.put_u8(0);
            put_batch_receipt(out, receipt);
            out.put_u64_le(*index);
        }
        Submitted::Unavailable(retry_after) => {
            out.put_u8(1);
            out.put_u32_le(*retry_after);
        }
    }
}

fn submitted(reader: &mut Reader) -> Result<Submitted, Malformed> {
    Ok(match reader.u8("answer")? {
        0 => Submitted::Applied(batch_receipt(reader)?, reader.u64("index")?),
        1 => Submitted::Unavailable(reader.u32("retry")?),
        other => return Err(Malformed::Unknown("answer", other.into())),
    })
}

fn history_file(reader: &mut Reader) -> Result<HistoryFile, Malformed> {
    let name = HistoryName { first: reader.u64("file")?, through: reader.u64("file")? };
    Ok(HistoryFile { name, bytes: reader.u64("file's length")? })
}

fn put_node(out: &mut Vec<u8>, node: Option<NodeId>) {
    out.put_u8(node.is_some().into());
    out.put_u64_le(node.unwrap_or_default());
}

fn node(reader: &mut Reader) -> Result<Option<NodeId>, Malformed> {
    let known = reader.bool("leader")?;
    let node = reader.u64("leader")?;
    Ok(known.then_some(node))
}

fn put_status(out: &mut Vec<u8>, status: &NodeStatus) {
    out.put_u64_le(status.node_id);
    out.put_u64_le(status.term);
    put_node(out, status.leader);
    out.put_u64_le(status.applied);
    out.put_u64_le(status.committed);
    out.put_u64_le(status.clock.as_nanos());
    codec::put_text(out, &status.version);
}

fn status(reader: &mut Reader) -> Result<NodeStatus, Malformed> {
    Ok(NodeStatus {
        node_id: reader.u64("node")?,
        term: reader.u64("term")?,
        leader: node(reader)?,
        applied: reader.u64("applied index")?,
        committed: reader.u64("committed index")?,
        clock: Timestamp::from_nanos(reader.u64("clock")?),
        version: reader.text("version")?,
    })
}

fn put_failure(out: &mut Vec<u8>, failure: &Failure) {
    match failure {
        Failure::NotLeader { leader } => {
            out.put_u8(0);
            put_node(out, *leader);
        }
        Failure::Overloaded { retry_after } => {
            out.put_u8(1);
            out.put_u32_le(*retry_after);
        }
        Failure::Refused(why) => {
            out.put_u8(2);
            codec::put_text(out, why);
        }
        Failure::Unreadable(why) => {
            out.put_u8(3);
            codec::put_text(out, why);
        }
        Failure::Stopped(why) => {
            out.put_u8(4);
            codec::put_text(out, why);
        }
        Failure::Retired { at } => {
            out.put_u8(5);
            out.put_u64_le(at.as_nanos());
        }
        Failure::DiskFull(why) => {
            out.put_u8(6);
            codec::put_text(out, why);
        }
    }
}

fn failure(reader: &mut Reader) -> Result<Failure, Malformed> {
    Ok(match reader.u8("failure")? {
        0 => Failure::NotLeader { leader: node(reader)? },
        1 => Failure::Overloaded { retry_after: reader.u32("retry")? },
        2 => Failure::Refused(reader.text("refusal")?),
        3 => Failure::Unreadable(reader.text("cause")?),
        4 => Failure::Stopped(reader.text("cause")?),
        5 => Failure::Retired { at: Timestamp::from_nanos(reader.u64("time")?) },
        6 => Failure::DiskFull(reader.text("cause")?),
        other => return Err(Malformed::Unknown("failure", other.into())),
    })
}
