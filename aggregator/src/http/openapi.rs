//! The description of this API (OpenAPI 3.1), made of the routes themselves.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;

use super::Api;
use super::routes::{RESOURCES, probes};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Wardmesh",
        description = "What is on the networks of a group of hospitals, as all nodes of the \
            aggregator agree on it. Every node answers. Lists are `{data, page, meta}` and go on by \
            `page.next`; errors are `application/problem+json` with a stable `code`. Times are \
            RFC 3339 UTC. `Wardmesh-Applied-Index`, `Wardmesh-Leader` and `Wardmesh-Last-Contact-Ms` \
            say how fresh an answer is. Without credentials only requests from the node's own host \
            are served.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
        contact()
    ),
    modifiers(&Bearer),
    security((), ("admin_token" = [])),
    tags(
        (name = "sites", description = "The facilities."),
        (name = "sensors", description = "The capture agents."),
        (name = "devices", description = "The inventory, and why it says what it says."),
        (name = "events", description = "What the sensors saw."),
        (name = "findings", description = "What the rules raised."),
        (name = "cluster", description = "The nodes."),
        (name = "probes", description = "For machines that keep the node running."),
        (name = "documentation", description = "This description.")
    )
)]
struct Description;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The admin token that `cluster init` printed."))
            .build();
        let components = description.components.get_or_insert_default();
        components.add_security_scheme("admin_token", SecurityScheme::Http(scheme));
    }
}

/// All routes with their description.
pub(super) fn described() -> OpenApiRouter<Api> {
    let resources = RESOURCES.iter().fold(OpenApiRouter::new(), |all, routes| all.merge(routes()));
    OpenApiRouter::with_openapi(Description::openapi())
        .nest("/api/v1", resources)
        .merge(probes::routes())
        .merge(probes::version_route())
        .merge(super::docs::routes())
}

/// The description as JSON; a copy of it is committed, so that each change to it is seen.
#[must_use]
pub fn openapi_json() -> String {
    let description = described().to_openapi();
    let mut text = serde_json::to_string_pretty(&description).unwrap_or_default();
    text.push('\n');
    text
}
