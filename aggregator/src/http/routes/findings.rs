//! `/findings`: what the rules raised, newest first.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wardmesh_common::id::{DeviceId, FindingId, MintedId, SiteId};

use crate::correlate::RULES;
use crate::http::Api;
use crate::http::backend::Consistency;
use crate::http::form::time;
use crate::http::fresh::ReadParameters;
use crate::http::page::{List, PageParameters, Paging, take};
use crate::http::problem::{Problem, ProblemBody};
use crate::http::query::{Asked, Parameters};
use crate::state::findings::{Finding, Severity, Status};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one))
}

/// What a rule raised.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Finding)]
struct FindingView {
    /// Its id.
    id: String,
    /// The rule, which may change as evidence arrives: `identity-moved`, then `identity-concurrent`.
    rule: String,
    /// `informational`, `low`, `medium`, `high` or `critical`.
    severity: &'static str,
    /// `open`.
    status: &'static str,
    /// One sentence for people.
    title: String,
    /// What it is about: a MAC address, a sensor.
    subject: String,
    /// The sites concerned.
    sites: Vec<String>,
    /// The devices concerned.
    devices: Vec<String>,
    /// How often it happened; the rule says what it counts.
    count: u64,
    /// The earliest event behind it.
    first_seen: String,
    /// The latest event behind it.
    last_seen: String,
    /// When it was raised.
    raised_at: String,
    /// When what it says last changed.
    changed_at: String,
    /// Events that show it, at most 32, in log order.
    evidence: Vec<String>,
    /// More of what the rule knows, by name.
    detail: BTreeMap<String, String>,
}

impl FindingView {
    fn of(finding: &Finding) -> Self {
        Self {
            id: finding.id.to_string(),
            rule: finding.rule.clone(),
            severity: finding.severity.as_str(),
            status: finding.status.as_str(),
            title: finding.title.clone(),
            subject: finding.cause.subject.clone(),
            sites: finding.sites.iter().map(ToString::to_string).collect(),
            devices: finding.devices.iter().map(ToString::to_string).collect(),
            count: finding.count,
            first_seen: time(finding.first_seen),
            last_seen: time(finding.last_seen),
            raised_at: time(finding.raised_at),
            changed_at: time(finding.changed_at),
            evidence: finding.evidence.iter().map(|at| at.to_string()).collect(),
            detail: finding.detail.clone(),
        }
    }
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

/// One finding.
#[utoipa::path(get, path = "/findings/{id}", tag = "findings",
    params(("id" = String, Path, description = "Its id."), ReadParameters),
    responses((status = 200, body = FindingView),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn one(
    State(api): State<Api>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Problem> {
    let fresh = api.freshen(&asked.read(&[])?, Consistency::Leader).await?;
    let id = id.parse::<FindingId>().map_err(|cause| Problem::parameter("id", cause))?;
    let state = api.backend.state();
    let finding = state.finding(&asked.principal.tenant, id);
    let view = finding.map(FindingView::of).ok_or_else(|| Problem::no_such("finding", id))?;
    Ok(fresh.one(state.applied(), view))
}
