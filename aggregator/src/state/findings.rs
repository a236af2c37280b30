//! What rules raise: one row a cause, whatever the number of events behind it, and what people make
//! of it.
//!
//! A revision changes with what somebody decides by: what the finding says, and what people decided.
//! What a rule merely counts on (how often, until when, which events) leaves it as it is, so that who
//! has read a finding can deal with it although its cause goes on.

use std::collections::BTreeMap;

use wardmesh_common::id::{DeviceId, FindingId, SiteId, TenantId};
use wardmesh_common::time::Timestamp;

use super::record::{coded, record, words};
use super::table::Entity;
pub use crate::correlate::{EventRef, Severity};

/// Findings kept: past it new causes are only counted (`State::findings_refused`).
pub const FINDINGS_MAX: usize = 65_536;

/// Bytes of a note that are kept: a paragraph.
pub const NOTE_LENGTH_MAX: usize = 2_000;

/// Bytes of an assignee's name that are kept.
pub const ASSIGNEE_LENGTH_MAX: usize = 128;

record!(EventRef { index, ordinal, position });
coded!(Severity);

/// What has become of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Nobody has dealt with it.
    Open,
    /// Somebody has seen it.
    Ack,
    /// Somebody is dealing with it.
    InProgress,
    /// It is no matter, and stays so whatever comes: it is counted on, and never opened again.
    Suppressed,
    /// It is dealt with; it is opened again as soon as there is more of it.
    Resolved,
}

words!(Status {
    Open => "open",
    Ack => "ack",
    InProgress => "in_progress",
    Suppressed => "suppressed",
    Resolved => "resolved",
});

impl Status {
    /// Its place in [`ALL`](Self::ALL), the form in commands.
    #[must_use]
    pub fn code(self) -> u8 {
        Self::ALL.iter().position(|known| *known == self).unwrap_or_default() as u8
    }

    /// The status of a [`code`](Self::code).
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// Whether somebody has yet to do something: neither resolved nor suppressed.
    #[must_use]
    pub const fn is_pending(self) -> bool {
        matches!(self, Self::Open | Self::Ack | Self::InProgress)
    }
}

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
    /// Counts from 1 with each change of what it says and each decision about it.
    pub revision: u64,
    /// Who sees to it; empty for nobody.
    pub assignee: String,
    /// What people say of it.
    pub note: String,
    /// Who changed it last; empty where nobody has.
    pub updated_by: String,
    /// The leader's time when somebody changed it last.
    pub updated_at: Option<Timestamp>,
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
    revision,
    assignee,
    note,
    updated_by,
    updated_at,
});

impl Entity for Finding {
    type Key = (TenantId, FindingId);
    const KIND: u8 = 4;

    fn key(&self) -> Self::Key {
        (self.cause.tenant.clone(), self.id)
    }
}
