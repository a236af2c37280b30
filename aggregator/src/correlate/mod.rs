//! The rules: what the state shows them, and what they make of it.
//!
//! A rule keeps nothing: it judges a subject as it stands, so that the order in which batches came
//! plays no part and a verdict changes when later evidence does. Pure, and below `state`.

use std::collections::BTreeMap;

use wardmesh_common::id::{DeviceId, NodeId, SensorId, SiteId};
use wardmesh_common::net::MacAddress;
use wardmesh_common::time::Timestamp;

pub mod reference;
mod rules;

pub use reference::EventRef;
pub use rules::RULES;

/// References to events that a verdict names.
pub const REFERENCES_MAX: usize = 32;

/// Judges one subject.
pub trait Rule: Sync {
    /// The kind of cause; with the verdict's subject it makes two findings the same one.
    fn cause(&self) -> &'static str;

    /// The names that its findings bear.
    fn names(&self) -> &'static [&'static str];

    /// What the subject shows; `None` where it shows nothing.
    fn judge(&self, subject: &Subject<'_>) -> Option<Verdict>;
}

/// What a rule looks at: whatever a command changed.
#[derive(Clone, Debug)]
pub enum Subject<'a> {
    /// A device.
    Device(Stays<'a>),
    /// A sensor.
    Sensor(Watch<'a>),
    /// A volume that ran full, or has room again.
    Volume(Shortage<'a>),
    /// A node's clock.
    NodeClock(NodeClock<'a>),
}

/// Where a device was.
#[derive(Clone, Debug)]
pub struct Stays<'a> {
    /// The device.
    pub device: DeviceId,
    /// Its MAC address where that joins it over sites: a universally administered one.
    pub mac: Option<MacAddress>,
    /// Its sites.
    pub stays: Vec<Stay<'a>>,
}

/// A device at one site.
#[derive(Clone, Copy, Debug)]
pub struct Stay<'a> {
    /// The facility.
    pub site: &'a SiteId,
    /// The first sight (event time).
    pub first_seen: Timestamp,
    /// The last one (event time).
    pub last_seen: Timestamp,
    /// Unbroken stays in order of time.
    pub visits: &'a [Visit],
    /// Visits more, which were joined to others because there were too many.
    pub joined: u64,
    /// The first sight in the log.
    pub evidence: EventRef,
}

/// An unbroken stay, by event time, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Visit {
    /// The first sight.
    pub from: Timestamp,
    /// The last one.
    pub to: Timestamp,
}

/// A sensor as rules see it.
#[derive(Clone, Copy, Debug)]
pub struct Watch<'a> {
    /// The sensor.
    pub sensor: SensorId,
    /// Its name for people.
    pub name: &'a str,
    /// Where it stands.
    pub site: &'a SiteId,
    /// Signs that an older image of it was restored.
    pub forked: Option<Fork>,
    /// Signs that it runs twice.
    pub cloned: Option<&'a Clones>,
    /// When its clock was wrong.
    pub clock: Option<ClockFault>,
}

/// What a node or a sensor says of its volume, with what was said of it before.
#[derive(Clone, Debug)]
pub struct Shortage<'a> {
    /// Whether it is a node's; else a sensor's.
    pub of_node: bool,
    /// The node's or sensor's id.
    pub subject: String,
    /// Its name for people.
    pub name: &'a str,
    /// Where the sensor stands.
    pub site: Option<&'a SiteId>,
    /// The folder on a node's volume.
    pub path: Option<&'a str>,
    /// Whether it has room again.
    pub enough: bool,
    /// How often it ran full.
    pub times: u64,
    /// The leader's time of the first report.
    pub first_at: Timestamp,
    /// The leader's time of the latest report that it ran full.
    pub last_at: Timestamp,
    /// The event that said so first, where it was one.
    pub evidence: Option<EventRef>,
    /// More of what was said, by name.
    pub detail: &'a [(&'static str, String)],
}

/// A node's clock as rules see it.
#[derive(Clone, Copy, Debug)]
pub struct NodeClock<'a> {
    /// The node.
    pub node: NodeId,
    /// Its name for people.
    pub name: &'a str,
    /// When its clock was wrong.
    pub fault: ClockFault,
}

/// A clock that differed from the cluster's for longer than a step or a slow line takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockFault {
    /// The leader's time when it was found first.
    pub first_at: Timestamp,
    /// The leader's time when it was found wrong, or right again, last.
    pub last_at: Timestamp,
    /// How often it went wrong.
    pub count: u64,
    /// That clock minus the cluster's when it was found last, nanoseconds.
    pub offset: i64,
    /// Whether it is wrong now.
    pub off: bool,
}

impl ClockFault {
    /// What a finding of a clock at `at` makes of what was known; `None` while nothing was ever wrong.
    #[must_use]
    pub fn follow(known: Option<Self>, at: Timestamp, offset: i64, off: bool) -> Option<Self> {
        let first = Self { first_at: at, last_at: at, count: 0, offset, off: false };
        let known = known.or(off.then_some(first))?;
        if known.off == off {
            return Some(known);
        }
        let count = known.count.saturating_add(u64::from(off));
        let offset = if off { offset } else { known.offset };
        Some(Self { last_at: at, count, offset, off, ..known })
    }
}

/// Signs that a disk or memory image was restored: a hello of a sensor that knows less of a start than
/// was applied of it, or a batch in the place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fork {
    /// The sensor's start, of the latest one.
    pub epoch: u64,
    /// The place in the lane, of the latest one.
    pub seq: u64,
    /// The leader's time of the first one.
    pub first_at: Timestamp,
    /// The leader's time of the latest one.
    pub last_at: Timestamp,
    /// How many there were.
    pub count: u64,
    /// Where the first such batch lies in the log.
    pub evidence: Option<EventRef>,
}

/// Two starts of one sensor that go on beside each other: the older one sent what it sealed after the
/// newer one had begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clones {
    /// The older start, and where it is, `address:port`, empty where nobody told.
    pub older: (u64, String),
    /// The newer start, and where it is.
    pub newer: (u64, String),
    /// The leader's time when it was noticed.
    pub first_at: Timestamp,
    /// The leader's time when the older one spoke again after the newer last.
    pub last_at: Timestamp,
    /// How often it did.
    pub count: u64,
    /// The start that spoke last.
    pub speaking: u64,
    /// The first event that shows it.
    pub evidence: EventRef,
}

/// How grave a finding is (OCSF `severity_id`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know.
    Informational,
    /// Look at it when there is time.
    Low,
    /// Look at it this week.
    Medium,
    /// Look at it today.
    High,
    /// Look at it now.
    Critical,
}

impl Severity {
    /// All of them, the least grave first.
    pub const ALL: [Self; 5] =
        [Self::Informational, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The word in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// What a rule makes of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// One of the rule's names.
    pub rule: &'static str,
    /// What it is about: a MAC address, a sensor.
    pub subject: String,
    /// How grave it is.
    pub severity: Severity,
    /// One sentence for people.
    pub title: String,
    /// The sites concerned, sorted.
    pub sites: Vec<SiteId>,
    /// The devices concerned, sorted.
    pub devices: Vec<DeviceId>,
    /// How often it happened.
    pub count: u64,
    /// The earliest event behind it.
    pub first_seen: Timestamp,
    /// The latest event behind it.
    pub last_seen: Timestamp,
    /// Events that show it, at most [`REFERENCES_MAX`], in log order.
    pub evidence: Vec<EventRef>,
    /// More of what the rule knows, by name.
    pub detail: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_and_names_are_used_once() {
        let mut names: Vec<_> = RULES.iter().flat_map(|rule| rule.names()).collect();
        let mut causes: Vec<_> = RULES.iter().map(|rule| rule.cause()).collect();
        let counts = (names.len(), causes.len());
        names.sort_unstable();
        names.dedup();
        causes.sort_unstable();
        causes.dedup();
        assert_eq!((names.len(), causes.len()), counts);
    }
}
