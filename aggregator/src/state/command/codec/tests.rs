//! Commands as bytes: frozen, whole, and nothing but them.

use wardmesh_common::id::TenantId;

use super::*;

fn samples() -> Vec<Action> {
    let sensor = SensorId([7; 16]);
    let frame = |bytes: &'static [u8]| Submission {
        sensor,
        clock_offset: -5,
        frame: Bytes::from_static(bytes),
    };
    let (tenant, site) = ("default".parse().unwrap(), "st-jude".parse().unwrap());
    vec![
        Action::Found { cluster: ClusterId([1; 16]), key: HashKey([2; 16]), admin_token: [3; 32] },
        Action::Ingest(vec![frame(b"one"), frame(b""), frame(b"three")]),
        Action::OpenEpoch(OpenEpoch {
            sensor,
            tenant: TenantId::clone(&tenant),
            epoch: 9,
            held: vec![1, 2],
            lane: Lane::Bulk,
            tails: vec![3, 4, 0],
            remote: "192.0.2.7:4433".into(),
            version: "1".into(),
        }),
        Action::Skip(Skip {
            sensor,
            epoch: 9,
            lane: Lane::Bulk,
            seq: 4,
            chain: 5,
            events: 6,
            reason: "malformed".into(),
        }),
        Action::DefineSite(DefineSite {
            tenant: TenantId::clone(&tenant),
            site,
            title: "St Jude".into(),
        }),
        Action::Enrol(Enrol { sensor, tenant, site: "st-jude".parse().unwrap(), name: "s".into() }),
    ]
}

/// Actions that came after these.
fn later_samples() -> Vec<Action> {
    vec![
        Action::Revoke(SensorId([7; 16])),
        Action::Tick,
        Action::UpdateFinding(UpdateFinding {
            tenant: "default".parse().unwrap(),
            finding: FindingId(MintedId(7)),
            expected: vec![3],
            status: Some(Status::Resolved),
            assignee: None,
            note: Some("cable".into()),
            by: "admin".into(),
        }),
        Action::ReportNode(ReportNode {
            node: 2,
            name: "node-2".to_owned(),
            path: "/data".to_owned(),
            free: 1,
            enough: false,
            short: true,
        }),
        Action::ReportClock(ReportClock {
            node: 3,
            name: "agg-3".into(),
            offset: -7_200_000_000_000,
            off: true,
        }),
    ]
}

fn all() -> Vec<Action> {
    [samples(), later_samples()].concat()
}

#[test]
fn commands_are_frozen() {
    let at = Timestamp::from_nanos(77);
    let encode = |action| Command::new(at, action).encode().unwrap();
    let encoded: Vec<_> = all().into_iter().map(encode).collect();
    let samples: Vec<_> = encoded.iter().map(|bytes| ("command", bytes.as_ref())).collect();
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/command-v1.hex");
    wardmesh_common::golden::check(&path, &samples);
}

#[test]
fn commands_round_trip() {
    for action in all() {
        let command = Command::new(Timestamp::from_nanos(77), action);
        assert_eq!(Command::decode(command.encode().unwrap()), Ok(command));
    }
}

#[test]
fn refuses_every_truncation_and_any_trailing_byte() {
    for action in all() {
        let bytes = Command::new(Timestamp::EPOCH, action).encode().unwrap();
        for length in 0..bytes.len() {
            assert!(Command::decode(bytes.slice(..length)).is_err(), "{length}");
        }
        let mut longer = bytes.to_vec();
        longer.push(0);
        assert!(Command::decode(longer.into()).is_err());
    }
}

#[test]
fn names_the_version_that_is_missing() {
    let newer = Command { apply_version: 2, at: Timestamp::EPOCH, action: Action::Tick };
    assert_eq!(Command::decode(newer.encode().unwrap()), Err(NotACommand::Newer(2)));
}
