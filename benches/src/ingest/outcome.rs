//! What the runs came to, as medians in one report.

use super::limits::Limits;
use super::load::Driven;
use super::options::Options;
use crate::process::Usage;
use crate::report::Report;

/// What one run came to.
pub struct Outcome {
    /// What the load saw.
    pub driven: Driven,
    /// Bytes of all archives before compression.
    raw_bytes: u64,
    /// Bytes of all frames.
    frame_bytes: u64,
    before: Vec<Usage>,
    after: Vec<Usage>,
    /// CPU seconds of the load.
    load: f64,
    /// Seconds from the last acknowledgement until every node had everything.
    pub caught_up: f64,
    /// Bytes in each node's data folder.
    pub disk: Vec<u64>,
}

impl Outcome {
    /// Of a load, by what the processes had used before it.
    #[must_use]
    pub fn new(
        driven: Driven,
        raw_bytes: u64,
        frame_bytes: u64,
        before: Vec<Usage>,
        load: f64,
    ) -> Self {
        let (after, disk) = (before.clone(), Vec::new());
        Self { driven, raw_bytes, frame_bytes, before, after, load, caught_up: 0.0, disk }
    }

    /// Notes what the processes have used by now.
    pub fn note(&mut self, processes: &[u32]) {
        self.after = processes.iter().map(|pid| Usage::of(*pid).unwrap_or_default()).collect();
    }

    /// Puts the leader first.
    pub fn leader_first(&mut self, leader: usize) {
        self.before.rotate_left(leader);
        self.after.rotate_left(leader);
        self.disk.rotate_left(leader);
    }

    /// CPU seconds of a process by its place.
    fn cpu(&self, at: usize) -> f64 {
        self.after[at].cpu_seconds - self.before[at].cpu_seconds
    }

    /// Bytes written for each byte of events.
    fn written(&self, at: usize) -> f64 {
        let written = self.after[at].written_bytes - self.before[at].written_bytes;
        written as f64 / self.raw_bytes.max(1) as f64
    }

    /// Bytes on the disk of the node that has most, for each byte of events.
    fn on_disk(&self) -> f64 {
        let most = self.disk.iter().copied().max().unwrap_or(0);
        most as f64 / self.raw_bytes.max(1) as f64
    }

    fn per_million(&self, seconds: f64) -> f64 {
        seconds * 1e6 / self.driven.events().max(1) as f64
    }

    fn cpu_all(&self) -> f64 {
        self.per_million((0..self.after.len()).map(|at| self.cpu(at)).sum::<f64>() + self.load)
    }
}

/// What all runs came to.
#[derive(Default)]
pub struct Outcomes {
    /// The product's.
    pub product: Vec<Outcome>,
    /// The bare pipeline's with uncompressed frames.
    pub ceiling: Vec<Outcome>,
    /// The bare pipeline's with the product's frames.
    pub packed: Vec<Outcome>,
    /// The machine's.
    pub limits: Vec<Limits>,
}

fn median<T>(all: &[T], of: impl Fn(&T) -> f64) -> f64 {
    let mut values: Vec<f64> = all.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

const LEADER: usize = 0;
const FOLLOWERS: [usize; 2] = [1, 2];

impl Outcomes {
    /// Puts all into the report.
    pub fn fill(&self, report: &mut Report, options: &Options) {
        let ceiling = median(&self.ceiling, |run| run.driven.rate());
        let packed = median(&self.packed, |run| run.driven.rate());
        if !self.product.is_empty() {
            self.summarise(report, ceiling, packed);
        }
        self.limits(report);
        for (title, runs) in [
            ("bare pipeline, uncompressed frames", &self.ceiling),
            ("bare pipeline, LZ4 frames", &self.packed),
        ] {
            if !runs.is_empty() {
                report.section(title);
                common(report, runs, &[]);
            }
        }
        if self.product.is_empty() {
            return;
        }
        let Options { events, sensors, devices, runs, .. } = options;
        report.section(format!(
            "the product: {events} events of {sensors} sensors and {devices} devices, \
             median of {runs}"
        ));
        let limits = [(ceiling, "the bare pipeline"), (packed, "the bare pipeline with LZ4")];
        let measured = if self.ceiling.is_empty() { &[] } else { limits.as_slice() };
        common(report, &self.product, measured);
    }

    fn limits(&self, report: &mut Report) {
        if self.limits.is_empty() {
            return;
        }
        report.section("this machine's limits");
        report.figure("4 KiB appends with fdatasync", median(&self.limits, |it| it.syncs), "/s");
        let disk = median(&self.limits, |it| it.disk_bytes);
        report.figure("1 MiB appends with fdatasync", disk / 1e6, "MB/s");
        let stream = median(&self.limits, |it| it.stream_bytes);
        report.figure("one QUIC stream", stream / 1e6, "MB/s");
        report.summary("fdatasync_per_s", median(&self.limits, |it| it.syncs));
        report.summary("append_mb_per_s", disk / 1e6);
        report.summary("quic_stream_mb_per_s", stream / 1e6);
    }

    fn summarise(&self, report: &mut Report, ceiling: f64, packed: f64) {
        let runs = &self.product;
        let rate = median(runs, |run| run.driven.rate());
        report.summary("events_per_s", rate.round());
        report.summary("ceiling_events_per_s", ceiling.round());
        report.summary("ratio", ratio(rate, ceiling));
        // A run that is not verified ends the bench with an error.
        report.summary("verified", true);
        report.summary("ceiling_lz4_events_per_s", packed.round());
        report.summary("ratio_lz4", ratio(rate, packed));
        report.summary("events", median(runs, |run| run.driven.events() as f64));
        report.summary("p50_ms", median(runs, |run| run.driven.percentile(50)));
        report.summary("p99_ms", median(runs, |run| run.driven.percentile(99)));
        report.summary("cpu_s_per_million", median(runs, Outcome::cpu_all));
        let written = |run: &Outcome| (0..3).map(|at| run.written(at)).fold(0.0, f64::max);
        report.summary("written_per_event_byte", median(runs, written));
        report.summary("disk_per_event_byte", median(runs, Outcome::on_disk));
    }
}

fn ratio(of: f64, limit: f64) -> f64 {
    if limit > 0.0 { (of / limit * 1_000.0).round() / 1_000.0 } else { 0.0 }
}

/// The rows that the product and the pipeline share.
fn common(report: &mut Report, runs: &[Outcome], limits: &[(f64, &'static str)]) {
    let rate = median(runs, |run| run.driven.rate());
    match limits {
        [] => report.figure("acknowledged", rate, "events/s"),
        limits => {
            for (limit, name) in limits {
                report.against("acknowledged", rate, "events/s", (*limit, name));
            }
        }
    }
    report.figure("send to ack, p50", median(runs, |run| run.driven.percentile(50)), "ms");
    report.figure("send to ack, p99", median(runs, |run| run.driven.percentile(99)), "ms");
    let unit = "s/M events";
    report.figure("CPU, all processes", median(runs, Outcome::cpu_all), unit);
    report.figure("CPU, load", median(runs, |run| run.per_million(run.load)), unit);
    let leader = median(runs, |run| run.per_million(run.cpu(LEADER)));
    report.figure("CPU, leader", leader, unit);
    for at in FOLLOWERS {
        let follower = median(runs, |run| run.per_million(run.cpu(at)));
        report.figure("CPU, follower", follower, unit);
    }
    let raw = |run: &Outcome| run.raw_bytes as f64 / run.driven.events().max(1) as f64;
    report.figure("event", median(runs, raw), "bytes");
    let sent = |run: &Outcome| run.frame_bytes as f64 / run.raw_bytes.max(1) as f64;
    report.figure("sent", median(runs, sent), "of its bytes");
    let written = |at: usize| median(runs, |run| run.written(at));
    report.figure("written, leader", written(LEADER), "of its bytes");
    for at in FOLLOWERS {
        report.figure("written, follower", written(at), "of its bytes");
    }
    let peak = |at: usize| median(runs, |run| run.after[at].peak_bytes as f64 / 1e6);
    report.figure("peak memory, leader", peak(LEADER), "MB");
    for at in FOLLOWERS {
        report.figure("peak memory, follower", peak(at), "MB");
    }
    if runs.iter().all(|run| !run.disk.is_empty()) {
        let disk = median(runs, Outcome::on_disk);
        report.figure("on disk, the most of a node", disk, "of its bytes");
        report.figure("until all nodes have all", median(runs, |run| run.caught_up), "s");
    }
}
