//! What a node answers while its start waits for room on its volume: that it lives, that it is not
//! ready, and why.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use wardmesh_common::space::{Space, WAIT_POLL};

use super::problem::{Problem, kinds};

/// Probes, and the same refusal for all else.
pub fn router(space: Arc<Space>) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(not_ready))
        .route("/startupz", get(not_ready))
        .fallback(refuse)
        .with_state(space)
}

fn obstacle(space: &Space) -> String {
    space.obstacle().unwrap_or_else(|| "there is room again: starting".to_owned())
}

async fn not_ready(State(space): State<Arc<Space>>) -> Response {
    let text = format!("[-]disk not ok {}\nnot ready\n", obstacle(&space));
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn refuse(State(space): State<Arc<Space>>, uri: Uri) -> Response {
    let problem = Problem::new(&kinds::DISK_FULL, format!("{}.", obstacle(&space)))
        .hint("Ask another node: this one takes part again once there is room.")
        .retry_after(WAIT_POLL);
    let path: String = uri.path().chars().take(200).collect();
    let mut response = problem.render(&path, "");
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}
