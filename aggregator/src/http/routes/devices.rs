//! `/devices`: the inventory in the order of discovery, and why it says what it says.

use std::net::IpAddr;

use axum::extract::{Path, State};
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wardmesh_common::id::{DeviceId, MintedId, SiteId, TenantId};
use wardmesh_common::net::MacAddress;
use wardmesh_common::time::Timestamp;

use crate::facets::{Facet, Facets};
use crate::http::Api;
use crate::http::backend::{Consistency, Reading};
use crate::http::fresh::ReadParameters;
use crate::http::page::{LIMIT_MAX, List, Page, PageParameters, Paging, Rows, take};
use crate::http::problem::{Problem, ProblemBody};
use crate::http::query::{Asked, Parameters};
use crate::state::State as Replicated;
use crate::state::devices::Device;

mod row;
mod view;

use row::{DeviceRow, ROW_LENGTH_MAX};
use view::{DeviceDetail, EvidenceView};

/// Devices looked at for one page: a few milliseconds, during which the state is not changed. Filters
/// that few match together give short pages.
const LOOKS_MAX: usize = 10_000;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one)).routes(routes!(evidence))
}

/// Which devices are asked for: one of each kind that is named must match.
struct Filter<'a> {
    sites: Vec<SiteId>,
    classes: Vec<&'a str>,
    vendors: Vec<&'a str>,
    macs: Vec<MacAddress>,
    ips: Vec<IpAddr>,
    seen_since: Option<Timestamp>,
}

const FILTERS: &[&str] = &["site", "class", "vendor", "mac", "ip", "seen_since"];

impl<'a> Filter<'a> {
    fn read(parameters: &Parameters<'a>, now: Timestamp) -> Result<Self, Problem> {
        Ok(Self {
            sites: parameters.all_read("site")?,
            classes: parameters.all("class").collect(),
            vendors: parameters.all("vendor").collect(),
            macs: parameters.all_read("mac")?,
            ips: parameters.all_read("ip")?,
            seen_since: parameters.time("seen_since", now)?,
        })
    }

    fn matches(&self, device: &Device) -> bool {
        let any = |wanted: &[&str], value: Option<&str>| {
            let same =
                |wanted: &&str| value.is_some_and(|value| value.eq_ignore_ascii_case(wanted));
            wanted.is_empty() || wanted.iter().any(same)
        };
        self.seen_since.is_none_or(|since| device.last_seen >= since)
            && (self.sites.is_empty() || self.sites.iter().any(|site| device.is_at(site)))
            && (self.macs.is_empty() || device.mac().is_some_and(|mac| self.macs.contains(&mac)))
            && (self.ips.is_empty() || self.ips.iter().any(|ip| device.has_ip(*ip)))
            && any(&self.classes, device.class().map(|class| class.value.as_str()))
            && any(&self.vendors, device.vendor().map(|vendor| vendor.value.as_str()))
    }

    /// What has to be among a device's facets: one of each group.
    fn groups(&self) -> Vec<Vec<Facet>> {
        let words = |words: &[&str], facet: fn(String) -> Facet| -> Vec<Facet> {
            words.iter().map(|word| facet((*word).to_owned())).collect()
        };
        let groups = [
            self.sites.iter().cloned().map(Facet::Site).collect(),
            words(&self.classes, Facet::Class),
            words(&self.vendors, Facet::Vendor),
            self.macs.iter().copied().map(Facet::Mac).collect(),
            self.ips.iter().copied().map(Facet::Ip).collect(),
        ];
        groups.into_iter().filter(|group| !group.is_empty()).collect()
    }

    /// Writes the rows of a page; returns the key of the last device looked at, where there is more.
    fn take(
        &self,
        (state, facets): (&Replicated, Option<&Facets>),
        tenant: &TenantId,
        after: Option<DeviceId>,
        (limit, rows): (usize, &mut Rows),
    ) -> Option<Vec<u8>> {
        let (bounds, matches) = ((limit, LOOKS_MAX), |device: &Device| self.matches(device));
        let view = |device: &Device| rows.push(&DeviceRow::of(device));
        let narrowed =
            facets.and_then(|facets| facets.narrowed(state, tenant, &self.groups(), after));
        let Some(ids) = narrowed else {
            return take(state.devices(tenant, after), bounds, key, matches, view).last;
        };
        let devices = ids.filter_map(|id| state.device(tenant, id));
        take(devices, bounds, key, matches, view).last
    }
}

fn key(device: &Device) -> Vec<u8> {
    device.id.0.0.to_be_bytes().to_vec()
}

/// All devices in the order of discovery.
#[utoipa::path(get, path = "/devices", tag = "devices",
    params(
        ("site" = Option<Vec<String>>, Query, description = "Seen at one of these sites."),
        ("class" = Option<Vec<String>>, Query, description = "Of one of these classes."),
        ("vendor" = Option<Vec<String>>, Query, description = "By one of these vendors, in any case."),
        ("mac" = Option<Vec<String>>, Query, description = "With one of these MAC addresses."),
        ("ip" = Option<Vec<String>>, Query, description = "Seen under one of these IP addresses."),
        ("seen_since" = Option<String>, Query,
            description = "Seen then or later: RFC 3339, or a span before now such as `-24h`."),
        PageParameters, ReadParameters),
    responses((status = 200, body = List<DeviceRow>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn list(State(api): State<Api>, asked: Asked) -> Result<Response, Problem> {
    let parameters = asked.list(FILTERS)?;
    let paging = Paging::read(&asked, &parameters)?;
    let after =
        paging.after(|key| Some(DeviceId(MintedId(u128::from_be_bytes(key.try_into().ok()?)))))?;
    let fresh = api.freshen(&parameters, Consistency::Leader).await?;
    let state = api.backend.state();
    let tenant = &asked.principal.tenant;
    let mut filter = Filter::read(&parameters, state.at())?;
    filter.seen_since = paging.cursor.as_ref().map_or(filter.seen_since, |cursor| cursor.since);
    let mut rows = Rows::with_room(paging.limit * ROW_LENGTH_MAX);
    let replicated: &Replicated = &state;
    let stands = (replicated, api.backend.facets());
    let last = filter.take(stands, tenant, after, (paging.limit, &mut rows));
    let page = paging.page(last, filter.seen_since, None);
    let meta = fresh.meta(&state, tenant);
    // What follows needs no state.
    drop(state);
    fresh.list_of(&asked, rows, &page, &meta)
}

/// One device, with where it was and what it spoke.
#[utoipa::path(get, path = "/devices/{id}", tag = "devices",
    params(("id" = String, Path, description = "Its id."), ReadParameters),
    responses((status = 200, body = DeviceDetail),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn one(
    State(api): State<Api>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Problem> {
    let fresh = api.freshen(&asked.read(&[])?, Consistency::Leader).await?;
    let state = api.backend.state();
    let view = DeviceDetail::of(find(&state, &asked, &id)?);
    Ok(fresh.one(state.applied(), view))
}

/// Why a device is shown as it is: all that was said of it, the weightiest of each field first.
#[utoipa::path(get, path = "/devices/{id}/evidence", tag = "devices",
    params(("id" = String, Path, description = "The device's id."), ReadParameters),
    responses((status = 200, body = List<EvidenceView>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn evidence(
    State(api): State<Api>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Problem> {
    let fresh = api.freshen(&asked.read(&[])?, Consistency::Leader).await?;
    let state = api.backend.state();
    let views = EvidenceView::all_of(find(&state, &asked, &id)?);
    let page = Page { next: None, limit: LIMIT_MAX };
    Ok(fresh.list(&asked, views, page, fresh.meta(&state, &asked.principal.tenant)))
}

fn find<'a>(state: &'a Reading<'_>, asked: &Asked, id: &str) -> Result<&'a Device, Problem> {
    let read = id.parse::<DeviceId>().map_err(|cause| Problem::parameter("id", cause))?;
    let device = state.device(&asked.principal.tenant, read);
    device.ok_or_else(|| Problem::no_such("device", read))
}
