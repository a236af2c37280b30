//! `/events`: what the sensors saw, in log order, each event once; and one by the id that evidence
//! names.

use axum::extract::{Path, State};
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wardmesh_common::time::Timestamp;

use crate::http::Api;
use crate::http::backend::{Consistency, EventsError};
use crate::http::form::time;
use crate::http::fresh::{RETRY, ReadParameters};
use crate::http::page::{List, MissingView, PageParameters, Paging};
use crate::http::problem::{Problem, ProblemBody, kinds};
use crate::http::query::{Asked, Parameters};
use crate::store::{EventPage, EventQuery, EventRef, NotAnEventRef};

mod view;

use view::EventItem;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one))
}

/// How far back a scan goes that names no time, sensor or device: a whole fleet's history is asked
/// for on purpose or not at all.
const SPAN_DEFAULT: std::time::Duration = std::time::Duration::from_secs(86_400);

const FILTERS: &[&str] = &["device", "site", "sensor", "since", "until", "after"];

/// Events in log order: as they were agreed on, not as they were observed. Without `since`, `sensor`
/// or `device` those observed in the last 24 hours.
#[utoipa::path(get, path = "/events", tag = "events",
    params(
        ("device" = Option<String>, Query, description = "About this device."),
        ("site" = Option<String>, Query, description = "From this site."),
        ("sensor" = Option<String>, Query, description = "Seen by this sensor."),
        ("since" = Option<String>, Query,
            description = "Observed then or later: RFC 3339, or a span before now such as `-24h`."),
        ("until" = Option<String>, Query, description = "Observed before then."),
        ("after" = Option<String>, Query, description = "After the event with this id in log order."),
        PageParameters, ReadParameters),
    responses((status = 200, body = List<EventItem>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn list(State(api): State<Api>, asked: Asked) -> Result<Response, Problem> {
    let parameters = asked.list(FILTERS)?;
    let paging = Paging::read(&asked, &parameters)?;
    let fresh = api.freshen(&parameters, Consistency::Leader).await?;
    let now = api.backend.state().at();
    let query = query(&asked, &parameters, &paging, now)?;
    let (since, until) = (query.since, query.until);
    let EventPage { events, next, history_from, missing, .. } = scan(&api, query).await?;
    let state = api.backend.state();
    let mut meta = fresh.meta(&state, &asked.principal.tenant);
    (meta.since, meta.until) = (since.map(time), until.map(time));
    meta.history_from = Some(history_from);
    meta.missing = missing.map(|gap| MissingView { from: gap.from, through: gap.through });
    let page = paging.page(next.map(key), since, until);
    Ok(fresh.list(&asked, events.into_iter().map(EventItem::of).collect(), page, meta))
}

/// One event by its id, as findings and forks name it in their evidence.
#[utoipa::path(get, path = "/events/{id}", tag = "events",
    params(("id" = String, Path, description = "Its id."), ReadParameters),
    responses((status = 200, body = EventItem),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn one(
    State(api): State<Api>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Problem> {
    let parameters = asked.read(&[])?;
    let read = id.parse();
    let id: EventRef = read.map_err(|cause: NotAnEventRef| Problem::parameter("id", cause))?;
    let fresh = api.freshen(&parameters, Consistency::Leader).await?;
    let stored = api.backend.event(asked.principal.tenant.clone(), id).await;
    let stored = stored.map_err(|error| unavailable(&error))?.ok_or_else(|| {
        Problem::no_such("event", id).hint("It may be older than what this node still has.")
    })?;
    Ok(fresh.one(api.backend.state().applied(), EventItem::of(stored)))
}

fn unavailable(error: &EventsError) -> Problem {
    let EventsError::Unavailable { .. } = error;
    Problem::new(&kinds::UNAVAILABLE, format!("{error}.")).retry_after(RETRY)
}

fn query(
    asked: &Asked,
    parameters: &Parameters<'_>,
    paging: &Paging,
    now: Timestamp,
) -> Result<EventQuery, Problem> {
    let mut query = EventQuery {
        tenant: asked.principal.tenant.clone(),
        site: parameters.read("site")?,
        sensor: parameters.read("sensor")?,
        device: parameters.read("device")?,
        since: parameters.time("since", now)?,
        until: parameters.time("until", now)?,
        after: after(parameters)?,
        limit: paging.limit,
    };
    if let Some(cursor) = &paging.cursor {
        (query.since, query.until) = (cursor.since, cursor.until);
        query.after = paging.after(read_key)?;
    } else if query.since.is_none() && query.sensor.is_none() && query.device.is_none() {
        query.since = Some(query.until.unwrap_or(now).minus(SPAN_DEFAULT));
    }
    if query.until.is_some_and(|until| query.since.is_some_and(|since| until <= since)) {
        return Err(Problem::parameter("until", "it does not lie after since"));
    }
    Ok(query)
}

fn after(parameters: &Parameters<'_>) -> Result<Option<EventRef>, Problem> {
    let Some(text) = parameters.one("after")? else { return Ok(None) };
    let read = text.parse();
    read.map(Some).map_err(|cause: NotAnEventRef| Problem::parameter("after", cause))
}

async fn scan(api: &Api, query: EventQuery) -> Result<EventPage, Problem> {
    let Ok(_permit) = api.scans.try_acquire() else {
        let detail = "Too many scans of the events are running.";
        return Err(Problem::new(&kinds::OVERLOADED, detail).retry_after(RETRY));
    };
    api.backend.events(query).await.map_err(|error| unavailable(&error))
}

fn key(at: EventRef) -> Vec<u8> {
    let (index, ordinal, position) = (at.index, at.ordinal, at.position);
    [&index.to_be_bytes()[..], &ordinal.to_be_bytes(), &position.to_be_bytes()].concat()
}

fn read_key(key: &[u8]) -> Option<EventRef> {
    let (index, rest) = key.split_first_chunk::<8>()?;
    let (ordinal, rest) = rest.split_first_chunk::<4>()?;
    Some(EventRef {
        index: u64::from_be_bytes(*index),
        ordinal: u32::from_be_bytes(*ordinal),
        position: u32::from_be_bytes(rest.try_into().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back() {
        let at = EventRef { index: 412, ordinal: 0, position: 17 };
        assert_eq!(read_key(&key(at)), Some(at));
        assert_eq!(read_key(&[0; 15]), None);
    }
}
