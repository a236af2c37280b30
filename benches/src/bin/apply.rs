//! `apply`: frames into the replicated state on one core, and what a snapshot of it costs.

use std::hint::black_box;

use anyhow::Context;
use bytes::Bytes;
use wardmesh_aggregator::raft::proposer::JOINED_EVENTS_MAX;
use wardmesh_aggregator::state::State;
use wardmesh_aggregator::state::command::{
    Action, Command, DefineSite, Enrol, OpenEpoch, Submission,
};
use wardmesh_aggregator::state::receipt::{BatchReceipt, Receipt};
use wardmesh_benches::cluster::option;
use wardmesh_benches::events::mixed;
use wardmesh_benches::report::Report;
use wardmesh_benches::stopwatch::{Stopwatch, memcpy_per_second, quickest};
use wardmesh_common::id::{ClusterId, SensorId, TenantId};
use wardmesh_common::map::HashKey;
use wardmesh_common::time::Timestamp;
use wardmesh_common::wire::frame::{Frame, Schema, Seal, seal};
use wardmesh_common::wire::v1::{self, BatchBuilder};
use wardmesh_common::wire::{EVENTS_PER_BATCH_MAX, Lane};

/// Turns of all devices that are measured once they are known; five at least cover half a million
/// events of the small network.
const TURNS: [(u64, u64); 2] = [(2_000, 100), (100_000, 4)];

/// Stations that can be told apart: as many as `mixed` takes.
const STATIONS: u64 = 1 << 24;

/// Commands after a clone of each kind; the longest counts.
const ROUNDS: u64 = 9;

const SENSOR: SensorId = SensorId([1; 16]);
const EPOCH: u64 = 1;

fn main() -> anyhow::Result<()> {
    let mut report = Report::new("apply");
    let most = option("--devices", u64::MAX)?;
    let mut rates = Vec::new();
    for (devices, turns) in TURNS.into_iter().filter(|(devices, _)| *devices <= most) {
        report.section(format!("{devices} devices"));
        rates.push(measure(&mut report, devices, turns)?);
    }
    report.summary("events_per_s", rates.first().copied().unwrap_or(0.0).round());
    // Each receipt was looked at: another than that the batch was applied ends the bench.
    report.summary("verified", true);
    Ok(report.print()?)
}

/// One network; events a second of devices that are known.
fn measure(report: &mut Report, devices: u64, turns: u64) -> anyhow::Result<f64> {
    let mut feed = Feed { seq: 0, chain: 0 };
    // Ten turns bring every kind of event to every device.
    let introduce: Vec<_> = feed.frames(0..10 * devices, devices)?;
    let known = feed.frames(10 * devices..(10 + turns) * devices, devices)?;
    let (opening, ()) = quickest(|| open(&known))?;
    let mut node = Node::founded()?;
    let Applied { rate: first, .. } = node.apply(&introduce)?;
    let Applied { rate: again, longest } = node.apply(&known)?;
    let limit = ((turns * devices) as f64 / opening, "opening frames");
    report.figure("opening frames only", limit.0, "events/s");
    report.against("apply, devices known", again, "events/s", limit);
    report.against("apply, from nothing", first, "events/s", limit);
    report.figure("longest command", longest * 1e3, "ms");
    let (cloning, copy) = quickest(|| Ok(node.state.picture()))?;
    report.figure("clone", cloning * 1e6, "µs");
    let more = feed.frames(0..devices.min(50_000), devices)?;
    let Applied { rate: beside, longest } = node.apply(&more)?;
    report.against("apply beside a clone", beside, "events/s", (again, "apply"));
    // What a snapshot costs apply: 50 ms at 100,000 devices at most, the clone included.
    report.figure("longest command beside a clone", longest * 1e3, "ms");
    drop(copy);
    worst_after_clone(report, &mut node, &mut feed, devices)?;
    snapshot(report, &node.state)?;
    Ok(again)
}

/// The longest command while a clone that was just taken holds all that is written to: of new devices,
/// and of known ones from all over; none may hold the state for 50 ms.
fn worst_after_clone(
    report: &mut Report,
    node: &mut Node,
    feed: &mut Feed,
    devices: u64,
) -> anyhow::Result<()> {
    for (count, what) in [(500, "500 new devices"), (JOINED_EVENTS_MAX as u64, "4,096 new devices")]
    {
        let mut longest = 0.0_f64;
        for round in 0..ROUNDS {
            let base = 1_000 * count + round * count;
            let frames = feed.frames(base..base + count, STATIONS)?;
            longest = longest.max(node.after_clone(&frames)?);
        }
        report.figure(format!("command after a clone: {what}"), longest * 1e3, "ms");
    }
    let mut longest = 0.0_f64;
    for round in 0..ROUNDS {
        let base = JOINED_EVENTS_MAX as u64 * round;
        let frames = feed.frames(base..base + JOINED_EVENTS_MAX as u64, devices)?;
        longest = longest.max(node.after_clone(&frames)?);
    }
    report.figure("command after a clone: 4,096 events of known devices", longest * 1e3, "ms");
    Ok(())
}

fn snapshot(report: &mut Report, state: &State) -> anyhow::Result<()> {
    let (writing, bytes) = quickest(|| {
        let mut bytes = Vec::new();
        state.write(&mut bytes)?;
        Ok(bytes)
    })?;
    let (reading, _) = quickest(|| Ok(State::read(&mut bytes.as_slice())?))?;
    let (size, copy) = (bytes.len() as f64 / 1e6, (memcpy_per_second() / 1e6, "copying memory"));
    report.figure("snapshot", size, "MB");
    report.against("snapshot, writing", size / writing, "MB/s", copy);
    report.against("snapshot, reading", size / reading, "MB/s", copy);
    Ok(())
}

fn open(frames: &[Bytes]) -> anyhow::Result<()> {
    let mut scratch = Vec::new();
    for bytes in frames {
        let frame = Frame::open(bytes)?;
        black_box(v1::open(frame.archive(&mut scratch)?, frame.header.events)?);
    }
    Ok(())
}

/// The bulk lane of one sensor.
struct Feed {
    seq: u64,
    chain: u64,
}

impl Feed {
    fn frames(&mut self, numbers: std::ops::Range<u64>, of: u64) -> anyhow::Result<Vec<Bytes>> {
        let numbers: Vec<u64> = numbers.collect();
        numbers.chunks(EVENTS_PER_BATCH_MAX).map(|chunk| self.frame(chunk, of)).collect()
    }

    fn frame(&mut self, numbers: &[u64], devices: u64) -> anyhow::Result<Bytes> {
        let mut builder = BatchBuilder::new(SENSOR, &["eth0".to_owned()]);
        for number in numbers {
            builder.push(&mixed(*number, devices, at()));
        }
        let (archive, events) = builder.finish().context("archive")?;
        self.seq += 1;
        let with = Seal {
            schema: Schema::Batch,
            lane: Lane::Bulk,
            events,
            epoch: EPOCH,
            seq: self.seq,
            sealed_at: at(),
            previous_chain: self.chain,
        };
        let bytes = seal(&with, &archive, true);
        self.chain = Frame::open(&bytes)?.header.chain;
        Ok(bytes)
    }
}

fn at() -> Timestamp {
    Timestamp::from_parts(1_767_600_000, 0)
}

/// A replica without Raft.
struct Node {
    state: State,
}

impl Node {
    fn founded() -> anyhow::Result<Self> {
        let mut node = Self { state: State::new() };
        let tenant = TenantId::default_tenant;
        let site = || "ward".parse().context("site");
        let (cluster, key) = (ClusterId([9; 16]), HashKey([7; 16]));
        node.one(Action::Found { cluster, key, admin_token: [1; 32] });
        let title = "Ward".to_owned();
        node.one(Action::DefineSite(DefineSite { tenant: tenant(), site: site()?, title }));
        let name = "sensor".to_owned();
        node.one(Action::Enrol(Enrol { sensor: SENSOR, tenant: tenant(), site: site()?, name }));
        let version = "0".to_owned();
        let open = OpenEpoch {
            sensor: SENSOR,
            tenant: tenant(),
            epoch: EPOCH,
            held: Vec::new(),
            lane: Lane::Bulk,
            tails: Vec::new(),
            remote: String::new(),
            version,
        };
        node.one(Action::OpenEpoch(open));
        Ok(node)
    }

    fn one(&mut self, action: Action) -> Receipt {
        let index = self.state.applied() + 1;
        self.state.apply(index, &Command::new(at(), action)).receipt
    }

    /// Applies the frames as one command while a clone is held: seconds.
    fn after_clone(&mut self, frames: &[Bytes]) -> anyhow::Result<f64> {
        let submission =
            |frame: &Bytes| Submission { sensor: SENSOR, clock_offset: 0, frame: frame.clone() };
        let action = Action::Ingest(frames.iter().map(submission).collect());
        let copy = self.state.picture();
        let watch = Stopwatch::start();
        let receipt = self.one(action);
        let seconds = watch.elapsed().as_secs_f64();
        drop(copy);
        let applied = |one: &BatchReceipt| *one == BatchReceipt::Applied;
        let all = matches!(&receipt, Receipt::Ingested(all) if all.iter().all(applied));
        anyhow::ensure!(all, "a batch was not applied: {receipt:?}");
        Ok(seconds)
    }

    /// Applies the frames, two to an entry as the leader joins them.
    fn apply(&mut self, frames: &[Bytes]) -> anyhow::Result<Applied> {
        let submission =
            |frame: &Bytes| Submission { sensor: SENSOR, clock_offset: 0, frame: frame.clone() };
        let actions: Vec<_> = frames
            .chunks(2)
            .map(|frames| Action::Ingest(frames.iter().map(submission).collect()))
            .collect();
        let mut events = 0;
        for frame in frames {
            events += u64::from(Frame::open(frame)?.header.events);
        }
        let watch = Stopwatch::start();
        let (mut longest, mut receipts) = (0.0_f64, Vec::with_capacity(actions.len()));
        for action in actions {
            let command = Stopwatch::start();
            receipts.push(self.one(action));
            longest = longest.max(command.elapsed().as_secs_f64());
        }
        let seconds = watch.elapsed().as_secs_f64();
        let applied = |receipt: &Receipt| {
            matches!(receipt, Receipt::Ingested(all)
                if all.iter().all(|one| *one == BatchReceipt::Applied))
        };
        anyhow::ensure!(receipts.iter().all(applied), "a batch was not applied: {receipts:?}");
        Ok(Applied { rate: events as f64 / seconds, longest })
    }
}

/// How applying some frames went.
struct Applied {
    /// Events per second.
    rate: f64,
    /// The longest command, seconds.
    longest: f64,
}
