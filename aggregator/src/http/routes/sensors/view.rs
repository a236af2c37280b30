//! A sensor as the API shows it.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::http::form::{hex, time, time_of};
use crate::http::silence::Now;
use crate::state::receipt::Watermark;
use crate::state::sensors::{Fork, Sensor};

/// A capture agent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Sensor)]
pub(super) struct SensorView {
    /// Its UUID.
    id: String,
    /// Where it stands.
    site: String,
    /// Its name for people.
    name: String,
    /// `online`, `silent` (not heard for five minutes), `enrolled` (never heard), `revoked` or
    /// `unknown` (this node has not heard the leader for five minutes).
    state: &'static str,
    /// Its software version at the last hello.
    version: String,
    /// When it was enrolled.
    enrolled_at: String,
    /// When it was revoked.
    revoked_at: Option<String>,
    /// Its interfaces and files, in the order in which they were learned.
    interfaces: Vec<String>,
    /// The earliest event, by its own clock.
    first_event: Option<String>,
    /// The latest event, by its own clock.
    last_event: Option<String>,
    /// When a batch of it was last applied.
    last_received: Option<String>,
    /// Batches applied.
    batches: u64,
    /// Events applied, merged ones included.
    events: u64,
    /// Batches that came again and were not applied again.
    duplicates: u64,
    /// Events that another sensor of the site had seen already.
    merged: u64,
    /// Events that name neither a station nor an address.
    unattributed: u64,
    /// Events lost with batches that were passed over.
    lost_events: u64,
    /// Batches refused, by reason.
    rejected: BTreeMap<String, u64>,
    /// Frames and events that it could not take, all reasons together.
    dropped: u64,
    /// Messages that it could not read, all protocols and reasons together.
    malformed: u64,
    /// Its health counters, summed.
    health: BTreeMap<String, u64>,
    /// The leader's clock minus its own at the last batch, transit included, milliseconds.
    clock_offset_ms: i64,
    /// Events whose time lay beyond the leader's and was set to it.
    time_suspects: u64,
    /// Signs that an older image of its disk or memory was restored.
    forked: Option<ForkView>,
}

/// Signs that an older image was restored: a hello that knows less than was applied, or a batch in the
/// place of another.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Fork)]
pub(super) struct ForkView {
    /// The start, of the latest one: 16 hexadecimal digits.
    epoch: String,
    /// The place in the lane, of the latest one.
    seq: u64,
    /// When the first one came.
    first_at: String,
    /// When the latest one came.
    last_at: String,
    /// How many there were.
    count: u64,
    /// The first such batch.
    evidence: Option<String>,
}

impl SensorView {
    pub(super) fn of(sensor: &Sensor, now: Now) -> Self {
        Self {
            id: sensor.id.to_string(),
            site: sensor.site.to_string(),
            name: sensor.name.clone(),
            state: now.state_of(sensor),
            version: sensor.version.clone(),
            enrolled_at: time(sensor.enrolled_at),
            revoked_at: time_of(sensor.revoked_at),
            interfaces: sensor.interfaces.clone(),
            first_event: time_of(sensor.first_event),
            last_event: time_of(sensor.last_event),
            last_received: time_of(sensor.last_received),
            batches: sensor.batches,
            events: sensor.events,
            duplicates: sensor.duplicates,
            merged: sensor.merged,
            unattributed: sensor.unattributed,
            lost_events: sensor.lost_events,
            rejected: sensor.rejected.clone(),
            dropped: sensor.dropped(),
            malformed: sensor.malformed(),
            health: sensor.health.clone(),
            clock_offset_ms: sensor.clock_offset / 1_000_000,
            time_suspects: sensor.time_suspects,
            forked: sensor.forked.as_ref().map(ForkView::of),
        }
    }
}

impl ForkView {
    fn of(fork: &Fork) -> Self {
        Self {
            epoch: hex(fork.epoch),
            seq: fork.seq,
            first_at: time(fork.first_at),
            last_at: time(fork.last_at),
            count: fork.count,
            evidence: fork.evidence.map(|at| at.to_string()),
        }
    }
}

/// How far one lane of one epoch has been applied.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Watermark)]
pub(super) struct WatermarkView {
    /// The start: 16 hexadecimal digits.
    epoch: String,
    /// `urgent` or `bulk`.
    lane: &'static str,
    /// The last sequence number that is applied with all before it; 0 before the first.
    contiguous_seq: u64,
    /// Events applied in this lane of this epoch.
    count: u64,
    /// The chain hash there: 16 hexadecimal digits.
    chain: String,
}

impl WatermarkView {
    pub(super) fn of(mark: &Watermark) -> Self {
        Self {
            epoch: hex(mark.epoch),
            lane: mark.lane.as_str(),
            contiguous_seq: mark.seq,
            count: mark.events,
            chain: hex(mark.chains.last().copied().unwrap_or_default()),
        }
    }
}
