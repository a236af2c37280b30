//! What people decide about findings, and what new evidence makes of their decisions.

use wardmesh_common::id::TenantId;

use super::super::command::{Action, UpdateFinding};
use super::super::findings::Status;
use super::super::receipt::Receipt;
use super::super::testkit::{Feed, Fleet, at, sighting, tenant};

const STATION: &str = "00:03:b1:00:00:01";

/// A station that was at both sites: one finding, with its feeds.
fn moved() -> (Fleet, [Feed; 2]) {
    let mut fleet = Fleet::at(&["east", "west"]);
    fleet.now = at(200_000);
    let (mut east, mut west) = (fleet.feed(1), fleet.feed(2));
    fleet.hear(&mut east, &[sighting(STATION, 1)]);
    fleet.hear(&mut west, &[sighting(STATION, 20_000)]);
    assert_eq!(fleet.findings().len(), 1);
    (fleet, [east, west])
}

fn update(fleet: &mut Fleet, expected: &[u64], status: Option<Status>) -> Receipt {
    let finding = fleet.findings()[0].id;
    fleet
        .apply(Action::UpdateFinding(UpdateFinding {
            tenant: tenant(),
            finding,
            expected: expected.to_vec(),
            status,
            assignee: None,
            note: Some("seen".to_owned()),
            by: "admin".to_owned(),
        }))
        .receipt
}

#[test]
fn of_two_who_saw_the_same_one_succeeds() {
    let (mut fleet, _) = moved();
    assert_eq!(update(&mut fleet, &[1], Some(Status::Ack)), Receipt::Updated { revision: 2 });
    assert_eq!(update(&mut fleet, &[1], Some(Status::Open)), Receipt::Stale { revision: 2 });
    assert_eq!(update(&mut fleet, &[7, 2], None), Receipt::Updated { revision: 3 });
    assert_eq!(update(&mut fleet, &[], None), Receipt::Updated { revision: 4 });
    let finding = fleet.findings()[0];
    assert_eq!((finding.status, finding.note.as_str()), (Status::Ack, "seen"));
    assert_eq!((finding.updated_by.as_str(), finding.updated_at), ("admin", Some(fleet.now)));
    let other: TenantId = "other".parse().unwrap();
    let update = UpdateFinding {
        tenant: other,
        finding: finding.id,
        expected: Vec::new(),
        status: None,
        assignee: None,
        note: None,
        by: String::new(),
    };
    assert_eq!(fleet.apply(Action::UpdateFinding(update)).receipt, Receipt::NotFound);
}

#[test]
fn what_is_only_counted_leaves_the_revision_and_changes_the_hash() {
    let (mut fleet, [_, mut west]) = moved();
    let id = fleet.findings()[0].id;
    let before = fleet.state.finding_hash(&tenant(), id);
    let seen = fleet.findings()[0].last_seen;
    fleet.hear(&mut west, &[sighting(STATION, 20_060)]);
    let finding = fleet.findings()[0];
    assert!(finding.last_seen > seen);
    assert_eq!(finding.revision, 1);
    assert_ne!(fleet.state.finding_hash(&tenant(), id), before);
}

/// Each status, what comes, and the status that it has then.
#[test]
fn new_evidence_reopens_what_was_dealt_with() {
    use Status::{Ack, InProgress, Open, Resolved, Suppressed};
    // Seen once more within its stay; back at the first site; at both at once.
    let (still, back, both): (&[u64], &[u64], &[u64]) = (&[20_001], &[90_000], &[19_000, 21_000]);
    let cases = [
        (Resolved, (2, still), Resolved),
        (Resolved, (1, back), Open),
        (Resolved, (1, both), Open),
        (Ack, (1, back), Ack),
        (Ack, (1, both), Open),
        (InProgress, (1, both), InProgress),
        (Suppressed, (1, both), Suppressed),
        (Open, (1, both), Open),
    ];
    for (status, (number, times), expected) in cases {
        let (mut fleet, [mut east, mut west]) = moved();
        update(&mut fleet, &[], Some(status));
        let pending = usize::from(status.is_pending());
        assert_eq!(fleet.state.pending_finding_count(), pending);
        let seen: Vec<_> = times.iter().map(|at| sighting(STATION, *at)).collect();
        let feed = if number == 1 { &mut east } else { &mut west };
        if times == both {
            fleet.hear(feed, &seen);
            let between: Vec<_> = (19_000..21_000).step_by(60).collect();
            let seen: Vec<_> = between.iter().map(|at| sighting(STATION, *at)).collect();
            fleet.hear(feed, &seen);
        } else {
            fleet.hear(feed, &seen);
        }
        let finding = fleet.findings()[0];
        assert_eq!(finding.status, expected, "{status} {times:?} {}", finding.rule);
        assert_eq!(finding.note, "seen", "what people said stays");
        let pending = usize::from(expected.is_pending());
        assert_eq!(fleet.state.pending_finding_count(), pending);
        if expected != status {
            assert!(finding.revision > 2, "whoever decided on the old one is told");
        }
        let mut bytes = Vec::new();
        fleet.state.write(&mut bytes).unwrap();
        let copy = crate::state::State::read(&mut bytes.as_slice()).unwrap();
        assert_eq!(copy.pending_finding_count(), pending, "after a snapshot too");
    }
}

/// A device that goes to and fro keeps a few visits only; it is opened again all the same.
#[test]
fn the_limit_of_visits_does_not_hide_the_next_one() {
    let (mut fleet, [mut east, _]) = moved();
    for turn in 0..20_u64 {
        update(&mut fleet, &[], Some(Status::Resolved));
        fleet.hear(&mut east, &[sighting(STATION, 40_000 + turn * 3_600)]);
        assert_eq!(fleet.findings()[0].status, Status::Open, "{turn}");
    }
}
