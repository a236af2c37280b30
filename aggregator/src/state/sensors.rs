//! The registry of sensors: where each stands, how far it came, and what it could not see.

use std::collections::BTreeMap;
use std::time::Duration;

use wardmesh_common::id::{SensorId, SiteId, TenantId};
use wardmesh_common::time::Timestamp;
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::message::Reason;

use super::dedup::Epochs;
use super::findings::EventRef;
use super::record::record;
use super::table::Entity;
pub use crate::correlate::{ClockFault, Clones, Fork};

/// Interfaces named for one sensor: a host has few; a replay names one a file. Those past it share
/// the number `u16::MAX`.
pub const INTERFACES_MAX: usize = 64;

/// Health counters kept for one sensor: one a protocol and reason; those past it are summed as
/// `other`.
pub const HEALTH_COUNTERS_MAX: usize = 256;

/// Reasons of refusal kept for one sensor; those past it are summed as `other`.
pub const REASONS_MAX: usize = 32;

/// Bytes of a name, version or reason that are kept.
pub const TEXT_LENGTH_MAX: usize = 128;

/// A sensor's clock that differs by less from the cluster's is right: transit and a stalled line are in
/// the difference.
pub const CLOCK_OFF_MAX: Duration = Duration::from_secs(60);

/// A clock that differs for so long is wrong.
pub const CLOCK_OFF_FOR: Duration = Duration::from_secs(60);

/// A capture agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sensor {
    /// Its UUID: names it in its certificate and is unique over all tenants.
    pub id: SensorId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Where it stands.
    pub site: SiteId,
    /// Its name for people.
    pub name: String,
    /// The leader's time when it was enrolled.
    pub enrolled_at: Timestamp,
    /// The leader's time when it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Its software version at the last hello.
    pub version: String,
    /// Its interfaces and files, in the order in which they were learned.
    pub interfaces: Vec<String>,
    /// Its starts and how far each has been applied.
    pub epochs: Epochs,
    /// The earliest event (event time).
    pub first_event: Option<Timestamp>,
    /// The latest event (event time).
    pub last_event: Option<Timestamp>,
    /// The leader's time when a batch of it was last applied.
    pub last_received: Option<Timestamp>,
    /// Batches applied.
    pub batches: u64,
    /// Events applied, merged ones included.
    pub events: u64,
    /// Batches that came again and were not applied again.
    pub duplicates: u64,
    /// Events that another sensor of the site had seen already.
    pub merged: u64,
    /// Events that name neither a station nor an address.
    pub unattributed: u64,
    /// Batches refused, by reason (`Reason::as_str`, or a `Skip`'s).
    pub rejected: BTreeMap<String, u64>,
    /// Events lost with batches that were passed over.
    pub lost_events: u64,
    /// Sums of the counters of its health events: `dropped.…`, `malformed.…`, `frames`.
    pub health: BTreeMap<String, u64>,
    /// The leader's clock minus the sensor's at the last batch, nanoseconds, transit included.
    pub clock_offset: i64,
    /// Events whose time lay beyond the leader's and was set to it.
    pub time_suspects: u64,
    /// Signs that an older image of it was restored.
    pub forked: Option<Fork>,
    /// Signs that it runs twice.
    pub cloned: Option<Clones>,
    /// Since when its clock has been off by more than [`CLOCK_OFF_MAX`], by the leader's time.
    pub clock_off_since: Option<Timestamp>,
    /// When its clock was off for longer than [`CLOCK_OFF_FOR`].
    pub clock_fault: Option<ClockFault>,
}

record!(Sensor {
    id,
    tenant,
    site,
    name,
    enrolled_at,
    revoked_at,
    version,
    interfaces,
    epochs,
    first_event,
    last_event,
    last_received,
    batches,
    events,
    duplicates,
    merged,
    unattributed,
    rejected,
    lost_events,
    health,
    clock_offset,
    time_suspects,
    forked,
    cloned,
    clock_off_since,
    clock_fault,
});
record!(ClockFault { first_at, last_at, count, offset, off });

record!(Fork { epoch, seq, first_at, last_at, count, evidence });
record!(Clones { older, newer, first_at, last_at, count, speaking, evidence });

impl Entity for Sensor {
    type Key = SensorId;
    const KIND: u8 = 3;

    fn key(&self) -> SensorId {
        self.id
    }
}

impl Sensor {
    /// Why its batches are not taken, if they are not.
    #[must_use]
    pub fn inadmissible(&self) -> Option<Reason> {
        self.revoked_at.map(|_| Reason::Revoked)
    }

    /// Health counters that begin with `dropped.`, summed.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.health_sum("dropped.")
    }

    /// Health counters that begin with `malformed.`, summed.
    #[must_use]
    pub fn malformed(&self) -> u64 {
        self.health_sum("malformed.")
    }

    fn health_sum(&self, prefix: &str) -> u64 {
        let counters = self.health.iter().filter(|(name, _)| name.starts_with(prefix));
        counters.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// Notes a sign that an older image was restored, at a place of a start. The same hello again is no
    /// new one: a sensor repeats it until it has sorted its spool.
    pub(super) fn note_fork(
        &mut self,
        (epoch, seq): (u64, u64),
        at: Timestamp,
        evidence: Option<EventRef>,
    ) {
        let known = self.forked.is_some_and(|fork| (fork.epoch, fork.seq) == (epoch, seq));
        if known && evidence.is_none() {
            return;
        }
        let (first_at, last_at) = (at, at);
        let fork =
            self.forked.get_or_insert(Fork { epoch, seq, first_at, last_at, count: 0, evidence });
        (fork.epoch, fork.seq) = (epoch, seq);
        fork.evidence = fork.evidence.or(evidence);
        fork.last_at = at;
        fork.count = fork.count.saturating_add(1);
    }

    /// Notes that a batch of a start is applied: two starts that go on beside each other are a clone.
    /// Counts how often the older one spoke again after the newer.
    pub(super) fn note_speech(
        &mut self,
        (epoch, lane, seq): (u64, Lane, u64),
        at: Timestamp,
        evidence: EventRef,
    ) {
        let newest = self.epochs.newest;
        if !self.epochs.outlives(epoch, lane, seq) {
            if let Some(clones) = self.cloned.as_mut().filter(|_| epoch == newest) {
                clones.speaking = epoch;
            }
            return;
        }
        if self.cloned.as_ref().is_some_and(|clones| clones.speaking == epoch) {
            return;
        }
        let remote = |epoch| self.epochs.find(epoch).map(|known| known.remote.clone());
        let place = |epoch| (epoch, remote(epoch).unwrap_or_default());
        let (older, newer) = (place(epoch), place(newest));
        let (first_at, count, evidence) = match &self.cloned {
            Some(known) => (known.first_at, known.count, known.evidence),
            None => (at, 0, evidence),
        };
        let count = count.saturating_add(1);
        self.cloned =
            Some(Clones { older, newer, first_at, last_at: at, count, speaking: epoch, evidence });
    }

    /// Notes what the difference of the clocks was, of a batch that is applied at `at`.
    pub(super) fn note_clock(&mut self, offset: i64, at: Timestamp) {
        self.clock_offset = offset;
        let off = u128::from(offset.unsigned_abs()) > CLOCK_OFF_MAX.as_nanos();
        self.clock_off_since = off.then(|| self.clock_off_since.unwrap_or(at));
        let wrong = self.clock_off_since.is_some_and(|since| at.since(since) >= CLOCK_OFF_FOR);
        if wrong || !off {
            // The cluster's clock minus the sensor's, and the finding has it the other way round.
            let offset = offset.saturating_neg();
            self.clock_fault = ClockFault::follow(self.clock_fault, at, offset, wrong);
        }
    }

    pub(super) fn reject(&mut self, reason: &str) {
        add(&mut self.rejected, reason, 1, REASONS_MAX);
    }

    pub(super) fn count_health(&mut self, name: &str, count: u64) {
        add(&mut self.health, name, count, HEALTH_COUNTERS_MAX);
    }

    /// The number of an interface that was learned.
    pub(super) fn known_interface(&self, name: &str) -> Option<u16> {
        let name = clipped(name);
        let at = self.interfaces.iter().position(|known| known == name)?;
        u16::try_from(at).ok()
    }

    /// The number of an interface, learned where it is new.
    pub(super) fn interface(&mut self, name: &str) -> u16 {
        if let Some(known) = self.known_interface(name) {
            return known;
        }
        if self.interfaces.len() >= INTERFACES_MAX {
            return u16::MAX;
        }
        self.interfaces.push(clipped(name).to_owned());
        (self.interfaces.len() - 1) as u16
    }
}

fn add(counts: &mut BTreeMap<String, u64>, name: &str, count: u64, limit: usize) {
    let mut name = clipped(name);
    if let Some(sum) = counts.get_mut(name) {
        *sum = sum.saturating_add(count);
        return;
    }
    if counts.len() >= limit {
        name = "other";
    }
    let sum = counts.entry(name.to_owned()).or_default();
    *sum = sum.saturating_add(count);
}

/// The part of a text that is kept.
pub(super) fn clipped(text: &str) -> &str {
    clipped_to(text, TEXT_LENGTH_MAX)
}

/// The first bytes of a text, whole characters.
pub(super) fn clipped_to(text: &str, length_max: usize) -> &str {
    text.get(..text.floor_char_boundary(length_max)).unwrap_or_default()
}
