//! The resources of the API: a file each, and its line below.

use utoipa_axum::router::OpenApiRouter;

use super::Api;

mod cluster;
mod devices;
mod events;
mod findings;
mod members;
pub(super) mod probes;
mod sensors;
mod sites;

/// Below `/api/v1`, in the order of the documentation.
pub(super) static RESOURCES: &[fn() -> OpenApiRouter<Api>] = &[
    sites::routes,
    sensors::routes,
    devices::routes,
    events::routes,
    findings::routes,
    cluster::routes,
    members::routes,
];
