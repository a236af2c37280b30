//! The HTTP API: reads the agreed state, and proposes changes to it.
//!
//! The only folder that names axum. A resource is a file in `routes` and two lines in its `mod.rs`;
//! what all share (problems, paging, freshness, principals) stands here, once.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use tokio::sync::Semaphore;

mod auth;
pub mod backend;
mod body;
mod conditional;
mod docs;
mod form;
mod fresh;
mod layers;
mod openapi;
mod page;
mod problem;
mod propose;
mod query;
mod routes;
mod serve;
mod silence;
#[cfg(test)]
mod tests;
mod waiting;

pub use backend::Backend;
pub use openapi::openapi_json;
pub use serve::{CONNECTIONS_MAX, DRAIN_WITHIN, HEAD_WITHIN, serve};
pub use waiting::router as waiting_router;

use layers::{REQUESTS_MAX, RequestIds};
use problem::{Problem, kinds};

/// Scans of the event archive at once: each reads files and expands batches on a thread.
const SCANS_MAX: usize = 16;

/// What every route has.
#[derive(Clone)]
struct Api {
    backend: Arc<dyn Backend>,
    request_ids: Arc<RequestIds>,
    permits: Arc<Semaphore>,
    scans: Arc<Semaphore>,
}

impl Api {
    fn new(backend: Arc<dyn Backend>) -> Self {
        let request_ids = Arc::new(RequestIds::new());
        let permits = Arc::new(Semaphore::new(REQUESTS_MAX));
        Self { backend, request_ids, permits, scans: Arc::new(Semaphore::new(SCANS_MAX)) }
    }
}

/// The API with its documentation and probes, for the HTTP port.
pub fn router(backend: Arc<dyn Backend>) -> Router {
    let (routes, _) = openapi::described().split_for_parts();
    enclosed(Api::new(backend), routes.merge(docs::pages()))
}

/// Probes and metrics alone, for their own port.
pub fn metrics_router(backend: Arc<dyn Backend>) -> Router {
    let (routes, _) = routes::probes::routes().split_for_parts();
    enclosed(Api::new(backend), routes)
}

fn enclosed(api: Api, routes: Router<Api>) -> Router {
    routes
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(from_fn_with_state(api.clone(), auth::identify))
        .layer(from_fn_with_state(api.clone(), layers::around))
        .with_state(api)
}

async fn no_route(uri: axum::http::Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    Problem::new(&kinds::NOT_FOUND, format!("There is no route '{path}'."))
        .hint("All routes are listed in /openapi.json.")
}

async fn no_method(method: axum::http::Method, uri: axum::http::Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    let method: String = method.as_str().chars().take(20).collect();
    Problem::new(&kinds::METHOD_NOT_ALLOWED, format!("'{path}' does not take {method}."))
}
