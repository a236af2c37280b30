//! What a node counts, for Prometheus. No per-device labels; pure code returns counts, the edges
//! add them up here.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use wardmesh_common::wire::message::{Outcome, Reason};

/// The label of a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

/// The label of a batch's outcome.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: BatchResult,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum BatchResult {
    Acknowledged,
    Gap,
    Rejected,
    Unavailable,
}

/// The label of a handshake.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HandshakeLabel {
    result: Handshake,
}

/// What became of somebody who knocked at the ingest port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Handshake {
    /// Both ends have seen each other's certificate.
    Completed,
    /// Too many are served already.
    Refused,
    /// Asked to prove its address first; who does comes again and is counted again.
    Retried,
    /// Too many were under way: it may ask again.
    Postponed,
    /// A certificate was not accepted, or the peer is none of ours.
    Failed,
    /// It took too long.
    Abandoned,
}

/// The labels of an HTTP answer (OpenTelemetry's `http.server.request.duration`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabels {
    route: String,
    method: String,
    status: u16,
}

/// Upper ends of the buckets of answers' durations, seconds.
const DURATIONS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];

/// Everything that is counted, and the gauges that are set at each scrape.
pub struct Metrics {
    registry: Registry,
    /// Connected sensors.
    pub sessions: Gauge,
    events: Counter,
    bytes: Counter,
    answered: Family<ResultLabel, Counter>,
    rejected: Family<ReasonLabel, Counter>,
    handshakes: Family<HandshakeLabel, Counter>,
    requests: Family<AnswerLabels, Histogram, fn() -> Histogram>,
    /// What is read off the node at a scrape.
    pub raft: RaftGauges,
}

/// The node's standing, set at each scrape.
#[derive(Default)]
pub struct RaftGauges {
    /// 1 while a leader is known.
    pub has_leader: Gauge,
    /// 1 while this node leads.
    pub is_leader: Gauge,
    /// The term.
    pub term: Gauge<u64, AtomicU64>,
    /// The last committed index.
    pub commit_index: Gauge<u64, AtomicU64>,
    /// The last applied index.
    pub applied_index: Gauge<u64, AtomicU64>,
    /// Bytes of batches that wait to be applied.
    pub queued_bytes: Gauge<u64, AtomicU64>,
    /// Bytes of the store's files.
    pub store_bytes: Gauge<u64, AtomicU64>,
    /// Bytes that the volume can still take.
    pub disk_free_bytes: Gauge<u64, AtomicU64>,
    /// Bytes of the volume.
    pub disk_total_bytes: Gauge<u64, AtomicU64>,
    /// Devices known.
    pub devices: Gauge<u64, AtomicU64>,
    /// Findings that are neither resolved nor suppressed.
    pub findings_open: Gauge<u64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("wardmesh");
        let this = Self {
            sessions: Gauge::default(),
            events: Counter::default(),
            bytes: Counter::default(),
            answered: Family::default(),
            rejected: Family::default(),
            handshakes: Family::default(),
            requests: Family::new_with_constructor(|| Histogram::new(DURATIONS)),
            raft: RaftGauges::default(),
            registry: Registry::default(),
        };
        registry.register("sensor_sessions", "Connected sensors", this.sessions.clone());
        registry.register("ingest_events", "Events admitted on this node", this.events.clone());
        registry.register(
            "ingest_bytes",
            "Bytes of frames admitted on this node",
            this.bytes.clone(),
        );
        let help = "Receipts that this node sent, by what became of the batch";
        registry.register("ingest_batches", help, this.answered.clone());
        let help = "Batches and sessions that were not taken, by reason";
        registry.register("ingest_rejected", help, this.rejected.clone());
        let help = "Handshakes of sensors, by what became of them";
        registry.register("ingest_handshakes", help, this.handshakes.clone());
        let help = "Time from the head of a request to the head of its answer";
        registry.register("http_request_duration_seconds", help, this.requests.clone());
        let raft = &this.raft;
        registry.register("raft_has_leader", "1 while a leader is known", raft.has_leader.clone());
        registry.register("raft_is_leader", "1 while this node leads", raft.is_leader.clone());
        registry.register("raft_term", "Raft term", raft.term.clone());
        let help = "Last committed log index";
        registry.register("raft_commit_index", help, raft.commit_index.clone());
        registry.register(
            "raft_applied_index",
            "Last applied log index",
            raft.applied_index.clone(),
        );
        let help = "Bytes of batches that wait or are on their way";
        registry.register("proposer_queued_bytes", help, raft.queued_bytes.clone());
        registry.register(
            "store_size_bytes",
            "Bytes of archive and index",
            raft.store_bytes.clone(),
        );
        let help = "Bytes that the data folder's volume can still take";
        registry.register("disk_free_bytes", help, raft.disk_free_bytes.clone());
        let help = "Bytes of the data folder's volume";
        registry.register("disk_total_bytes", help, raft.disk_total_bytes.clone());
        registry.register("devices", "Devices known", raft.devices.clone());
        registry.register(
            "findings_open",
            "Findings neither resolved nor suppressed",
            raft.findings_open.clone(),
        );
        Self { registry, ..this }
    }

    /// A batch was admitted.
    pub fn received(&self, events: u32, bytes: usize) {
        self.events.inc_by(u64::from(events));
        self.bytes.inc_by(bytes as u64);
    }

    /// A receipt was sent.
    pub fn answered(&self, outcome: &Outcome) {
        let result = match outcome {
            Outcome::Acknowledged(_) => BatchResult::Acknowledged,
            Outcome::Gap(_) => BatchResult::Gap,
            Outcome::Rejected(_) => BatchResult::Rejected,
            Outcome::Unavailable(_) => BatchResult::Unavailable,
        };
        self.answered.get_or_create(&ResultLabel { result }).inc();
    }

    /// A batch or session was not taken.
    pub fn rejected(&self, reason: Reason) {
        self.rejected.get_or_create(&ReasonLabel { reason: reason.as_str() }).inc();
    }

    /// A handshake at the ingest port ended.
    pub fn shook_hands(&self, result: Handshake) {
        self.handshakes.get_or_create(&HandshakeLabel { result }).inc();
    }

    /// An HTTP request was answered; the route is a pattern of ours, never a path.
    pub fn requested(&self, route: &str, method: &str, status: u16, elapsed: Duration) {
        let (route, method) = (route.to_owned(), method.to_owned());
        let labels = AnswerLabels { route, method, status };
        self.requests.get_or_create(&labels).observe(elapsed.as_secs_f64());
    }

    /// The Prometheus text format (OpenMetrics 1.0).
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handshakes_are_counted_by_what_became_of_them() {
        let metrics = Metrics::new();
        for result in [Handshake::Failed, Handshake::Refused, Handshake::Failed] {
            metrics.shook_hands(result);
        }
        let text = metrics.render();
        for (result, count) in [("Failed", 2), ("Refused", 1)] {
            let line = format!("wardmesh_ingest_handshakes_total{{result=\"{result}\"}} {count}");
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
    }
}
