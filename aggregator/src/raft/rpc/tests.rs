//! Every message round-trips; every truncation and any trailing byte is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use wardmesh_common::id::{ClusterId, SensorId};
use wardmesh_common::time::Timestamp;
use wardmesh_common::wire::Lane;

use super::receipt::REASONS;
use super::*;
use crate::raft::types::{
    Entry, LeaderId, LogId, Member, Membership, Payload, SnapshotMeta, StoredMembership,
};
use crate::state::command::Command;
use crate::state::receipt::{BatchReceipt, OpenedEpoch, Watermark};

fn log_id(index: u64) -> LogId {
    LogId::new(LeaderId { term: 3, node_id: 2 }, index)
}

fn vote() -> Vote {
    Vote { leader_id: LeaderId { term: 3, node_id: 2 }, committed: true }
}

fn member() -> Member {
    Member {
        name: "a-0".into(),
        raft_address: "a-0.mesh:4434".into(),
        ingest_address: "a-0.mesh:4433".into(),
        http_address: "a-0.mesh:8443".into(),
    }
}

fn membership() -> Membership {
    let members = BTreeMap::from([(1, member()), (2, member())]);
    Membership::new(vec![BTreeSet::from([1, 2])], members).unwrap()
}

fn submission(frame: &'static [u8]) -> Submission {
    Submission { sensor: SensorId([4; 16]), clock_offset: -9, frame: Bytes::from_static(frame) }
}

fn requests() -> Vec<Request> {
    let ingest = Action::Ingest(vec![submission(b"one"), submission(b"")]);
    let entries = vec![
        Entry { log_id: log_id(6), payload: Payload::Blank },
        Entry {
            log_id: log_id(7),
            payload: Payload::Normal(Command::new(Timestamp::from_nanos(5), ingest.clone())),
        },
        Entry { log_id: log_id(8), payload: Payload::Membership(membership()) },
    ];
    let mut transferred = VoteRequest::new(vote(), Some(log_id(8)));
    transferred.leadership_transfer = true;
    let last_membership = StoredMembership::new(Some(log_id(8)), membership());
    vec![
        Request::Append(AppendEntriesRequest {
            vote: vote(),
            prev_log_id: Some(log_id(5)),
            entries,
            leader_commit: Some(log_id(4)),
        }),
        Request::Vote(transferred),
        Request::PreVote(VoteRequest::new(vote(), None)),
        Request::Snapshot(SnapshotOffer {
            vote: vote(),
            meta: SnapshotMeta { last_log_id: Some(log_id(9)), last_membership },
            length: 77,
            sum: 78,
            offset: 5,
        }),
        Request::TransferLeader(TransferLeaderRequest::new(vote(), 2, Some(log_id(8)))),
        Request::Submit(vec![submission(b"two"), submission(b"three")]),
        Request::Propose(ingest),
        Request::ReadIndex { linearizable: true },
        Request::Status,
        Request::Probe,
        Request::Join(ClusterId([8; 16])),
        Request::Change(Change::Add { address: "agg-4:4434".into(), voter: true }),
        Request::Change(Change::Promote { node: 4 }),
        Request::Change(Change::Remove { node: 2, force: true }),
        Request::Change(Change::Replace { node: 2, address: "agg-4:4434".into() }),
        Request::Change(Change::Transfer { to: None }),
        Request::Change(Change::Transfer { to: Some(3) }),
        Request::HistoryFiles { below: 12 },
        Request::HistoryBytes {
            file: HistoryName { first: 3, through: 9 },
            offset: 1 << 40,
            length: 4_096,
        },
        Request::SnapshotHeld(SnapshotName { last: Some(log_id(9)), length: 77, sum: 78 }),
        Request::Room,
    ]
}

fn outcomes() -> Vec<Result<Changed, ChangeError>> {
    let address = || "agg-4:4434".to_owned();
    let changed = |role| Ok(Changed { node: 4, member: member(), role, index: 9 });
    let errors = [
        ChangeError::Busy,
        ChangeError::Silent { address: address(), cause: "no route".into() },
        ChangeError::NotEmpty { node: 4, address: address() },
        ChangeError::Retired { node: 4, at: Timestamp::from_nanos(5) },
        ChangeError::AlreadyMember { node: 4 },
        ChangeError::Wiped { node: 4 },
        ChangeError::NoSuchMember { node: 4 },
        ChangeError::QuorumAtRisk { voters: 2, heard: 1 },
        ChangeError::Refused("a".into()),
        ChangeError::Unknown("b".into()),
        ChangeError::NoLeader,
    ];
    let roles = [Role::Voter, Role::Learner, Role::Gone].into_iter().map(changed);
    roles.chain(errors.into_iter().map(Err)).collect()
}

fn receipts() -> Vec<Receipt> {
    let opened = OpenedEpoch {
        site: "st-jude".parse().unwrap(),
        watermarks: vec![Watermark {
            epoch: 1,
            lane: Lane::Bulk,
            seq: 2,
            events: 4,
            chains: vec![3, 5],
            skipped: 1,
        }],
    };
    let mut batches = vec![
        BatchReceipt::Applied,
        BatchReceipt::Duplicate { watermark: 3 },
        BatchReceipt::Gap { expected: 4 },
    ];
    batches.extend(REASONS.map(BatchReceipt::Rejected));
    vec![
        Receipt::Done,
        Receipt::Ingested(batches),
        Receipt::EpochOpened(opened),
        Receipt::Accepted,
        Receipt::Refused("no".into()),
        Receipt::Founded(ClusterId([8; 16])),
        Receipt::Updated { revision: 3 },
        Receipt::Stale { revision: 4 },
        Receipt::NotFound,
    ]
}

fn replies() -> Vec<Reply> {
    let failures = [
        Failure::NotLeader { leader: Some(3) },
        Failure::NotLeader { leader: None },
        Failure::Overloaded { retry_after: 9 },
        Failure::Refused("a".into()),
        Failure::Unreadable("b".into()),
        Failure::Stopped("c".into()),
        Failure::Retired { at: Timestamp::from_nanos(6) },
        Failure::DiskFull("d".into()),
    ];
    let appends = [
        AppendEntriesResponse::Success,
        AppendEntriesResponse::PartialSuccess(Some(log_id(7))),
        AppendEntriesResponse::Conflict,
        AppendEntriesResponse::HigherVote(vote()),
    ];
    let transfers = [
        Ok(()),
        Err(TransferLeaderError::VoteChanged { expected: vote(), actual: vote() }),
        Err(TransferLeaderError::LogNotFlushed { expected: Some(log_id(1)), actual: None }),
    ];
    let mut replies = vec![
        Reply::Vote(VoteResponse::new(vote(), Some(log_id(1)), true)),
        Reply::Snapshot(vote()),
        Reply::Submitted(vec![
            Submitted::Applied(BatchReceipt::Applied, 5),
            Submitted::Unavailable(250),
        ]),
        Reply::ReadIndex(12),
        Reply::Status(NodeStatus {
            node_id: 1,
            leader: Some(2),
            applied: 3,
            ..NodeStatus::default()
        }),
        Reply::Probe(Probed { node_id: 1, member: member(), empty: true, cluster: None }),
        Reply::HistoryFiles(vec![
            HistoryFile::default(),
            HistoryFile { name: HistoryName { first: 1, through: 7 }, bytes: 900 },
        ]),
        Reply::HistoryBytes(Bytes::from_static(b"some of a file")),
        Reply::SnapshotHeld { offset: 1 << 33, checksum: 9 },
    ];
    replies.extend([true, false].map(Reply::Room));
    replies.extend(receipts().into_iter().map(|receipt| Reply::Proposed { receipt, index: 6 }));
    replies.extend(failures.map(Reply::Failed));
    replies.extend(appends.map(Reply::Append));
    replies.extend(transfers.map(Reply::TransferLeader));
    replies.push(Reply::Joined);
    replies.extend(outcomes().into_iter().map(Reply::Changed));
    replies
}

#[test]
fn requests_round_trip_and_no_truncation_passes() {
    let sender = Sender { node: 7, cluster: Some(ClusterId([5; 16])) };
    for request in requests() {
        let framed = request.encode(sender).unwrap();
        let length = u32::from_le_bytes(*framed.first_chunk().unwrap()) as usize;
        let bytes = framed.slice(4..);
        assert_eq!(length, bytes.len());
        let (from, read) = Request::decode(bytes.clone()).unwrap();
        assert_eq!((from, format!("{read:?}")), (sender, format!("{request:?}")));
        assert_eq!(read.encode(sender).unwrap(), framed, "{request:?}");
        for length in 0..bytes.len() {
            assert!(Request::decode(bytes.slice(..length)).is_err(), "{request:?} at {length}");
        }
        let mut longer = bytes.to_vec();
        longer.push(0);
        assert!(Request::decode(longer.into()).is_err(), "{request:?}");
    }
}

#[test]
fn replies_round_trip_and_no_truncation_passes() {
    for reply in replies() {
        let bytes = reply.encode().unwrap();
        assert_eq!(Reply::decode(bytes.clone()), Ok(reply.clone()));
        for length in 0..bytes.len() {
            assert!(Reply::decode(bytes.slice(..length)).is_err(), "{reply:?} at {length}");
        }
    }
}

#[test]
fn every_reason_has_its_number() {
    for (number, reason) in REASONS.iter().enumerate() {
        assert_eq!(*reason as usize, number, "{reason}");
    }
}

#[test]
fn another_version_is_named() {
    let mut bytes = Request::Status.encode(1).unwrap().to_vec().split_off(4);
    *bytes.first_mut().unwrap() = 2;
    let refused = Request::decode(bytes.into()).map(|(from, _)| from);
    assert_eq!(refused, Err(Malformed::Unknown("version", 2).into()));
}

#[test]
fn an_entry_of_a_newer_build_is_named() {
    let command = Command { apply_version: 99, at: Timestamp::EPOCH, action: Action::Tick };
    let newer = Entry { log_id: log_id(41), payload: Payload::Normal(command) };
    let request = Request::Append(AppendEntriesRequest {
        vote: vote(),
        prev_log_id: None,
        entries: vec![newer],
        leader_commit: None,
    });
    let bytes = request.encode(2).unwrap().slice(4..);
    let refused = Request::decode(bytes).map(|(from, _)| from);
    assert!(matches!(refused, Err(Unreadable::Entry { index: 41, .. })), "{refused:?}");
}

#[test]
fn a_request_claims_what_its_vote_says() {
    let claims: Vec<_> = requests().iter().map(Request::claims).collect();
    assert_eq!(claims[..5], [Some(2); 5]);
    assert!(claims[5..].iter().all(Option::is_none));
    let rafts: Vec<_> = requests().iter().map(Request::is_rafts).collect();
    assert!(rafts[..5].iter().all(|is| *is) && !rafts[5..].contains(&true));
}
