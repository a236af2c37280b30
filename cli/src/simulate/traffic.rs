//! The stream of a scenario's frames in the order of time.
//!
//! Two queues: activities still to be played, and frames of those already played. A frame leaves
//! when no activity can come before it, so that memory holds a few seconds of traffic, however long
//! the scenario.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use wardmesh_common::time::Timestamp;

use super::hospital::{Device, Hospital};
use super::rng::Rng;
use super::schedule::{CONVERSATION_MAX, Plan, plans, play};
use super::wire::Script;
use super::{Counts, Scenario};

const SECOND: u64 = 1_000_000_000;
/// Devices begin within so many nanoseconds, lest all of them ask for a lease at once.
const ARRIVALS: u64 = 6 * SECOND;

/// An activity to come. Ordered by time, then by device and plan, so that no order is left to
/// chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: u64,
    device: u32,
    plan: u32,
    occurrence: u32,
}

/// A frame to come: time, serial number, bytes.
type Queued = Reverse<(u64, u64, Vec<u8>)>;

/// A scenario's frames, each with its time; never earlier than the one before.
pub struct Traffic {
    hospital: Hospital,
    start: u64,
    length: u64,
    rate: u64,
    due: BinaryHeap<Reverse<Due>>,
    frames: BinaryHeap<Queued>,
    ports: Vec<u32>,
    written: u64,
}

impl Traffic {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let hospital = Hospital::new(&scenario.site, scenario.seed, scenario.devices);
        let mut traffic = Self {
            start: scenario.start.as_nanos(),
            length: u64::from(scenario.minutes) * 60 * SECOND,
            rate: u64::from(scenario.rate_per_mille),
            due: BinaryHeap::new(),
            frames: BinaryHeap::new(),
            ports: vec![0; hospital.devices.len()],
            written: 0,
            hospital,
        };
        for device in &traffic.hospital.devices {
            let arrival = traffic.chance(device, u32::MAX, 0).below(ARRIVALS);
            for (number, Plan(_, after, _)) in (0..).zip(plans(device.role)) {
                let at = traffic.stay(device).0 + arrival + after * SECOND;
                let due = Due { at, device: device.ordinal, plan: number, occurrence: 0 };
                traffic.due.push(Reverse(due));
            }
        }
        traffic
    }

    /// How many devices the site has, its visitors included.
    pub(super) fn counts(&self) -> Counts {
        Counts { devices: self.hospital.devices.len(), frames: self.written }
    }

    /// When a device may begin conversations: from, until, nanoseconds since the epoch.
    fn stay(&self, device: &Device) -> (u64, u64) {
        let share = |per_mille: u32| self.start + self.length / 1_000 * u64::from(per_mille);
        (share(device.stay.0), share(device.stay.1).saturating_sub(CONVERSATION_MAX))
    }

    fn chance(&self, device: &Device, plan: u32, occurrence: u32) -> Rng {
        let [site, seed] = self.hospital.key();
        let what = u64::from(plan) << 32 | u64::from(occurrence);
        Rng::keyed(&[site, seed, u64::from(device.ordinal), what])
    }

    /// Plays an activity and puts down when the device does it again.
    fn advance(&mut self, due: Due) {
        let Some(device) = self.hospital.devices.get(due.device as usize) else { return };
        let Some(Plan(activity, _, every)) = plans(device.role).get(due.plan as usize) else {
            return;
        };
        if due.at >= self.stay(device).1 {
            return;
        }
        let mut chance = self.chance(device, due.plan, due.occurrence);
        let next = self.again(&due, *every, &mut chance);
        let mut script = Script::new(due.at, chance, &mut self.ports);
        play(*activity, &mut script, &self.hospital, device);
        for (at, bytes) in script.frames {
            self.frames.push(Reverse((at, self.written, bytes)));
            self.written += 1;
        }
        self.due.extend(next.map(Reverse));
    }

    /// The next time: the plan's interval by the rate, give or take a tenth.
    fn again(&self, due: &Due, every: u64, chance: &mut Rng) -> Option<Due> {
        let interval = every * SECOND * 1_000 / self.rate;
        let wait = chance.between(interval - interval / 10, interval + interval / 10);
        let next = Due { at: due.at + wait.max(1), occurrence: due.occurrence + 1, ..*due };
        (every > 0).then_some(next)
    }
}

impl Iterator for Traffic {
    type Item = (Timestamp, Vec<u8>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let next_activity = self.due.peek().map(|Reverse(due)| due.at);
            let next_frame = self.frames.peek().map(|Reverse((at, ..))| *at);
            match (next_frame, next_activity) {
                (Some(frame), activity) if activity.is_none_or(|activity| frame <= activity) => {
                    let Reverse((at, _, bytes)) = self.frames.pop()?;
                    return Some((Timestamp::from_nanos(at), bytes));
                }
                (_, Some(_)) => {
                    let Reverse(due) = self.due.pop()?;
                    self.advance(due);
                }
                (_, None) => return None,
            }
        }
    }
}
