//! The codec: what it writes it reads, and what it cannot read it names.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::raft::testing::{ingest, log_id};

fn member(name: &str) -> Member {
    Member {
        name: name.into(),
        raft_address: format!("{name}.peers:4434"),
        ingest_address: format!("{name}.ingest:4433"),
        http_address: format!("{name}.api:8443"),
    }
}

/// Three voters on their way to two, one of them new, and a learner.
fn joint() -> Membership {
    let members: BTreeMap<_, _> = (1..=5).map(|id| (id, member(&format!("n{id}")))).collect();
    Membership::new(vec![[1, 2, 3].into(), [1, 4].into()], members).unwrap()
}

fn entries() -> Vec<Entry> {
    let blank = Entry { log_id: log_id(3, 8), payload: Payload::Blank };
    let membership = Entry { log_id: log_id(3, 9), payload: Payload::Membership(joint()) };
    vec![blank, membership, ingest(3, 10, 50)]
}

#[test]
fn every_kind_of_entry_comes_back() {
    for entry in entries() {
        let mut out = Vec::new();
        put_entry(&mut out, &entry).unwrap();
        let mut reader = Reader::new(out.into());
        assert_eq!(reader.entry().unwrap(), entry);
        assert_eq!(reader.remaining(), 0);
    }
}

#[test]
fn a_vote_and_a_meta_come_back() {
    for committed in [false, true] {
        let vote = Vote { leader_id: LeaderId { term: 7, node_id: u64::MAX }, committed };
        let mut out = Vec::new();
        put_vote(&mut out, &vote);
        assert_eq!(out.len(), VOTE_LENGTH);
        assert_eq!(Reader::new(out.into()).vote().unwrap(), vote);
    }
    let last_membership = StoredMembership::new(Some(log_id(2, 5)), joint());
    let full = SnapshotMeta { last_log_id: Some(log_id(3, 9)), last_membership };
    for meta in [SnapshotMeta::default(), full] {
        let mut out = Vec::new();
        put_meta(&mut out, &meta);
        assert_eq!(Reader::new(out.into()).meta().unwrap(), meta);
    }
}

#[test]
fn whatever_is_cut_short_or_changed_is_an_error_or_another_entry_but_no_panic() {
    for entry in entries() {
        let mut whole = Vec::new();
        put_entry(&mut whole, &entry).unwrap();
        for length in 0..whole.len() {
            assert!(Reader::new(whole[..length].to_vec().into()).entry().is_err(), "{length}");
        }
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                drop(Reader::new(bytes.into()).entry());
            }
        }
    }
}

#[test]
fn a_voter_without_an_address_is_no_membership() {
    let mut out = Vec::new();
    put_count(&mut out, 1);
    put_count(&mut out, 1);
    out.put_u64_le(9);
    put_count(&mut out, 0);
    let error = Reader::new(out.into()).membership().unwrap_err();
    assert!(matches!(error, Malformed::Membership(_)), "{error}");
}
