//! What rules raise: one row a cause, whatever the number of events behind it.

use std::collections::BTreeMap;

use wardmesh_common::id::{DeviceId, FindingId, SiteId, TenantId};
use wardmesh_common::time::Timestamp;

use super::record::{coded, record, words};
use super::table::Entity;
pub use crate::correlate::{EventRef, Severity};

/// Findings kept: past it new causes are only counted (`State::findings_refused`).
pub const FINDINGS_MAX: usize = 65_536;

record!(EventRef { index, ordinal, position });
coded!(Severity);

/// What has become of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Nobody has dealt with it.
    Open,
}

words!(Status { Open => "open" });

/// What makes two findings the same one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cause {
    /// Whose it is.
    pub tenant: TenantId,
    /// The kind of cause: `same-identity`.
    pub kind: String,
    /// What it is about: a MAC address, a sensor.
    pub subject: String,
}

record!(Cause { tenant, kind, subject });

/// What a rule raised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its id.
    pub id: FindingId,
    /// What makes it the same one when the rule speaks again.
    pub cause: Cause,
    /// The rule, which may change as evidence arrives: `identity-moved`, then `identity-concurrent`.
    pub rule: String,
    /// How grave it is.
    pub severity: Severity,
    /// What has become of it.
    pub status: Status,
    /// One sentence for people.
    pub title: String,
    /// The sites concerned, sorted.
    pub sites: Vec<SiteId>,
    /// The devices concerned, sorted.
    pub devices: Vec<DeviceId>,
    /// How often it happened; the rule says what it counts.
    pub count: u64,
    /// The earliest event behind it (event time).
    pub first_seen: Timestamp,
    /// The latest event behind it (event time).
    pub last_seen: Timestamp,
    /// The leader's time when it was raised.
    pub raised_at: Timestamp,
    /// The leader's time when what it says last changed.
    pub changed_at: Timestamp,
    /// Events that show it, at most `correlate::REFERENCES_MAX`, in log order.
    pub evidence: Vec<EventRef>,
    /// More of what the rule knows, by name.
    pub detail: BTreeMap<String, String>,
}

record!(Finding {
    id,
    cause,
    rule,
    severity,
    status,
    title,
    sites,
    devices,
    count,
    first_seen,
    last_seen,
    raised_at,
    changed_at,
    evidence,
    detail,
});

impl Entity for Finding {
    type Key = (TenantId, FindingId);
    const KIND: u8 = 4;

    fn key(&self) -> Self::Key {
        (self.cause.tenant.clone(), self.id)
    }
}
