//! What changes the state: proposed, agreed on, answered with its log index.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use super::fake::{Client, TOKEN, client, fake};
use crate::http::backend::ProposeError;

const NEW: &str = "6f2c0e9a-0f5b-4d31-9f0e-5b1d2c3a4e5f";

#[tokio::test]
async fn a_site_and_its_sensor_come_and_the_sensor_goes() {
    let (client, fake) = Client::of(fake());
    let answer = client.post("/api/v1/sites", r#"{"site":"west","title":"West <b>"}"#).await;
    assert_eq!((answer.status, answer.json()), (201, json!({"id": "west", "title": "West <b>"})));
    let applied = fake.state.lock().applied().to_string();
    assert_eq!(answer.header("wardmesh-applied-index"), applied);
    let body = format!(r#"{{"sensor":"{NEW}","site":"west","name":"core switch"}}"#);
    let answer = client.post("/api/v1/sensors", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let one = client.fetch(&format!("/api/v1/sensors/{NEW}")).await.json();
    assert_eq!((&one["state"], &one["name"]), (&json!("enrolled"), &json!("core switch")));
    let request = Request::post(format!("/api/v1/sensors/{NEW}/revoke")).body(Body::empty());
    let answer = client.send(request.unwrap()).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"id": NEW, "state": "revoked"})));
    let one = client.fetch(&format!("/api/v1/sensors/{NEW}")).await.json();
    assert_eq!(one["state"], "revoked");
    let missing = Request::post("/api/v1/sensors/6f2c0e9a-0f5b-4d31-9f0e-000000000000/revoke");
    client.send(missing.body(Body::empty()).unwrap()).await.is_problem(404, "not-found");
}

#[tokio::test]
async fn what_the_state_refuses_is_a_conflict() {
    let body = format!(r#"{{"sensor":"{NEW}","site":"nowhere","name":"x"}}"#);
    client().post("/api/v1/sensors", &body).await.is_problem(409, "refused");
}

#[tokio::test]
async fn a_body_is_json_of_the_right_shape_and_size() {
    let client = client();
    let cases = [
        ("", 400, "invalid-body"),
        ("[]", 400, "invalid-body"),
        (r#"{"site":"west"}"#, 400, "invalid-body"),
        (r#"{"site":"west","title":"W","color":1}"#, 400, "invalid-body"),
        (r#"{"site":"West Side","title":"W"}"#, 400, "invalid-body"),
        (r#"{"site":"west","title":{}}"#, 400, "invalid-body"),
    ];
    for (body, status, code) in cases {
        client.post("/api/v1/sites", body).await.is_problem(status, code);
    }
    let deep = "[".repeat(60_000);
    client.post("/api/v1/sites", &deep).await.is_problem(400, "invalid-body");
    let large = " ".repeat(70_000);
    client.post("/api/v1/sites", &large).await.is_problem(413, "body-too-large");
    let form = Request::post("/api/v1/sites").header("content-type", "text/plain");
    let answer = client.send(form.body(Body::from("{}")).unwrap()).await;
    answer.is_problem(415, "unsupported-media-type");
    let valid = r#"{"site":"west","title":"W"}"#;
    client.post("/api/v1/sites?dry_run=true", valid).await.is_problem(400, "unknown-parameter");
}

#[tokio::test]
async fn the_cluster_is_founded_once() {
    let mut node = fake();
    node.founded = false;
    let (client, _) = Client::of(node);
    let answer = client.post("/api/v1/cluster/init", r#"{"expect":3}"#).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    assert_eq!(answer.json()["admin_token"], TOKEN);
    assert_eq!(answer.header("cache-control"), "no-store");
    let answer = client.post("/api/v1/cluster/init", r#"{"expect":9}"#).await;
    answer.is_problem(503, "unavailable");
    let answer = client.post("/api/v1/cluster/init", r#"{"expect":8}"#).await;
    let problem = answer.is_problem(503, "founding-unknown");
    assert!(problem["hint"].as_str().unwrap().contains("the same again"), "{}", answer.text);
    let (client, _) = Client::of(fake());
    let answer = client.post("/api/v1/cluster/init", "{}").await;
    let problem = answer.is_problem(409, "already-initialised");
    assert!(problem["hint"].as_str().unwrap().contains("never shown"), "{}", answer.text);
}

#[tokio::test]
async fn a_busy_cluster_says_when_to_come_back() {
    let mut node = fake();
    node.propose = Some(ProposeError::Overloaded { retry_after: Duration::from_secs(7) });
    let (client, _) = Client::of(node);
    let answer = client.post("/api/v1/sites", r#"{"site":"x","title":"X"}"#).await;
    answer.is_problem(503, "overloaded");
    assert_eq!(answer.header("retry-after"), "7");
}
