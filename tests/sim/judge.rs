//! What is seen of a run, put before every invariant; the first fault ends the run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use wardmesh_aggregator::raft::types::{Entry, LeaderId, LogId};
use wardmesh_aggregator::state::digest::Digest;
use wardmesh_aggregator::state::findings::{Cause, Finding};
use wardmesh_common::id::FindingId;
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::frame::Frame;

use crate::invariants::{self, Invariant};
use crate::log::Held;
use crate::trace::{self, digest};

/// A batch's lane, epoch and sequence number.
pub(crate) type Place = (Lane, u64, u64);

/// A batch by what is in it: the same however often it is sealed anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Batch {
    pub(crate) sensor: u64,
    pub(crate) place: Place,
    pub(crate) content: u64,
}

/// An entry as a node applied it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) log_id: LogId,
    /// Command and receipt, digested.
    pub(crate) what: u64,
    pub(crate) state: Digest,
}

/// A finding, as far as it matters whether it is the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alert {
    pub(crate) id: FindingId,
    pub(crate) cause: Cause,
    pub(crate) rule: String,
}

impl From<&Finding> for Alert {
    fn from(Finding { id, cause, rule, .. }: &Finding) -> Self {
        Self { id: *id, cause: cause.clone(), rule: rule.clone() }
    }
}

/// What a node says of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is applied at an index.
    Done(u64),
    /// Nothing was proposed, and nothing will be.
    Refused,
    /// It may be applied or not.
    Unknown,
}

/// Something that was seen.
pub(crate) enum Fact<'a> {
    /// A sensor saw a frame; its number is its own over all the sensor's runs.
    Captured { sensor: u64, number: u64 },
    /// A sensor's pipeline handed an archive to its spool: so many events, about these frames.
    Offered { sensor: u64, content: u64, events: u32, frames: &'a [u64] },
    /// A sensor's spool says that it has refused so many events since it started.
    Declared { sensor: u64, refused: u64 },
    /// A sensor's power was cut.
    Down { sensor: u64 },
    /// The sensor's ledger says that it is durable.
    Emitted(Batch),
    /// The sensor's ledger says that it was acknowledged.
    Acked(Batch),
    /// The sensor's ledger says that it will never be taken.
    Rejected(Batch),
    /// The sensor's ledger says that it goes on as the second one.
    Readopted(Batch, Batch),
    /// The sensor's ledger says that the spool does not have it any more.
    Lost(Batch),
    /// A node's log took entries behind another.
    Appended { node: u64, before: Option<LogId>, entries: &'a [Entry] },
    /// A node applied an entry.
    Applied { node: u64, index: u64, applied: &'a Applied },
    /// An entry was applied by the first of all nodes.
    Agreed { index: u64, batches: &'a [Batch], skipped: Option<(u64, Place)> },
    /// A node's state was restored from a snapshot.
    Restored { node: u64, index: u64, state: Digest },
    /// A node leads; seen for the first time in this term and run of it.
    Leads { node: u64, run: u64, leader: LeaderId, log: &'a Held },
    /// A linearizable read was asked for.
    ReadBegan { read: u64 },
    /// It was answered as of an index.
    ReadEnded { read: u64, node: u64, index: u64 },
    /// What was said to who proposed the command of this number.
    Answered { number: u64, answer: Answer },
    /// A node applied that command at an index.
    CarriedOut { number: u64, index: u64 },
    /// A wall clock jumped.
    Jumped,
    /// The findings of a node's state.
    Findings { node: u64, alerts: &'a [Alert] },
    /// A node stopped by itself; `retired` says that it is no member any more.
    Stopped { node: u64, why: &'a str, retired: bool },
    /// Tasks panicked.
    Panicked { tasks: u64 },
    /// All faults are over, and so is the time to settle.
    Ended(&'a Ending),
}

/// How a run ended.
#[derive(Default)]
pub(crate) struct Ending {
    /// Applied index and digest by node.
    pub(crate) nodes: BTreeMap<u64, (u64, Digest)>,
    /// The findings by node.
    pub(crate) alerts: BTreeMap<u64, Vec<Alert>>,
    /// Who the nodes say votes.
    pub(crate) voters: BTreeSet<Vec<u64>>,
    /// Who the nodes say leads.
    pub(crate) leaders: BTreeSet<Option<u64>>,
    /// What the sensors still hold, in batches.
    pub(crate) held: usize,
    /// Members that do not run.
    pub(crate) missing: usize,
    /// Whether a change of the membership has not come to its end.
    pub(crate) changing: bool,
}

pub(crate) struct Judge {
    pub(crate) now: Duration,
    pub(crate) faults: Vec<String>,
    trace: trace::Shared,
    invariants: Vec<Box<dyn Invariant>>,
    /// What is in the batch at a sensor's place.
    sealed: BTreeMap<(u64, Place), u64>,
    /// The highest index that was agreed on.
    agreed: BTreeSet<u64>,
    /// What happened how often, for the validity of a run.
    pub(crate) counts: BTreeMap<&'static str, u64>,
}

#[derive(Deserialize)]
struct Line<'a> {
    lane: &'a str,
    epoch: &'a str,
    seq: u64,
    state: &'a str,
    new_epoch: Option<&'a str>,
    new_seq: Option<u64>,
}

impl Judge {
    pub(crate) fn new(trace: trace::Shared) -> Self {
        Self {
            now: Duration::ZERO,
            faults: Vec::new(),
            trace,
            invariants: invariants::all(),
            sealed: BTreeMap::new(),
            agreed: BTreeSet::new(),
            counts: BTreeMap::new(),
        }
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        self.add(what, 1);
    }

    pub(crate) fn add(&mut self, what: &'static str, more: u64) {
        *self.counts.entry(what).or_default() += more;
    }

    pub(crate) fn note(&self, what: std::fmt::Arguments<'_>) {
        self.trace.lock().note(self.now, what);
    }

    pub(crate) fn tell(&mut self, fact: &Fact<'_>) {
        for invariant in &mut self.invariants {
            if let Err(fault) = invariant.see(fact) {
                let fault = format!("{}: {fault}", invariant.name());
                self.trace.lock().note(self.now, format_args!("FAULT {fault}"));
                self.faults.push(fault);
            }
        }
    }

    /// A sensor wrote a sealed batch.
    pub(crate) fn sealed(&mut self, sensor: u64, frame: &[u8]) {
        if let Some((place, content)) = open(frame) {
            self.sealed.insert((sensor, place), content);
        }
    }

    /// A sensor wrote lines of its ledger.
    pub(crate) fn ledger(&mut self, sensor: u64, lines: &[u8]) {
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let line: Line<'_> = serde_json::from_slice(line).expect("a line of the ledger");
            let lane = Lane::ALL.into_iter().find(|lane| lane.as_str() == line.lane);
            let epoch = u64::from_str_radix(line.epoch, 16).expect("an epoch");
            let place = (lane.expect("a lane"), epoch, line.seq);
            let batch = self.batch(sensor, place);
            self.note(format_args!("{} {sensor} {place:?} {:016x}", line.state, batch.content));
            match line.state {
                "emitted" => self.tell(&Fact::Emitted(batch)),
                "acked" => {
                    self.count("acked");
                    self.tell(&Fact::Acked(batch));
                }
                "rejected" => self.tell(&Fact::Rejected(batch)),
                "lost" => self.tell(&Fact::Lost(batch)),
                "readopting" => self.count("readopting"),
                "readopted" => {
                    let epoch = u64::from_str_radix(line.new_epoch.expect("a new epoch"), 16);
                    let seq = line.new_seq.expect("a new place");
                    let new = (place.0, epoch.expect("an epoch"), seq);
                    self.count("readopted");
                    self.tell(&Fact::Readopted(batch, self.batch(sensor, new)));
                }
                other => panic!("the ledger calls {place:?} {other}"),
            }
        }
    }

    fn batch(&self, sensor: u64, place: Place) -> Batch {
        let content = self.sealed.get(&(sensor, place)).copied().unwrap_or(0);
        Batch { sensor, place, content }
    }

    pub(crate) fn appended(&mut self, node: u64, before: Option<LogId>, entries: &[Entry]) {
        for entry in entries {
            self.note(format_args!("append {node} {}", entry.log_id));
        }
        self.tell(&Fact::Appended { node, before, entries });
    }

    /// A node applied an entry with these frames, those that were new to it marked.
    pub(crate) fn applied<'f>(
        &mut self,
        node: u64,
        applied: &Applied,
        frames: impl Iterator<Item = (u64, &'f [u8])>,
        skipped: Option<(u64, Place)>,
    ) {
        let index = applied.log_id.index;
        self.note(format_args!("apply {node} {} {:?}", applied.log_id, applied.state));
        if self.agreed.insert(index) {
            let batches = frames.filter_map(|(sensor, frame)| {
                let (place, content) = open(frame)?;
                Some(Batch { sensor, place, content })
            });
            let batches: Vec<_> = batches.collect();
            self.tell(&Fact::Agreed { index, batches: &batches, skipped });
        }
        self.tell(&Fact::Applied { node, index, applied });
    }
}

/// A frame's place, and a digest of the archive in it.
fn open(frame: &[u8]) -> Option<(Place, u64)> {
    let frame = Frame::open(frame).ok()?;
    let mut scratch = Vec::new();
    let content = digest(frame.archive(&mut scratch).ok()?);
    Some(((frame.header.lane, frame.header.epoch, frame.header.seq), content))
}
