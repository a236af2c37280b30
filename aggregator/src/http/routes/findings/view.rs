//! A finding as the API shows it.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::http::form::{time, time_of};
use crate::state::findings::Finding;

/// What a rule raised.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Finding)]
pub(super) struct FindingView {
    /// Its id.
    id: String,
    /// The rule, which may change as evidence arrives: `identity-moved`, then `identity-concurrent`.
    rule: String,
    /// `informational`, `low`, `medium`, `high` or `critical`.
    severity: &'static str,
    /// `open`, `ack`, `in_progress`, `suppressed` or `resolved`.
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
    /// Counts from 1 with each change of what it says (rule, severity, sites, devices, status) and each
    /// decision about it; what is only counted on (`count`, `last_seen`, `evidence`, `detail`) leaves it.
    revision: u64,
    /// Who sees to it.
    assignee: Option<String>,
    /// What people say of it.
    note: Option<String>,
    /// Who changed it last: `admin`, or `host` for the node's own host.
    updated_by: Option<String>,
    /// When somebody changed it last.
    updated_at: Option<String>,
}

impl FindingView {
    pub(super) fn of(finding: &Finding) -> Self {
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
            revision: finding.revision,
            assignee: said(&finding.assignee),
            note: said(&finding.note),
            updated_by: said(&finding.updated_by),
            updated_at: time_of(finding.updated_at),
        }
    }
}

fn said(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
