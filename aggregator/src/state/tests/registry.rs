//! Founding, facilities and enrolment: what is done, what is idempotent, what is refused in words.

use wardmesh_common::id::ClusterId;
use wardmesh_common::map::HashKey;
use wardmesh_common::wire::message::Reason;

use super::super::State;
use super::super::command::{Action, Command, Enrol};
use super::super::receipt::{BatchReceipt, Receipt};
use super::super::testkit::*;

#[track_caller]
fn refused(receipt: Receipt, words: &str) {
    let Receipt::Refused(said) = receipt else { panic!("{receipt:?}") };
    assert!(said.contains(words), "{said}");
}

#[test]
fn before_the_founding_nothing_is_taken() {
    let mut state = State::new();
    let feed = Feed::new(sensor(1), 1);
    let frame = feed.clone().batch(&[]);
    let mut apply = |index, action| state.apply(index, &Command::new(at(0), action)).receipt;
    let not_ready = BatchReceipt::Rejected(Reason::NotReady);
    let ingest = Action::Ingest(vec![feed.submission(frame)]);
    assert_eq!(apply(1, ingest), Receipt::Ingested(vec![not_ready]));
    refused(apply(2, Action::Revoke(sensor(1))), "cluster init");
    let found = |n| Action::Found {
        cluster: ClusterId([n; 16]),
        key: HashKey([n; 16]),
        admin_token: [n; 32],
    };
    assert_eq!(apply(3, found(1)), Receipt::Accepted);
    assert_eq!(apply(4, found(2)), Receipt::Founded(ClusterId([1; 16])));
    assert_eq!(state.cluster(), Some(ClusterId([1; 16])));
    assert_eq!(state.admin_token(), Some([1; 32]));
}

#[test]
fn enrolment_is_idempotent_and_refuses_what_contradicts_it() {
    let mut fleet = Fleet::at(&["east", "west"]);
    assert_eq!(fleet.enrol(1, "east"), Receipt::Accepted);
    assert_eq!(fleet.state.site(&tenant(), &site("east")).unwrap().sensors, 1);
    refused(fleet.enrol(1, "west"), "enrolled at site east");
    refused(fleet.enrol(3, "nowhere"), "define it first");
    let (sensor, tenant) = (sensor(1), "other".parse().unwrap());
    let theirs = Enrol { sensor, tenant, site: site("east"), name: String::new() };
    refused(fleet.apply(Action::Enrol(theirs)).receipt, "has no site east");
    refused(fleet.open(7, 1, &[]), "not enrolled");
    assert_eq!(fleet.apply(Action::Revoke(sensor)).receipt, Receipt::Accepted);
    assert_eq!(fleet.apply(Action::Revoke(sensor)).receipt, Receipt::Accepted);
    refused(fleet.enrol(1, "east"), "revoked");
}

#[test]
fn a_site_is_renamed_and_keeps_its_name_in_urls() {
    let mut fleet = Fleet::at(&["east"]);
    let (tenant, site) = (tenant(), site("east"));
    let title = "St Jude".to_owned();
    let define = super::super::command::DefineSite { tenant, site: site.clone(), title };
    assert_eq!(fleet.apply(Action::DefineSite(define)).receipt, Receipt::Accepted);
    let known: Vec<_> = fleet.state.sites(&super::super::testkit::tenant()).collect();
    assert_eq!((known.len(), known[0].title.as_str(), &known[0].id), (1, "St Jude", &site));
}

#[test]
fn time_never_goes_back() {
    let mut fleet = Fleet::at(&[]);
    fleet.now = at(10);
    fleet.apply(Action::Tick);
    assert_eq!(fleet.state.at(), at(86_400));
    fleet.now = at(90_000);
    assert_eq!(fleet.apply(Action::Tick).receipt, Receipt::Done);
    assert_eq!(fleet.state.at(), at(90_000));
}
