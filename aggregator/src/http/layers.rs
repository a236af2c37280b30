//! Around every route: a request id, limits of time and number, the body of an error, and headers.
//!
//! Nothing a request does ends the process: a panic becomes `internal` and is logged.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;

use super::Api;
use super::backend::Answered;
use super::problem::{Problem, kinds};

/// Time to answer: above the longest wait for an index and any scan of a page.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Requests being answered at once: each holds at most a page of about 1 MB.
pub(crate) const REQUESTS_MAX: usize = 256;

const REQUEST_ID: HeaderName = HeaderName::from_static("wardmesh-request-id");

/// Only what this server itself sends, without inline scripts; the API's documentation page needs
/// inline styles and images in the page.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Numbers of requests, beginning anywhere so that two starts of a node do not share them.
#[derive(Debug)]
pub(crate) struct RequestIds(AtomicU64);

impl RequestIds {
    pub(crate) fn new() -> Self {
        // Without randomness they begin at zero: they are for people and need not be secret.
        Self(AtomicU64::new(getrandom::u64().unwrap_or_default()))
    }

    fn next(&self) -> String {
        format!("req_{:016x}", self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// The outermost layer.
pub(crate) async fn around(State(api): State<Api>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = api.request_ids.next();
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    let route = request.extensions().get::<MatchedPath>().cloned();
    let answer = AssertUnwindSafe(within_limits(&api, request, next)).catch_unwind().await;
    let mut response = answer.unwrap_or_else(|_| {
        tracing::error!(request_id = id, path, "a request made its handler panic");
        Problem::new(&kinds::INTERNAL, "The node failed on this request.").into_response()
    });
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        response = rendered(&problem, response.headers(), &path, &id);
    }
    protect(response.headers_mut(), &id);
    api.backend.answered(&Answered {
        route: route.as_ref().map_or("unmatched", MatchedPath::as_str),
        method: known(&method),
        status: response.status().as_u16(),
        elapsed: began.elapsed(),
        peer,
    });
    response
}

async fn within_limits(api: &Api, request: Request, next: Next) -> Response {
    // Probes are answered however busy the node is.
    let is_probe = matches!(request.uri().path(), "/livez" | "/readyz" | "/startupz");
    let _permit = match api.permits.try_acquire() {
        Ok(permit) => Some(permit),
        Err(_) if is_probe => None,
        Err(_) => {
            let detail = format!("{REQUESTS_MAX} requests are being answered already.");
            let problem = Problem::new(&kinds::OVERLOADED, detail);
            return problem.retry_after(Duration::from_secs(1)).into_response();
        }
    };
    tokio::time::timeout(ANSWER_WITHIN, next.run(request)).await.unwrap_or_else(|_| {
        let detail = format!("No answer within {} s.", ANSWER_WITHIN.as_secs());
        Problem::new(&kinds::TIMED_OUT, detail).retry_after(Duration::from_secs(1)).into_response()
    })
}

fn rendered(problem: &Problem, before: &HeaderMap, path: &str, id: &str) -> Response {
    let mut response = problem.render(path, id);
    if let Some(allow) = before.get(header::ALLOW) {
        response.headers_mut().insert(header::ALLOW, allow.clone());
    }
    if problem.kind().status >= 500 {
        tracing::warn!(request_id = id, path, code = problem.kind().code, ?problem, "not answered");
    }
    response
}

fn protect(headers: &mut HeaderMap, id: &str) {
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
}

/// A label of few values, whatever a client invents.
fn known(method: &Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => known,
        _ => "other",
    }
}
