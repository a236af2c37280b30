//! Probes, metrics and the version: outside `/api/v1`, for machines that keep the node running.

use std::fmt::Write;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::Api;
use crate::http::problem::{Problem, ProblemBody};
use crate::http::query::Asked;
use crate::state::command::APPLY_VERSION;

pub(in crate::http) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(livez))
        .routes(routes!(readyz))
        .routes(routes!(startupz))
        .routes(routes!(metrics))
}

/// Only where principals are known.
pub(in crate::http) fn version_route() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(version))
}

/// Whether the process answers at all: nothing else is looked at, so that a node that waits for the
/// others is not restarted.
#[utoipa::path(get, path = "/livez", tag = "probes",
    responses((status = 200, body = String, content_type = "text/plain")))]
async fn livez() -> &'static str {
    "ok\n"
}

/// Whether requests should come here: caught up once since the start, and a leader known.
#[utoipa::path(get, path = "/readyz", tag = "probes",
    params(("verbose" = Option<bool>, Query, allow_reserved,
        description = "With or without a value: one line a check.")),
    responses((status = 200, body = String, content_type = "text/plain"),
        (status = 503, body = String, content_type = "text/plain"),
        (status = 400, body = ProblemBody, content_type = "application/problem+json")))]
async fn readyz(State(api): State<Api>, asked: Asked) -> Result<Response, Problem> {
    let verbose = asked.known(&["verbose"])?.one("verbose")?;
    let verbose = verbose.is_some_and(|value| value != "false" && value != "0");
    let checks = api.backend.readiness();
    let ready = checks.iter().all(|check| check.ok);
    let mut text = String::new();
    for check in checks.iter().filter(|check| verbose || !check.ok) {
        let (sign, word) = if check.ok { ('+', "ok") } else { ('-', "not ok") };
        let detail = check.detail.lines().next().unwrap_or_default();
        let line = format!("[{sign}]{} {word} {detail}", check.name);
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text.push_str(if ready { "ok\n" } else { "not ready\n" });
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, text).into_response())
}

/// Whether the node has opened its files and bound its ports.
#[utoipa::path(get, path = "/startupz", tag = "probes",
    responses((status = 200, body = String, content_type = "text/plain"),
        (status = 503, body = String, content_type = "text/plain")))]
async fn startupz(State(api): State<Api>) -> Response {
    match api.backend.started() {
        true => "ok\n".into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, "starting\n").into_response(),
    }
}

/// All metrics (OpenMetrics 1.0).
#[utoipa::path(get, path = "/metrics", tag = "probes",
    responses((status = 200, body = String,
        content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8")))]
async fn metrics(State(api): State<Api>) -> Response {
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], api.backend.render_metrics()).into_response()
}

/// What runs here.
#[derive(Debug, Serialize, ToSchema)]
struct Version {
    /// `wardmesh-aggregator`.
    name: &'static str,
    /// The software's version.
    version: &'static str,
    /// What its `apply` does: all nodes must support a command's.
    apply_version: u16,
    /// The API's version, as in its paths.
    api: &'static str,
}

/// What runs here.
#[utoipa::path(get, path = "/version", tag = "probes", responses((status = 200, body = Version)))]
async fn version() -> Json<Version> {
    Json(Version {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        apply_version: APPLY_VERSION,
        api: "v1",
    })
}
