//! Which batches of a log were applied, found out again: for an index that is built anew.
//!
//! A batch stands in the log as often as it was sent, and refused ones stand there too. Only the
//! bookkeeping of starts and watermarks is repeated, by the same rules as in `apply`; no device is.

use std::collections::BTreeMap;

use wardmesh_common::id::{SensorId, TenantId};
use wardmesh_common::wire::frame::{Frame, Header, Schema};
use wardmesh_common::wire::v1;

use super::command::{Action, Command, Skip, Submission};
use super::dedup::{Epoch, Epochs, Passing};

/// A sensor as the log tells of it.
#[derive(Debug, Default)]
struct Heard {
    epochs: Epochs,
    revoked: bool,
    /// Whose it is, where its enrolment was read.
    tenant: Option<TenantId>,
}

/// Reads commands in the order of the log.
#[derive(Debug)]
pub struct Sifter {
    /// Whether the log is read from its beginning. Else what came before is not known, and the first
    /// batch of a lane is taken to be due.
    whole: bool,
    sensors: BTreeMap<SensorId, Heard>,
}

impl Sifter {
    /// Nothing read yet, of a log that is whole or whose beginning is gone.
    #[must_use]
    pub const fn new(whole: bool) -> Self {
        Self { whole, sensors: BTreeMap::new() }
    }

    /// The ordinals of the submissions that applying the next command applied.
    pub fn sift(&mut self, command: &Command, scratch: &mut Vec<u8>) -> Vec<u32> {
        match &command.action {
            Action::Ingest(submissions) => (0..)
                .zip(submissions)
                .filter(|(_, submission)| self.takes(submission, scratch))
                .map(|(ordinal, _)| ordinal)
                .collect(),
            other => {
                self.note(other);
                Vec::new()
            }
        }
    }

    fn note(&mut self, action: &Action) {
        match action {
            Action::Enrol(enrol) => {
                let heard = self.sensors.entry(enrol.sensor).or_default();
                heard.tenant.get_or_insert_with(|| enrol.tenant.clone());
            }
            Action::Revoke(sensor) => {
                if let Some(heard) = self.heard(*sensor) {
                    heard.revoked = true;
                }
            }
            Action::OpenEpoch(open) => {
                if let Some(heard) = self.heard(open.sensor)
                    && !heard.revoked
                    && heard.tenant.as_ref().is_none_or(|tenant| *tenant == open.tenant)
                {
                    heard.epochs.open(open);
                }
            }
            Action::Skip(skip) => self.skip(skip),
            Action::Found { .. }
            | Action::Ingest(_)
            | Action::DefineSite(_)
            | Action::Tick
            | Action::UpdateFinding(_) => {}
        }
    }

    fn heard(&mut self, sensor: SensorId) -> Option<&mut Heard> {
        match self.whole {
            true => self.sensors.get_mut(&sensor),
            false => Some(self.sensors.entry(sensor).or_default()),
        }
    }

    fn skip(&mut self, skip: &Skip) {
        let whole = self.whole;
        let Some(heard) = self.heard(skip.sensor) else { return };
        if !whole {
            heard.expect(skip.epoch);
        }
        let due = match heard.epochs.passing(skip.epoch, skip.lane, skip.seq) {
            Passing::Next => true,
            Passing::Missing(due) => !whole && due == 1,
            Passing::Passed | Passing::Closed => false,
        };
        if due {
            heard.epochs.pass_over(skip.epoch, skip.lane, skip.seq, skip.chain);
        }
    }

    fn takes(&mut self, submission: &Submission, scratch: &mut Vec<u8>) -> bool {
        let whole = self.whole;
        let Some(heard) = self.heard(submission.sensor).filter(|heard| !heard.revoked) else {
            return false;
        };
        let Ok(frame) = Frame::open(&submission.frame) else { return false };
        let header = frame.header;
        if header.schema != Schema::Batch {
            return false;
        }
        let unknown = !whole && heard.expect(header.epoch) && heard.is_new(&header);
        if !unknown && heard.epochs.due(&frame).is_err() {
            return false;
        }
        let sound = frame.archive(scratch).is_ok_and(|archive| {
            v1::open(archive, header.events).is_ok_and(|batch| batch.sensor == submission.sensor.0)
        });
        if sound {
            let Header { epoch, lane, seq, chain, events, .. } = header;
            heard.epochs.advance(epoch, lane, seq, chain, events);
        }
        sound
    }
}

impl Heard {
    /// Takes a start that was never heard of to have been opened earlier; whether it is open now.
    fn expect(&mut self, epoch: u64) -> bool {
        if self.epochs.closed.iter().any(|closed| closed.epoch == epoch) {
            return false;
        }
        if !self.epochs.open.iter().any(|open| open.epoch == epoch) {
            self.epochs.open.push(Epoch { epoch, ..Epoch::default() });
        }
        true
    }

    /// Whether the lane has had no batch yet in what was read, and this is not its very first.
    fn is_new(&self, header: &Header) -> bool {
        let open = self.epochs.open.iter().find(|open| open.epoch == header.epoch);
        header.seq > 1 && open.is_some_and(|open| open.mark(header.lane).seq == 0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::state::State;
    use crate::state::command::{DefineSite, Enrol, OpenEpoch};
    use crate::state::testkit::{Feed, Tail, at, sensor, sighting, site, tenant};
    use wardmesh_common::id::ClusterId;
    use wardmesh_common::map::HashKey;
    use wardmesh_common::wire::Lane;

    fn found() -> Vec<Action> {
        let (one, tenant) = (sensor(1), tenant());
        vec![
            Action::Found {
                cluster: ClusterId([1; 16]),
                key: HashKey([2; 16]),
                admin_token: [0; 32],
            },
            Action::DefineSite(DefineSite {
                tenant: tenant.clone(),
                site: site("a"),
                title: String::new(),
            }),
            Action::Enrol(Enrol { sensor: one, tenant, site: site("a"), name: String::new() }),
        ]
    }

    fn open(epoch: u64, held: &[u64]) -> Action {
        let version = String::new();
        let (sensor, tenant, held) = (sensor(1), tenant(), held.to_vec());
        Action::OpenEpoch(OpenEpoch {
            sensor,
            tenant,
            epoch,
            held,
            lane: Lane::Bulk,
            tails: Vec::new(),
            remote: String::new(),
            version,
        })
    }

    fn skip(epoch: u64, seq: u64, chain: u64) -> Action {
        let (sensor, lane, reason) = (sensor(1), Lane::Bulk, "malformed".to_owned());
        Action::Skip(Skip { sensor, epoch, lane, seq, chain, events: 1, reason })
    }

    /// A log with everything that goes wrong on the way.
    fn log() -> Vec<Action> {
        let (mut one, mut two) = (Feed::new(sensor(1), 1), Feed::new(sensor(1), 2));
        let event = || [sighting("00:09:02:00:00:01", 1)];
        let stranger = Feed::new(sensor(9), 1).batch(&event());
        let [a, b, c] = std::array::from_fn(|_| one.batch(&event()));
        let poison = one.seal(Lane::Bulk, Schema::Batch, b"no archive", 1);
        let poisoned = one.marks[1];
        let [d, e] = std::array::from_fn(|_| one.batch(&event()));
        let mut restored = Feed::new(sensor(1), 1);
        restored.marks[1] = Tail { seq: 5, chain: 77 };
        let forked = restored.batch(&event());
        let [f, g] = std::array::from_fn(|_| two.batch(&event()));
        let of = |feed: &Feed, frames: &[&bytes::Bytes]| {
            let frames = frames.iter().map(|frame| feed.submission((*frame).clone()));
            Action::Ingest(frames.collect())
        };
        let other = Feed::new(sensor(9), 1);
        let mut log = found();
        log.extend([
            of(&one, &[&a]),
            open(1, &[]),
            of(&one, &[&a, &c, &b, &b, &a]),
            of(&other, &[&stranger]),
            of(&one, &[&c, &poison, &d]),
            skip(1, 4, poisoned.chain),
            of(&one, &[&d, &forked, &poison, &e]),
            of(&two, &[&f]),
            open(2, &[1]),
            of(&two, &[&f, &f]),
            open(2, &[]),
            of(&one, &[&a, &e]),
            Action::Tick,
            Action::Revoke(sensor(1)),
            of(&two, &[&g]),
        ]);
        log
    }

    fn sifted(whole: bool, log: &[Action]) -> Vec<Vec<u32>> {
        let mut sifter = Sifter::new(whole);
        let command = |action: &Action| Command::new(at(1), action.clone());
        log.iter().map(|action| sifter.sift(&command(action), &mut Vec::new())).collect()
    }

    fn applied(log: &[Action]) -> Vec<Vec<u32>> {
        let mut state = State::new();
        let apply = |(index, action): (u64, &Action)| {
            let effects = state.apply(index, &Command::new(at(1), action.clone()));
            effects.batches.iter().map(|batch| batch.ordinal).collect()
        };
        (1..).zip(log).map(apply).collect()
    }

    #[test]
    fn takes_what_apply_took() {
        let log = log();
        let applied = applied(&log);
        assert_eq!(applied.concat().len(), 6, "{applied:?}");
        assert_eq!(sifted(true, &log), applied);
    }

    #[test]
    fn goes_on_in_the_middle_of_a_log() {
        let mut log = log();
        // A start that is not open yet cannot be told from one that was opened before.
        log.remove(10);
        let applied = applied(&log);
        // From the middle of a lane, from a skip, from behind it, from another start.
        for begin in [7, 8, 9, 10] {
            assert_eq!(sifted(false, &log[begin..]), applied[begin..], "from {begin}");
        }
    }
}
