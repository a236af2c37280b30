//! `/sensors`: the capture agents, what each could not see, and how far each has been applied.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wardmesh_common::id::{SensorId, SiteId};

use crate::http::Api;
use crate::http::backend::{Consistency, Reading};
use crate::http::body::Body;
use crate::http::fresh::{ReadParameters, applied_at};
use crate::http::page::{LIMIT_MAX, List, Page, PageParameters, Paging, take};
use crate::http::problem::{Problem, ProblemBody};
use crate::http::query::Asked;
use crate::http::silence::STATES;
use crate::state::command::{Action, Enrol};
use crate::state::sensors::Sensor;

mod view;

use view::{SensorView, WatermarkView};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list, enrol))
        .routes(routes!(one))
        .routes(routes!(watermark))
        .routes(routes!(revoke))
}

/// All sensors in the order of their ids.
#[utoipa::path(get, path = "/sensors", tag = "sensors",
    params(
        ("site" = Option<Vec<String>>, Query, description = "At one of these sites."),
        ("state" = Option<Vec<String>>, Query,
            description = "`online`, `silent`, `enrolled` (never heard), `revoked` or `unknown`."),
        PageParameters, ReadParameters),
    responses((status = 200, body = List<SensorView>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn list(State(api): State<Api>, asked: Asked) -> Result<Response, Problem> {
    let parameters = asked.list(&["site", "state"])?;
    let sites = parameters.all_read::<SiteId>("site")?;
    let states = parameters.all_of("state", &STATES)?;
    let paging = Paging::read(&asked, &parameters)?;
    let after = paging.after(|key| Some(SensorId(key.try_into().ok()?)))?;
    let fresh = api.freshen(&parameters, Consistency::Leader).await?;
    let state = api.backend.state();
    let tenant = &asked.principal.tenant;
    let now = fresh.now(&state);
    let rows = state.sensors(tenant).filter(|sensor| after.is_none_or(|after| sensor.id > after));
    let taken = take(
        rows,
        (paging.limit, usize::MAX),
        |sensor| sensor.id.0.to_vec(),
        |sensor| {
            (sites.is_empty() || sites.contains(&sensor.site))
                && (states.is_empty() || states.contains(&now.state_of(sensor)))
        },
        |sensor| SensorView::of(sensor, now),
    );
    let page = paging.page(taken.last, None, None);
    Ok(fresh.list(&asked, taken.items, page, fresh.meta(&state, tenant)))
}

/// One sensor.
#[utoipa::path(get, path = "/sensors/{id}", tag = "sensors",
    params(("id" = String, Path, description = "Its UUID."), ReadParameters),
    responses((status = 200, body = SensorView),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn one(
    State(api): State<Api>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Problem> {
    let fresh = api.freshen(&asked.read(&[])?, Consistency::Leader).await?;
    let state = api.backend.state();
    let view = SensorView::of(find(&state, &asked, &id)?, fresh.now(&state));
    Ok(fresh.one(state.applied(), view))
}

/// How far each lane of each open epoch has been applied: all up to `contiguous_seq` is, nothing
/// above it.
#[utoipa::path(get, path = "/sensors/{id}/watermark", tag = "sensors",
    params(("id" = String, Path, description = "Its UUID."), ReadParameters),
    responses((status = 200, body = List<WatermarkView>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn watermark(
    State(api): State<Api>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Problem> {
    let fresh = api.freshen(&asked.read(&[])?, Consistency::Leader).await?;
    let state = api.backend.state();
    let marks = find(&state, &asked, &id)?.epochs.watermarks();
    let views = marks.iter().map(WatermarkView::of).collect();
    let page = Page { next: None, limit: LIMIT_MAX };
    Ok(fresh.list(&asked, views, page, fresh.meta(&state, &asked.principal.tenant)))
}

fn find<'a>(state: &'a Reading<'_>, asked: &Asked, id: &str) -> Result<&'a Sensor, Problem> {
    let read = id.parse::<SensorId>().map_err(|cause| Problem::parameter("id", cause))?;
    let sensor = state.sensor(read).filter(|sensor| sensor.tenant == asked.principal.tenant);
    sensor.ok_or_else(|| Problem::no_such("sensor", read))
}

/// A sensor to admit.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSensor {
    /// The UUID in its certificate.
    #[schema(example = "6f2c0e9a-0f5b-4d31-9f0e-5b1d2c3a4e5f")]
    sensor: String,
    /// Where it stands: a site that is defined.
    #[schema(example = "st-jude")]
    site: String,
    /// Its name for people.
    #[schema(example = "core switch, room 2.17")]
    name: String,
}

/// A sensor that was admitted.
#[derive(Debug, Serialize, ToSchema)]
struct SensorEnrolled {
    /// Its UUID.
    id: String,
    /// Where it stands.
    site: String,
    /// Its name for people.
    name: String,
}

/// Admits a sensor at a site.
#[utoipa::path(post, path = "/sensors", tag = "sensors", request_body = NewSensor,
    responses((status = 201, body = SensorEnrolled),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn enrol(
    State(api): State<Api>,
    asked: Asked,
    Body(new): Body<NewSensor>,
) -> Result<Response, Problem> {
    asked.write()?;
    let sensor = new.sensor.parse().map_err(|cause| Problem::field("/sensor", cause))?;
    let site = new.site.parse().map_err(|cause| Problem::field("/site", cause))?;
    let enrol = Enrol { sensor, tenant: asked.principal.tenant, site, name: new.name };
    let index = api.propose(Action::Enrol(enrol.clone())).await?;
    let (id, site) = (sensor.to_string(), enrol.site.to_string());
    let body = axum::Json(SensorEnrolled { id, site, name: enrol.name });
    Ok(applied_at(index, (StatusCode::CREATED, body).into_response()))
}

/// A sensor that was revoked.
#[derive(Debug, Serialize, ToSchema)]
struct SensorRevoked {
    /// Its UUID.
    id: String,
    /// `revoked`.
    state: &'static str,
}

/// Stops a sensor's admission for good. What it sent stays.
#[utoipa::path(post, path = "/sensors/{id}/revoke", tag = "sensors",
    params(("id" = String, Path, description = "Its UUID.")),
    responses((status = 200, body = SensorRevoked),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn revoke(
    State(api): State<Api>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Problem> {
    api.freshen(&asked.write()?, Consistency::Leader).await?;
    let sensor = find(&api.backend.state(), &asked, &id)?.id;
    let index = api.propose(Action::Revoke(sensor)).await?;
    let body = axum::Json(SensorRevoked { id: sensor.to_string(), state: "revoked" });
    Ok(applied_at(index, body.into_response()))
}
