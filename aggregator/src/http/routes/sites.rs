//! `/sites`: the facilities in the order of their names.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wardmesh_common::id::SiteId;

use crate::http::Api;
use crate::http::backend::Consistency;
use crate::http::body::Body;
use crate::http::form::{time, time_of};
use crate::http::fresh::{ReadParameters, applied_at};
use crate::http::page::{List, PageParameters, Paging, take};
use crate::http::problem::{Problem, ProblemBody};
use crate::http::query::Asked;
use crate::http::silence::Watch;
use crate::state::command::{Action, DefineSite};
use crate::state::sites::Site;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, define))
}

/// A facility.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Site)]
struct SiteView {
    /// Its name in every URL.
    id: String,
    /// Its name for people.
    title: String,
    /// `ok`, `degraded` (a sensor is not heard), `silent` (none is), `unwatched` (there is none) or
    /// `unknown` (this node has not heard the leader for five minutes).
    health: &'static str,
    /// When it was defined.
    defined_at: String,
    /// Sensors enrolled there, revoked ones included.
    sensors: u32,
    /// Devices that were seen there.
    devices: u64,
    /// Events from there, those that a second sensor saw too counted once.
    events: u64,
    /// Events from there that a second sensor had seen already.
    merged: u64,
    /// The latest event from there, by the sensor's clock.
    last_event: Option<String>,
    /// When a batch from there was last applied.
    last_received: Option<String>,
}

impl SiteView {
    fn of(site: &Site, health: &'static str) -> Self {
        Self {
            id: site.id.to_string(),
            title: site.title.clone(),
            health,
            defined_at: time(site.defined_at),
            sensors: site.sensors,
            devices: site.devices,
            events: site.events,
            merged: site.merged,
            last_event: time_of(site.last_event),
            last_received: time_of(site.last_received),
        }
    }
}

/// All facilities in the order of their names.
#[utoipa::path(get, path = "/sites", tag = "sites", params(PageParameters, ReadParameters),
    responses((status = 200, body = List<SiteView>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn list(State(api): State<Api>, asked: Asked) -> Result<Response, Problem> {
    let parameters = asked.list(&[])?;
    let paging = Paging::read(&asked, &parameters)?;
    let fresh = api.freshen(&parameters, Consistency::Leader).await?;
    let after = paging.after(|key| str::from_utf8(key).ok()?.parse::<SiteId>().ok())?;
    let state = api.backend.state();
    let tenant = &asked.principal.tenant;
    let rows =
        state.sites(tenant).filter(|site| after.as_ref().is_none_or(|after| site.id > *after));
    let watch = Watch::of(&state, tenant, fresh.now(&state));
    let taken = take(
        rows,
        (paging.limit, usize::MAX),
        |site| site.id.as_str().as_bytes().to_vec(),
        |_| true,
        |site| SiteView::of(site, watch.health(&site.id)),
    );
    let page = paging.page(taken.last, None, None);
    Ok(fresh.list(&asked, taken.items, page, fresh.meta(&state, tenant)))
}

/// A facility to define or rename.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSite {
    /// Its name in every URL: lower-case letters, digits and inner hyphens, at most 63.
    #[schema(example = "st-jude")]
    site: String,
    /// Its name for people.
    #[schema(example = "St. Jude Hospital")]
    title: String,
}

/// A facility that was defined.
#[derive(Debug, Serialize, ToSchema)]
struct SiteDefined {
    /// Its name in every URL.
    id: String,
    /// Its name for people.
    title: String,
}

/// Defines a facility, or renames it.
#[utoipa::path(post, path = "/sites", tag = "sites", request_body = NewSite,
    responses((status = 201, body = SiteDefined),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn define(
    State(api): State<Api>,
    asked: Asked,
    Body(new): Body<NewSite>,
) -> Result<Response, Problem> {
    asked.write()?;
    let site = new.site.parse::<SiteId>().map_err(|cause| Problem::field("/site", cause))?;
    let id = site.to_string();
    let tenant = asked.principal.tenant;
    let define = DefineSite { tenant, site, title: new.title.clone() };
    let index = api.propose(Action::DefineSite(define)).await?;
    let body = axum::Json(SiteDefined { id, title: new.title });
    Ok(applied_at(index, (StatusCode::CREATED, body).into_response()))
}
