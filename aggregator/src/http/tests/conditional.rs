//! A finding is changed by who has seen what it is: the register of this API.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::fake::{Answer, Client, TOKEN, client, fake};
use crate::http::backend::ProposeError;

async fn patch(client: &Client, path: &str, tag: Option<&str>, body: &str) -> Answer {
    let mut request = Request::patch(path).header("content-type", "application/json");
    if let Some(tag) = tag {
        request = request.header("if-match", tag);
    }
    client.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

async fn found(client: &Client) -> String {
    let list = client.fetch("/api/v1/findings").await.json();
    format!("/api/v1/findings/{}", list["data"][0]["id"].as_str().unwrap())
}

#[tokio::test]
async fn a_change_needs_the_version_that_was_read() {
    let (client, fake) = Client::of(fake());
    let path = found(&client).await;
    let read = client.fetch(&path).await;
    let tag = read.header("etag").to_owned();
    assert_eq!(read.json()["revision"], 1);
    assert!(tag.starts_with("\"1-") && tag.len() == 20, "{tag}");

    let body = r#"{"status":"ack","assignee":"biomed","note":"on purpose"}"#;
    patch(&client, &path, None, body).await.is_problem(428, "precondition-required");
    let answer = patch(&client, &path, Some(&tag), body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let applied = fake.state.lock().applied().to_string();
    assert_eq!(answer.header("wardmesh-applied-index"), applied);
    let changed = answer.json();
    for (member, value) in [
        ("revision", json!(2)),
        ("status", json!("ack")),
        ("assignee", json!("biomed")),
        ("note", json!("on purpose")),
        ("updated_by", json!("host")),
    ] {
        assert_eq!(changed[member], value, "{member}");
    }
    let again = client.fetch(&path).await;
    assert_eq!((again.json(), again.header("etag")), (changed, answer.header("etag")));

    let stale = patch(&client, &path, Some(&tag), body).await.is_problem(412, "stale");
    assert_eq!(stale["revision"], 2);
    let weak = format!("W/{}", again.header("etag"));
    patch(&client, &path, Some(&weak), body).await.is_problem(412, "stale");
    assert_eq!(client.fetch(&path).await.json()["revision"], 2, "what is refused changes nothing");

    let answer = patch(&client, &path, Some("*"), r#"{"note":null}"#).await.json();
    assert_eq!((&answer["note"], &answer["assignee"]), (&Value::Null, &json!("biomed")));
    let answer = patch(&client, &path, Some("\"3\""), r#"{"status":"resolved"}"#).await;
    assert_eq!((answer.status, &answer.json()["revision"]), (200, &json!(4)), "{}", answer.text);
    let open = client.fetch("/api/v1/findings?status=open").await.json();
    assert_eq!(open["data"], json!([]));
}

#[tokio::test]
async fn what_was_read_already_is_not_sent_again() {
    let client = client();
    let path = found(&client).await;
    let tag = client.fetch(&path).await.header("etag").to_owned();
    let request = Request::get(&path).header("if-none-match", &tag);
    let answer = client.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status, answer.text.as_str(), answer.header("etag")), (304, "", &*tag));
}

#[tokio::test]
async fn a_change_that_cannot_be_read_or_found_is_refused() {
    let client = client();
    let path = found(&client).await;
    let long = format!(r#"{{"note":"{}"}}"#, "x".repeat(2_001));
    let cases = [
        ("{}", "", "*"),
        (r#"{"status":"closed"}"#, "/status", "*"),
        (r#"{"severity":"low"}"#, "", "*"),
        (long.as_str(), "/note", "*"),
    ];
    for (body, pointer, tag) in cases {
        let body = patch(&client, &path, Some(tag), body).await.is_problem(400, "invalid-body");
        assert_eq!(body["errors"][0]["pointer"].as_str().unwrap_or_default(), pointer);
    }
    let body = r#"{"status":"ack"}"#;
    patch(&client, &path, Some("1"), body).await.is_problem(400, "invalid-parameter");
    let nowhere = "/api/v1/findings/fnd_01JGZ8K3M5N7P9Q1R3S5T7V9WX";
    patch(&client, nowhere, Some("*"), body).await.is_problem(404, "not-found");
    patch(&client, "/api/v1/findings/7", Some("*"), body)
        .await
        .is_problem(400, "invalid-parameter");
}

/// A 5xx says that nobody knows, a 2xx is final (I9).
#[tokio::test]
async fn what_was_not_confirmed_is_not_called_done() {
    for (error, code) in
        [(ProposeError::TimedOut, "timed-out"), (ProposeError::NoLeader, "no-leader")]
    {
        let mut node = fake();
        node.propose = Some(error);
        let (client, _) = Client::of(node);
        let path = found(&client).await;
        patch(&client, &path, Some("*"), r#"{"status":"ack"}"#).await.is_problem(503, code);
    }
}

#[tokio::test]
async fn the_change_names_who_made_it() {
    let (mut client, _) = Client::of(fake());
    client.peer = "192.0.2.7:40000".parse().ok();
    let bearer = format!("Bearer {TOKEN}");
    let list = Request::get("/api/v1/findings").header("authorization", &bearer);
    let list = client.send(list.body(Body::empty()).unwrap()).await.json();
    let path = format!("/api/v1/findings/{}", list["data"][0]["id"].as_str().unwrap());
    let request = Request::patch(path).header("authorization", &bearer).header("if-match", "*");
    let request = request.header("content-type", "application/merge-patch+json");
    let answer = client.send(request.body(Body::from(r#"{"status":"ack"}"#)).unwrap()).await;
    assert_eq!((answer.status, &answer.json()["updated_by"]), (200, &json!("admin")));
}
