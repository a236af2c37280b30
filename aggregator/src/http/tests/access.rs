//! Who is served.

use axum::body::Body;
use axum::http::Request;

use super::fake::{Client, TOKEN, client, fake};

fn away(mut client: Client) -> Client {
    client.peer = "192.0.2.7:40000".parse().ok();
    client
}

const GUARDED: &[&str] = &[
    "/api/v1/sites",
    "/api/v1/sensors",
    "/api/v1/devices",
    "/api/v1/events",
    "/api/v1/findings",
    "/api/v1/cluster",
    "/api/v1/cluster/members",
    "/openapi.json",
    "/docs/",
    "/docs/errors/no-leader",
    "/version",
    "/nowhere",
];

#[tokio::test]
async fn from_elsewhere_the_token_is_needed() {
    let client = away(client());
    for path in GUARDED {
        let answer = client.fetch(path).await;
        answer.is_problem(401, "unauthorized");
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{path}");
        let with = Request::get(*path).header("authorization", format!("Bearer {TOKEN}"));
        let answer = client.send(with.body(Body::empty()).unwrap()).await;
        assert_ne!(answer.status, 401, "{path}");
        let wrong = Request::get(*path).header("authorization", "Bearer wrong");
        client.send(wrong.body(Body::empty()).unwrap()).await.is_problem(401, "unauthorized");
    }
    client.post("/api/v1/cluster/init", "{}").await.is_problem(401, "unauthorized");
    for path in ["/livez", "/readyz", "/startupz", "/metrics"] {
        assert_eq!(client.fetch(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn an_unknown_peer_is_not_the_own_host() {
    let mut client = client();
    client.peer = None;
    client.fetch("/api/v1/sites").await.is_problem(401, "unauthorized");
}

#[tokio::test]
async fn the_port_for_metrics_serves_nothing_else() {
    let client = away(Client::on(crate::http::metrics_router(std::sync::Arc::new(fake()))));
    assert_eq!(client.fetch("/metrics").await.status, 200);
    assert_eq!(client.fetch("/livez").await.status, 200);
    client.fetch("/api/v1/devices").await.is_problem(401, "unauthorized");
}

#[tokio::test]
async fn every_answer_is_protected() {
    let client = client();
    for path in ["/api/v1/sites", "/nowhere", "/livez", "/docs/", "/docs/errors/no-leader"] {
        let answer = client.fetch(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'self';"), "{path}: {policy}");
        assert!(!policy.contains("script-src"), "{policy}");
        assert!(answer.header("wardmesh-request-id").starts_with("req_"), "{path}");
    }
}
