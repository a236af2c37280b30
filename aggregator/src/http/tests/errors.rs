//! Everything that can be asked wrongly, and what goes wrong by itself.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;

use super::fake::{Client, client, fake};
use crate::http::backend::ProposeError;

#[tokio::test]
async fn what_cannot_be_read_is_named() {
    let cases = [
        ("/api/v1/devices?vendr=x", "unknown-parameter", "vendr", "Did you mean 'vendor'?"),
        (
            "/api/v1/sensors/x?limit=5",
            "unknown-parameter",
            "limit",
            "It takes consistency, max_staleness, min_index, wait.",
        ),
        ("/readyz?verbos", "unknown-parameter", "verbos", "Did you mean 'verbose'?"),
        ("/api/v1/devices?mac=zz", "invalid-parameter", "mac", ""),
        ("/api/v1/devices?ip=300.1.1.1", "invalid-parameter", "ip", ""),
        ("/api/v1/devices?site=St%20Jude", "invalid-parameter", "site", ""),
        ("/api/v1/devices?seen_since=yesterday", "invalid-parameter", "seen_since", ""),
        ("/api/v1/devices?seen_since=-24", "invalid-parameter", "seen_since", ""),
        ("/api/v1/devices?limit=0", "invalid-parameter", "limit", ""),
        ("/api/v1/devices?limit=1001", "invalid-parameter", "limit", ""),
        ("/api/v1/devices?limit=1&limit=2", "invalid-parameter", "limit", ""),
        ("/api/v1/devices?consistency=stale", "invalid-parameter", "consistency", ""),
        ("/api/v1/events?sensor=7", "invalid-parameter", "sensor", ""),
        ("/api/v1/events?after=7", "invalid-parameter", "after", ""),
        ("/api/v1/events?since=-1h&until=-2h", "invalid-parameter", "until", ""),
        ("/api/v1/cluster?digest_at=now", "invalid-parameter", "digest_at", ""),
        ("/api/v1/devices/7", "invalid-parameter", "id", ""),
        ("/api/v1/sensors/7", "invalid-parameter", "id", ""),
        ("/api/v1/findings/7", "invalid-parameter", "id", ""),
        ("/api/v1/events/7", "invalid-parameter", "id", ""),
        (
            "/api/v1/findings?status=opn",
            "invalid-parameter",
            "status",
            "It takes open, ack, in_progress, suppressed, resolved.",
        ),
        (
            "/api/v1/findings?severity=high&severity=worst",
            "invalid-parameter",
            "severity",
            "It takes informational, low, medium, high, critical.",
        ),
        (
            "/api/v1/findings?rule=moved",
            "invalid-parameter",
            "rule",
            "It takes identity-moved, identity-concurrent, identity-vendor-duplicate, sensor-forked, \
             sensor-cloned, clock-suspect, node-disk-full, sensor-disk-full.",
        ),
        (
            "/api/v1/sensors?state=Online",
            "invalid-parameter",
            "state",
            "It takes online, silent, enrolled, revoked, unknown.",
        ),
    ];
    let client = client();
    for (path, code, pointer, hint) in cases {
        let body = client.fetch(path).await.is_problem(400, code);
        assert_eq!(body["errors"][0]["pointer"], pointer, "{path}");
        assert_eq!(body["hint"].as_str().unwrap_or_default(), hint, "{path}");
    }
    let body = client.fetch("/api/v1/devices?limit=5000").await.json();
    assert_eq!(
        (&body["errors"][0]["limit"], &body["errors"][0]["actual"]),
        (&1_000.into(), &5_000.into())
    );
    let many = format!("/api/v1/devices?{}", "site=a&".repeat(200));
    client.fetch(&many).await.is_problem(400, "invalid-parameter");
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let client = client();
    for path in [
        "/api/v1/devices/dev_01JGZ8K3M5N7P9Q1R3S5T7V9WX",
        "/api/v1/devices/dev_01JGZ8K3M5N7P9Q1R3S5T7V9WX/evidence",
        "/api/v1/findings/fnd_01JGZ8K3M5N7P9Q1R3S5T7V9WX",
        "/api/v1/sensors/6f2c0e9a-0f5b-4d31-9f0e-5b1d2c3a4e5f",
        "/api/v1/sensors/6f2c0e9a-0f5b-4d31-9f0e-5b1d2c3a4e5f/watermark",
        "/api/v1/events/evt_99999-0-0",
        "/api/v1/unheard-of",
        "/api/v2/devices",
        "/",
        "/docs/errors/unheard-of",
        "/docs/errors/%3Cscript%3E",
    ] {
        client.fetch(path).await.is_problem(404, "not-found");
    }
    client.fetch("/api/v1/cluster?digest_at=0").await.is_problem(404, "digest-not-kept");
    let future = client.fetch("/api/v1/cluster?digest_at=99999").await;
    assert_eq!(future.is_problem(404, "digest-not-kept")["hint"], "Add min_index to wait for it.");
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let client = client();
    let request = Request::delete("/api/v1/sites").body(Body::empty()).unwrap();
    let answer = client.send(request).await;
    answer.is_problem(405, "method-not-allowed");
    for method in ["GET", "HEAD", "POST"] {
        assert!(answer.header("allow").contains(method), "{}", answer.header("allow"));
    }
}

#[tokio::test]
async fn without_a_leader_only_local_reads_answer() {
    let mut node = fake();
    (node.leaderless, node.propose) = (true, Some(ProposeError::NoLeader));
    let (client, _) = Client::of(node);
    let answer = client.fetch("/api/v1/devices").await;
    let body = answer.is_problem(503, "no-leader");
    assert_eq!(body["hint"], "Repeat with consistency=local to read the last known state.");
    assert_eq!(answer.header("retry-after"), "2");
    client.fetch("/api/v1/devices?consistency=linearizable").await.is_problem(503, "no-leader");
    let local = client.fetch("/api/v1/devices?consistency=local").await;
    assert_eq!((local.status, local.header("wardmesh-leader")), (200, ""));
    client.post("/api/v1/sites", r#"{"site":"x","title":"X"}"#).await.is_problem(503, "no-leader");
    let stale = client.fetch("/api/v1/devices?consistency=local&max_staleness=100ms").await;
    stale.is_problem(503, "too-stale");
    let fresh = client.fetch("/api/v1/devices?consistency=local&max_staleness=5s").await;
    assert_eq!(fresh.status, 200);
}

#[tokio::test]
async fn before_the_founding_the_way_out_is_named() {
    let mut node = fake();
    node.leaderless = true;
    node.propose = Some(ProposeError::NoLeader);
    *node.state.lock() = crate::state::State::new();
    let (client, _) = Client::of(node);
    let read = client.fetch("/api/v1/devices").await;
    let write = client.post("/api/v1/sites", r#"{"site":"x","title":"X"}"#).await;
    for answer in [read, write] {
        answer.is_problem(503, "not-initialised");
        assert!(answer.text.contains("wardmesh cluster init"), "{}", answer.text);
    }
    assert_eq!(client.fetch("/api/v1/cluster").await.json()["cluster"], serde_json::Value::Null);
}

#[tokio::test]
async fn an_index_is_waited_for() {
    let (client, fake) = Client::of(fake());
    let next = fake.state.lock().applied() + 1;
    let path = format!("/api/v1/sites?min_index={next}");
    client.fetch(&format!("{path}&wait=40ms")).await.is_problem(503, "timed-out");
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.fetch(&path).await }
    });
    tokio::time::sleep(Duration::from_millis(30)).await;
    client.post("/api/v1/sites", r#"{"site":"west","title":"West"}"#).await;
    assert_eq!(waiting.await.unwrap().json()["data"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_panic_ends_one_request_only() {
    let mut node = fake();
    node.panics = true;
    let (client, fake) = Client::of(node);
    client.fetch("/api/v1/devices").await.is_problem(500, "internal");
    assert_eq!(client.fetch("/livez").await.status, 200);
    let answered = fake.answered.lock().clone();
    assert_eq!(answered, [("/api/v1/devices".into(), 500), ("/livez".into(), 200)]);
    assert_eq!(client.fetch("/nowhere").await.status, 404);
    assert_eq!(fake.answered.lock().last().unwrap().0, "unmatched");
}

#[tokio::test]
async fn past_the_limit_requests_are_turned_away_and_probes_are_not() {
    let client = client();
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..crate::http::layers::REQUESTS_MAX {
        let client = client.clone();
        waiting.spawn(async move { client.fetch("/api/v1/sites?min_index=9999&wait=20s").await });
    }
    // They are under way sooner or later, however busy the machine is.
    let answer = loop {
        let answer = client.fetch("/api/v1/sites").await;
        if answer.status != 200 {
            break answer;
        }
        assert!(!waiting.is_empty() && waiting.try_join_next().is_none(), "nobody waits");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    answer.is_problem(503, "overloaded");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(client.fetch("/livez").await.status, 200);
    waiting.shutdown().await;
    assert_eq!(client.fetch("/api/v1/sites").await.status, 200);
}

#[tokio::test]
async fn full_volumes_are_named_and_repeating_helps_once_there_is_room() {
    let mut node = fake();
    let why = "the leader's /data has 7 bytes left".to_owned();
    let retry_after = std::time::Duration::from_secs(2);
    node.propose = Some(ProposeError::DiskFull { why, retry_after });
    let (client, _) = Client::of(node);
    for (path, body) in
        [("/api/v1/sites", r#"{"site":"x","title":"X"}"#), ("/api/v1/cluster/snapshot", "{}")]
    {
        let answer = client.post(path, body).await;
        let body = answer.is_problem(507, "disk-full");
        assert_eq!(body["detail"], "the leader's /data has 7 bytes left.", "{path}");
        assert_eq!(answer.header("retry-after"), "2");
    }
}
