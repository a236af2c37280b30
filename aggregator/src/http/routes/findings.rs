//! `/findings`: what the rules raised, newest first.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wardmesh_common::id::{DeviceId, FindingId, MintedId, SiteId, TenantId};

use crate::correlate::RULES;
use crate::http::Api;
use crate::http::backend::{Consistency, Reading};
use crate::http::conditional::Tag;
use crate::http::fresh::ReadParameters;
use crate::http::page::{List, PageParameters, Paging, take};
use crate::http::problem::{Problem, ProblemBody};
use crate::http::query::{Asked, Parameters};
use crate::state::findings::{Finding, Severity, Status};

mod change;
mod view;

use view::FindingView;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one, change::change))
}

/// Which findings are asked for: one of each kind that is named must match.
struct Filter<'a> {
    sites: Vec<SiteId>,
    devices: Vec<DeviceId>,
    rules: Vec<&'a str>,
    severities: Vec<&'a str>,
    statuses: Vec<&'a str>,
}

impl<'a> Filter<'a> {
    fn read(parameters: &Parameters<'a>) -> Result<Self, Problem> {
        let rules: Vec<_> = RULES.iter().flat_map(|rule| rule.names()).copied().collect();
        let statuses: Vec<_> = Status::ALL.iter().map(|status| status.as_str()).collect();
        Ok(Self {
            sites: parameters.all_read("site")?,
            devices: parameters.all_read("device")?,
            rules: parameters.all_of("rule", &rules)?,
            severities: parameters.all_of("severity", &Severity::ALL.map(Severity::as_str))?,
            statuses: parameters.all_of("status", &statuses)?,
        })
    }

    fn matches(&self, finding: &Finding) -> bool {
        let any = |wanted: &[&str], is: &str| wanted.is_empty() || wanted.contains(&is);
        (self.sites.is_empty() || self.sites.iter().any(|site| finding.sites.contains(site)))
            && (self.devices.is_empty()
                || self.devices.iter().any(|id| finding.devices.contains(id)))
            && any(&self.rules, &finding.rule)
            && any(&self.severities, finding.severity.as_str())
            && any(&self.statuses, finding.status.as_str())
    }
}

/// All findings, newest first.
#[utoipa::path(get, path = "/findings", tag = "findings",
    params(
        ("site" = Option<Vec<String>>, Query, description = "About one of these sites."),
        ("device" = Option<Vec<String>>, Query, description = "About one of these devices."),
        ("rule" = Option<Vec<String>>, Query, description = "By one of these rules."),
        ("severity" = Option<Vec<String>>, Query, description = "Of one of these severities."),
        ("status" = Option<Vec<String>>, Query, description = "In one of these states."),
        PageParameters, ReadParameters),
    responses((status = 200, body = List<FindingView>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn list(State(api): State<Api>, asked: Asked) -> Result<Response, Problem> {
    let parameters = asked.list(&["site", "device", "rule", "severity", "status"])?;
    let filter = Filter::read(&parameters)?;
    let paging = Paging::read(&asked, &parameters)?;
    let before =
        paging.after(|key| Some(FindingId(MintedId(u128::from_be_bytes(key.try_into().ok()?)))))?;
    let fresh = api.freshen(&parameters, Consistency::Leader).await?;
    let state = api.backend.state();
    let tenant = &asked.principal.tenant;
    let rows = state.findings(tenant, None).rev();
    let taken = take(
        rows.skip_while(|finding| before.is_some_and(|before| finding.id >= before)),
        (paging.limit, usize::MAX),
        |finding| finding.id.0.0.to_be_bytes().to_vec(),
        |finding| filter.matches(finding),
        FindingView::of,
    );
    let page = paging.page(taken.last, None, None);
    Ok(fresh.list(&asked, taken.items, page, fresh.meta(&state, tenant)))
}

/// One finding. The header `ETag` names its version.
#[utoipa::path(get, path = "/findings/{id}", tag = "findings",
    params(("id" = String, Path, description = "Its id."), ReadParameters,
        ("If-None-Match" = Option<String>, Header, description = "An ETag that the client has.")),
    responses((status = 200, body = FindingView, headers(("ETag" = String,
            description = "Another one for each change of it: `\"<revision>-<hash>\"`."))),
        (status = 304, description = "The client has this version."),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn one(
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
    asked: Asked,
) -> Result<Response, Problem> {
    let fresh = api.freshen(&asked.read(&[])?, Consistency::Leader).await?;
    let id = read_id(&id)?;
    let state = api.backend.state();
    let (view, tag) = find(&state, &asked.principal.tenant, id)?;
    Ok(tag.on(fresh.one(state.applied(), view), &headers))
}

fn read_id(id: &str) -> Result<FindingId, Problem> {
    id.parse().map_err(|cause| Problem::parameter("id", cause))
}

fn find(
    state: &Reading<'_>,
    tenant: &TenantId,
    id: FindingId,
) -> Result<(FindingView, Tag), Problem> {
    let finding = state.finding(tenant, id).zip(state.finding_hash(tenant, id));
    let (finding, hash) = finding.ok_or_else(|| Problem::no_such("finding", id))?;
    Ok((FindingView::of(finding), Tag { revision: finding.revision, hash }))
}
