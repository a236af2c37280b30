//! Where and when a device was: per site its first and last sight, and its visits.
//!
//! By event time, so that late batches fall where they belong. Two sights within [`VISIT_GAP`] are
//! one visit whatever the order in which they arrive.

use std::time::Duration;

use wardmesh_common::id::{SensorId, SiteId};
use wardmesh_common::time::Timestamp;

use super::findings::EventRef;
use super::record::record;
pub use crate::correlate::Visit;

/// Silence that ends a visit. A device on a network is heard far more often (ARP and DHCP renewals,
/// sightings every few minutes), and nobody carries one to another facility in less.
pub const VISIT_GAP: Duration = Duration::from_secs(15 * 60);

/// Visits kept for one site; beyond it the two with the shortest gap become one.
pub const VISITS_MAX: usize = 8;

/// Sensors named for one site.
pub const SENSORS_PER_PRESENCE_MAX: usize = 16;

record!(Visit { from, to });

/// A device at one site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// The facility.
    pub site: SiteId,
    /// The earliest event there (event time).
    pub first_seen: Timestamp,
    /// The latest event there (event time).
    pub last_seen: Timestamp,
    /// Who saw it, at most [`SENSORS_PER_PRESENCE_MAX`], in the order of the log.
    pub sensors: Vec<SensorId>,
    /// Events there, those that a second sensor saw too counted once.
    pub events: u64,
    /// Events there that a second sensor of the site had seen already.
    pub merged: u64,
    /// Its stays in order of time, at most [`VISITS_MAX`]. Events whose time is suspect open none.
    pub visits: Vec<Visit>,
    /// Stays that were joined to another one because there were too many.
    pub joined: u64,
    /// The earliest event there.
    pub evidence: EventRef,
}

record!(Presence {
    site,
    first_seen,
    last_seen,
    sensors,
    events,
    merged,
    visits,
    joined,
    evidence
});

impl Presence {
    pub(super) fn new(site: &SiteId, at: Timestamp, evidence: EventRef) -> Self {
        Self {
            site: site.clone(),
            first_seen: at,
            last_seen: at,
            sensors: Vec::with_capacity(1),
            events: 0,
            merged: 0,
            visits: Vec::with_capacity(1),
            joined: 0,
            evidence,
        }
    }

    pub(super) fn see(&mut self, at: Timestamp, sensor: SensorId, evidence: EventRef) {
        if at < self.first_seen {
            (self.first_seen, self.evidence) = (at, evidence);
        }
        self.last_seen = self.last_seen.max(at);
        if self.sensors.len() < SENSORS_PER_PRESENCE_MAX && !self.sensors.contains(&sensor) {
            self.sensors.push(sensor);
        }
    }

    /// Extends the stays by one sight.
    pub(super) fn stay(&mut self, at: Timestamp) {
        if let Some(last) = self.visits.last_mut()
            && last.from <= at
            && at.since(last.to) <= VISIT_GAP
        {
            last.to = last.to.max(at);
            return;
        }
        self.visits.push(Visit { from: at, to: at });
        self.visits.sort_unstable();
        self.visits.dedup_by(|later, earlier| {
            let one = later.from.since(earlier.to) <= VISIT_GAP;
            if one {
                earlier.to = earlier.to.max(later.to);
            }
            one
        });
        if self.visits.len() > VISITS_MAX {
            self.join_nearest();
        }
    }

    fn join_nearest(&mut self) {
        let gaps = self.visits.windows(2).enumerate();
        let gap = |pair: &[Visit]| pair[1].from.since(pair[0].to);
        if let Some((at, _)) = gaps.min_by_key(|(_, pair)| gap(pair)) {
            self.joined = self.joined.saturating_add(1);
            let later = self.visits.remove(at + 1);
            self.visits[at].to = self.visits[at].to.max(later.to);
        }
    }
}
