//! Replicas agree: the same commands give the same bytes, through a snapshot or not, and the digest
//! that is kept as rows change is the one that the rows have.

use std::ops::Range;

use wardmesh_common::event::Event;
use wardmesh_common::wire::Lane;

use super::super::{STALE_DEVICES_MAX, State};
use wardmesh_common::id::TenantId;

use super::super::command::{Action, Command, OpenEpoch, Skip};
use super::super::dedup::TOMBSTONES_MAX;
use super::super::digest::DIGESTS_MAX;
use super::super::receipt::BatchReceipt;
use super::super::snapshot::SnapshotError;
use super::super::testkit::*;

fn snapshot(state: &State) -> Vec<u8> {
    let mut bytes = Vec::new();
    state.write(&mut bytes).unwrap();
    bytes
}

fn restored(state: &State) -> State {
    State::read(&mut snapshot(state).as_slice()).unwrap()
}

/// Starts that [`Chaos::age`] makes a sensor have; a hello of it holds one of them.
const OLD_STARTS: Range<u64> = 1_000..1_000 + TOMBSTONES_MAX as u64 + 20;

/// Anything that sensors of three sites could send, and much that they should not.
struct Chaos {
    dice: Dice,
    feeds: Vec<Feed>,
    sent: Vec<super::super::command::Submission>,
    epochs: u64,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let feeds = (1..=4).map(|number| Feed::new(sensor(number), u64::from(number))).collect();
        Self { dice: Dice::new(seed), feeds, sent: Vec::new(), epochs: 100 }
    }

    /// The first two sensors have started so often that some starts are among the past ones.
    fn age(&mut self, fleet: &mut Fleet) {
        for number in [1, 2] {
            for epoch in OLD_STARTS {
                fleet.open(number, epoch, &[]);
                let mut feed = Feed::new(sensor(number), epoch);
                let frame = feed.batch(&[sighting("00:03:b1:00:00:01", epoch)]);
                self.sent.push(feed.submission(frame.clone()));
                assert_eq!(fleet.submit(&feed, frame), BatchReceipt::Applied);
            }
        }
    }

    fn event(&mut self) -> Event {
        let (station, seconds) = (self.dice.roll(12), self.dice.roll(40_000));
        let prefix = if station < 9 { "00:03:b1" } else { "02:03:b1" };
        let station = format!("{prefix}:00:00:{station:02x}");
        let value = self.dice.roll(30);
        let mut event = match self.dice.roll(6) {
            0 => says(&station, seconds, &[&format!("dhcp.hostname=h{value}")]),
            1 => says(
                &station,
                seconds,
                &[
                    "dicom.role=scu",
                    &format!("dicom.abstract_syntax=1.2.840.10008.5.1.4.1.1.{value}"),
                ],
            ),
            2 => to(
                says(&station, seconds, &["dicom.role=scp", "dicom.result=accepted"]),
                "00:03:b1:00:00:01",
            ),
            3 => says(&station, seconds, &["arp.ip=10.0.0.1"]),
            _ => sighting(&station, seconds),
        };
        if self.dice.roll(3) == 0 {
            event = from_ip(event, [10, 0, 0, self.dice.roll(60) as u8]);
        }
        if self.dice.roll(9) == 0 {
            event.device.mac = None;
        }
        event
    }

    fn action(&mut self) -> Action {
        let which = self.dice.roll(4) as usize;
        match self.dice.roll(20) {
            0 => Action::Tick,
            1 => {
                self.epochs += 1;
                let (sensor, epoch) = (self.feeds[which].sensor, self.epochs);
                self.feeds[which] = Feed::new(sensor, epoch);
                let old = OLD_STARTS.start + self.dice.roll(OLD_STARTS.end - OLD_STARTS.start);
                let held = vec![epoch - 1, self.dice.roll(5), old];
                let (tenant, version) = (TenantId::default_tenant(), "1".to_owned());
                let lane = if self.dice.roll(2) == 0 { Lane::Urgent } else { Lane::Bulk };
                let tails = (0..3).map(|_| self.dice.roll(9)).collect();
                let remote = format!("192.0.2.{}:1", self.dice.roll(9));
                Action::OpenEpoch(OpenEpoch {
                    sensor,
                    tenant,
                    epoch,
                    held,
                    lane,
                    tails,
                    remote,
                    version,
                })
            }
            2 => {
                let feed = &self.feeds[which];
                let (sensor, epoch, reason) = (feed.sensor, feed.epoch, "malformed".to_owned());
                let (lane, seq, chain) = (Lane::Bulk, self.dice.roll(9), self.dice.roll(9));
                Action::Skip(Skip { sensor, epoch, lane, seq, chain, events: 1, reason })
            }
            3 if self.dice.roll(40) == 0 => Action::Revoke(sensor(4)),
            4 | 5 => {
                let count = self.sent.len() as u64;
                let again = (0..3).filter(|_| count > 0).map(|_| self.dice.roll(count) as usize);
                let again: Vec<usize> = again.collect();
                Action::Ingest(again.into_iter().map(|at| self.sent[at].clone()).collect())
            }
            _ => {
                let events: Vec<Event> = (0..=self.dice.roll(20)).map(|_| self.event()).collect();
                let frame = self.feeds[which].batch(&events);
                let mut submission = self.feeds[which].submission(frame);
                submission.clock_offset = self.dice.roll(5) as i64 * 1_000_000_000;
                self.sent.push(submission.clone());
                Action::Ingest(vec![submission])
            }
        }
    }
}

fn check_sums(state: &State, seed: u64) {
    let scratch = [
        (state.sites.sum(), state.sites.sum_from_scratch()),
        (state.sensors.sum(), state.sensors.sum_from_scratch()),
        (state.devices.sum(), state.devices.sum_from_scratch()),
        (state.findings.sum(), state.findings.sum_from_scratch()),
        (state.retired.sum(), state.retired.sum_from_scratch()),
        (state.past.sum(), state.past.sum_from_scratch()),
    ];
    for (kept, computed) in scratch {
        assert_eq!(kept, computed, "seed {seed}");
    }
    for window in state.windows.values() {
        assert_eq!(window.sum_from_scratch(state.hash_key()), Some(window.sum()), "seed {seed}");
    }
}

#[test]
fn replicas_agree_whatever_comes() {
    for seed in 0..12 {
        let mut fleet = Fleet::at(&["east", "west", "north"]);
        fleet.enrol(4, "east");
        fleet.open(4, 4, &[]);
        let mut chaos = Chaos::new(seed);
        chaos.age(&mut fleet);
        let mut one = fleet.state;
        let mut two = one.clone();
        let past = one.past.len();
        for step in 0..400_u64 {
            let index = one.applied() + 1 + chaos.dice.roll(3);
            let command = Command::new(at(86_400 + step), chaos.action());
            let command = Command::decode(command.encode().unwrap()).unwrap();
            assert_eq!(one.apply(index, &command), two.apply(index, &command), "seed {seed}");
            assert_eq!(one.digest(), two.digest(), "seed {seed}, step {step}");
            if chaos.dice.roll(60) == 0 {
                two = restored(&two);
            }
            if chaos.dice.roll(25) == 0 {
                one.advance(index + 1);
                two.advance(index + 1);
            }
        }
        assert_eq!(snapshot(&one), snapshot(&two), "seed {seed}");
        assert!(one.device_count() > 10 && one.findings(&tenant(), None).count() > 0);
        assert!(past > 30 && one.past.len() > past, "seed {seed}: none came back and ended again");
        check_sums(&one, seed);
    }
}

#[test]
fn a_snapshot_is_the_state_and_a_clone_is_not_disturbed() {
    let mut fleet = Fleet::at(&["east", "west"]);
    let (mut east, mut west) = (fleet.feed(1), fleet.feed(2));
    let station = "00:03:b1:00:00:01";
    fleet.hear(&mut east, &[says(station, 1, &["dhcp.hostname=a"])]);
    fleet.hear(&mut west, &[sighting(station, 9_000)]);
    let (held, bytes) = (fleet.state.clone(), snapshot(&fleet.state));
    let copy = State::read(&mut bytes.as_slice()).unwrap();
    assert_eq!(snapshot(&copy), bytes);
    assert_eq!((copy.digest(), copy.applied()), (fleet.state.digest(), fleet.state.applied()));
    let device = copy.devices_by_mac(&tenant(), mac(station))[0];
    assert_eq!(device, fleet.device(station));
    assert_eq!(copy.findings(&tenant(), None).collect::<Vec<_>>(), fleet.findings());
    fleet.hear(&mut east, &[sighting(station, 2)]);
    assert_eq!(snapshot(&held), bytes, "a clone keeps what it held");
    assert_ne!(snapshot(&fleet.state), bytes);
    assert!(State::read(&mut snapshot(&State::new()).as_slice()).is_ok());
}

#[test]
fn a_damaged_snapshot_is_refused() {
    let mut fleet = Fleet::at(&["east"]);
    let mut feed = fleet.feed(1);
    fleet.hear(&mut feed, &[says("00:03:b1:00:00:01", 1, &["dhcp.hostname=a"])]);
    let bytes = snapshot(&fleet.state);
    for length in 0..bytes.len() {
        assert!(State::read(&mut &bytes[..length]).is_err(), "{length}");
    }
    let mut unnoticed = 0;
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        unnoticed += u32::from(State::read(&mut flipped.as_slice()).is_ok());
    }
    // Applied index and the earlier digests are no part of the digest; the store's checksum is.
    let outside = 64 + 128 * fleet.state.digests.to_vec().len() as u32;
    assert!(unnoticed <= outside, "{unnoticed} of {outside}");
    let mut other = bytes;
    other[4] = 9;
    assert!(matches!(State::read(&mut other.as_slice()), Err(SnapshotError::Version(9))));
}

/// What `apply` computes is a promise between replicas of different builds: this number changes only
/// with a new apply version (or, before the first release, with intent).
#[test]
fn apply_is_frozen() {
    let mut fleet = Fleet::at(&["east", "west"]);
    fleet.enrol(3, "east");
    fleet.open(3, 3, &[]);
    let mut chaos = Chaos::new(77);
    let said: Vec<Event> = (0..200).map(|_| chaos.event()).collect();
    for number in 1..=3 {
        let mut feed = fleet.feed(number);
        said.chunks(50).for_each(|events| fleet.hear(&mut feed, events));
    }
    fleet.apply(Action::Tick);
    assert_eq!(fleet.state.digest().value, 651_071_064_283_277_070);
}

#[test]
fn the_latest_digests_are_kept() {
    let mut fleet = Fleet::at(&["east"]);
    let first = fleet.state.digest();
    for _ in 0..DIGESTS_MAX {
        fleet.now = fleet.now.plus(std::time::Duration::from_secs(1));
        fleet.apply(Action::Tick);
    }
    let last = fleet.state.digest();
    assert_eq!(fleet.state.digest_at(last.index), Some(last));
    assert_eq!(fleet.state.digest_at(first.index), None, "too long ago");
    let before = fleet.state.digest_at(last.index - 1).unwrap();
    assert_ne!(before.value, last.value);
    fleet.state.advance(last.index + 5);
    assert_eq!(fleet.state.digest().value, last.value, "an empty entry changes nothing");
    assert_eq!(fleet.state.digest_at(last.index + 3), Some(last));
    assert_eq!(fleet.state.digest_at(last.index + 6), None, "not applied yet");
}

#[test]
fn batches_are_in_the_digest_after_so_many_devices_or_the_next_tick() {
    let mut fleet = Fleet::at(&["east"]);
    let mut feed = fleet.feed(1);
    let (start, said) = (fleet.state.digest(), [sighting("00:03:b1:00:00:01", 1)]);
    fleet.hear(&mut feed, &said);
    assert_eq!(fleet.state.digest(), start, "nothing is hashed yet");
    let copy = restored(&fleet.state);
    assert_eq!((copy.digest(), copy.sum()), (start, fleet.state.sum()));
    let mut two = copy;
    fleet.apply(Action::Tick);
    two.apply(fleet.state.applied(), &Command::new(fleet.now, Action::Tick));
    assert_ne!(fleet.state.digest().value, start.value);
    assert_eq!(two.digest(), fleet.state.digest());
    let before = fleet.state.digest().index;
    let of = |device: usize| {
        let [.., high, middle, low] = device.to_be_bytes();
        sighting(&format!("00:03:b1:{high:02x}:{middle:02x}:{low:02x}"), 1)
    };
    for from in (0..STALE_DEVICES_MAX).step_by(512) {
        assert_eq!(fleet.state.digest().index, before, "after {from} devices");
        if from == STALE_DEVICES_MAX / 2 {
            // One that knew less would take its next digest at another entry than the others.
            fleet.state = restored(&fleet.state);
        }
        // What a device says again counts once.
        let said: Vec<_> = (from..from + 512).map(of).collect();
        fleet.hear(&mut feed, &said[..256]);
        fleet.hear(&mut feed, &said);
    }
    assert_eq!(fleet.state.digest().index, fleet.state.applied());
    check_sums(&fleet.state, 0);
}
