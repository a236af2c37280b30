//! Changes of the membership: what is asked for, what is answered, and why not.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use super::fake::{Answer, Client, fake};
use crate::http::backend::{ChangeFault, MemberChange, MemberRole};

const MEMBERS: &str = "/api/v1/cluster/members";

async fn delete(client: &Client, path: &str) -> Answer {
    client.send(Request::delete(path).body(Body::empty()).unwrap()).await
}

async fn post(client: &Client, path: &str) -> Answer {
    client.send(Request::post(path).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn each_change_is_asked_for_as_it_was_meant() {
    let (client, fake) = Client::of(fake());
    let four = r#"{"address":"agg-4:4434"}"#;
    let answer = client.post(MEMBERS, four).await;
    assert_eq!((answer.status, &answer.json()["role"]), (201, &json!("voter")), "{}", answer.text);
    assert_eq!(answer.json()["id"], 4);
    let applied = fake.state.lock().applied().to_string();
    assert_eq!(answer.header("wardmesh-applied-index"), applied);
    client.post(MEMBERS, r#"{"address":"agg-4:4434","voter":false}"#).await;
    assert_eq!(post(&client, &format!("{MEMBERS}/4/promote")).await.status, 200);
    assert_eq!(client.post(&format!("{MEMBERS}/2/replace"), four).await.status, 200);
    delete(&client, &format!("{MEMBERS}/2")).await;
    delete(&client, &format!("{MEMBERS}/3?force=true")).await;
    client.post("/api/v1/cluster/transfer-leader", "{}").await;
    client.post("/api/v1/cluster/transfer-leader", r#"{"to":3}"#).await;
    let address = || "agg-4:4434".to_owned();
    let asked = [
        MemberChange::Add { address: address(), voter: true },
        MemberChange::Add { address: address(), voter: false },
        MemberChange::Promote(4),
        MemberChange::Replace { node: 2, address: address() },
        MemberChange::Remove { node: 2, force: false },
        MemberChange::Remove { node: 3, force: true },
        MemberChange::Transfer(None),
        MemberChange::Transfer(Some(3)),
    ];
    assert_eq!(*fake.changes.lock(), asked);
    let built = post(&client, "/api/v1/cluster/snapshot").await;
    assert_eq!((built.status, built.json()), (200, json!({"node_id": 1, "index": 7})));
}

#[tokio::test]
async fn a_learner_that_is_behind_is_accepted_only() {
    let mut node = fake();
    node.changed = Ok(MemberRole::Learner);
    let (client, _) = Client::of(node);
    let answer = client.post(MEMBERS, r#"{"address":"agg-4:4434"}"#).await;
    assert_eq!((answer.status, &answer.json()["role"]), (202, &json!("learner")));
    assert_eq!(post(&client, &format!("{MEMBERS}/4/promote")).await.status, 202);
    let wanted = client.post(MEMBERS, r#"{"address":"agg-4:4434","voter":false}"#).await;
    assert_eq!(wanted.status, 201);
}

#[tokio::test]
async fn each_fault_has_its_code_and_a_way_out() {
    let cases = [
        (ChangeFault::UnderWay, 409, "change-under-way"),
        (ChangeFault::Unreachable, 503, "member-unreachable"),
        (ChangeFault::NotEmpty, 409, "member-not-empty"),
        (ChangeFault::Retired, 409, "node-id-retired"),
        (ChangeFault::AlreadyMember, 409, "already-member"),
        (ChangeFault::Wiped, 409, "member-wiped"),
        (ChangeFault::NoSuchMember, 404, "not-found"),
        (ChangeFault::QuorumAtRisk, 409, "quorum-at-risk"),
        (ChangeFault::Refused, 409, "refused"),
        (ChangeFault::Unknown, 503, "timed-out"),
        (ChangeFault::NoLeader, 503, "no-leader"),
    ];
    for (fault, status, code) in cases {
        let mut node = fake();
        node.changed = Err(fault);
        let (client, _) = Client::of(node);
        let answer = delete(&client, &format!("{MEMBERS}/2")).await;
        assert_eq!(answer.is_problem(status, code)["detail"], "As the test wants it.");
        assert_eq!(answer.header("retry-after"), if status == 503 { "2" } else { "" });
    }
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_before_anybody_is_asked() {
    let (client, fake) = Client::of(fake());
    for body in [r#"{"address":"agg-4"}"#, r#"{"address":":4434"}"#, r#"{"voter":true}"#, "{}"] {
        client.post(MEMBERS, body).await.is_problem(400, "invalid-body");
    }
    delete(&client, &format!("{MEMBERS}/two")).await.is_problem(400, "invalid-parameter");
    delete(&client, &format!("{MEMBERS}/2?force=so")).await.is_problem(400, "invalid-parameter");
    delete(&client, &format!("{MEMBERS}/2?forced=1")).await.is_problem(400, "unknown-parameter");
    assert!(fake.changes.lock().is_empty());
}

#[tokio::test]
async fn nodes_that_left_are_named() {
    let (client, fake) = Client::of(fake());
    let index = fake.state.lock().applied() + 1;
    fake.state.lock().reconfigure(index, &[2]);
    let cluster = client.fetch("/api/v1/cluster").await.json();
    assert_eq!(cluster["retired"][0]["id"], 2);
    assert!(cluster["retired"][0]["at"].as_str().unwrap().ends_with('Z'));
    let digest = client.fetch("/api/v1/cluster?digest_at=latest").await.json();
    assert_eq!(digest["retired"], serde_json::Value::Null);
}
