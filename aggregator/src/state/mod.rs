//! What all replicas agree on: the same commands in the same order give the same state, byte for byte.
//!
//! Pure: no clock, no randomness, no floats, no I/O. [`State::apply`] is the only place where it
//! changes and cannot fail; its clone is cheap, so that a snapshot or a reader never stops it.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use wardmesh_common::id::{ClusterId, FindingId, MintedId, NodeId, SiteId, TenantId};
use wardmesh_common::map::{HashKey, Lookup, Prehashed};
use wardmesh_common::time::Timestamp;

pub mod classify;
pub mod command;
pub mod dedup;
pub mod devices;
pub mod digest;
pub mod effects;
pub mod evidence;
pub mod findings;
pub mod identity;
mod ingest;
pub(crate) mod locate;
mod merge;
mod observe;
mod order;
mod pages;
pub mod presence;
mod raise;
mod read;
pub mod receipt;
pub(crate) mod record;
mod registry;
pub mod retired;
mod room;
pub mod sensors;
pub mod sites;
pub mod snapshot;
pub mod source;
mod table;
#[cfg(test)]
pub(crate) mod testkit;
#[cfg(test)]
mod tests;
mod track;
mod update;
mod words;

use command::{Action, Command};
use dedup::PastStart;
use devices::Device;
use digest::{Digest, Digests};
use effects::Effects;
use findings::{Cause, EventRef, Finding};
use merge::Window;
use pages::Slot;
use receipt::{BatchReceipt, Receipt};
use record::Record;
use retired::RetiredNode;
use sensors::{ClockFault, Sensor};
use sites::Site;
use table::Table;
use wardmesh_common::wire::message::Reason;

/// Devices kept: past it new ones are only counted. 2 kB each keep a node below 4 GB.
pub const DEVICES_MAX: usize = 1_000_000;

/// Devices that wait to be hashed for the digest, beyond which a batch does not wait for the next tick:
/// a busy device is hashed once for all its batches, and what is hashed at once stays bounded (20 ms).
const STALE_DEVICES_MAX: usize = 32_768;

/// What all replicas agree on.
#[derive(Clone, Debug)]
pub struct State {
    core: Core,
    applied: u64,
    digests: Digests,
    sites: Table<Site>,
    sensors: Table<Sensor>,
    devices: Table<Device>,
    findings: Table<Finding>,
    /// Nodes whose ids are never used again.
    retired: Table<RetiredNode>,
    /// Starts of sensors that ended long ago.
    past: Table<PastStart>,
    /// For sites with several sensors.
    windows: BTreeMap<(TenantId, SiteId), Arc<Window>>,
    /// Which device an identity is, by its keyed hash; follows from `devices`.
    identities: Lookup<u128, Known, Prehashed>,
    /// Which finding a cause has; follows from `findings`.
    causes: Lookup<Cause, FindingId>,
    /// Findings that are neither resolved nor suppressed; follows from `findings`.
    pending_findings: usize,
    scratch: Scratch,
}

/// What there is one of.
#[derive(Clone, Debug, Default)]
struct Core {
    cluster: Option<ClusterId>,
    key: [u8; 16],
    admin_token: [u8; 32],
    at: Timestamp,
    findings_refused: u64,
    devices_refused: u64,
    /// Nodes whose clocks were ever wrong.
    clocks: BTreeMap<NodeId, ClockFault>,
}

record::record!(Core { cluster, key, admin_token, at, findings_refused, devices_refused, clocks });

/// The device of an identity, and whether it is a router, which decides whose an address behind it is.
#[derive(Clone, Copy, Debug)]
struct Known {
    slot: Slot,
    router: bool,
}

/// Buffers that are reused; no part of the state.
#[derive(Debug, Default)]
struct Scratch {
    archive: Vec<u8>,
    row: Vec<u8>,
}

impl Clone for Scratch {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// The log entry that is being applied, and how far.
#[derive(Debug)]
struct Entry {
    cluster: ClusterId,
    at: Timestamp,
    index: u64,
    ordinal: u32,
    position: u32,
    minted: u32,
}

impl Entry {
    fn mint(&mut self) -> MintedId {
        let id = MintedId::mint(self.cluster, self.at, self.index, self.minted);
        self.minted = self.minted.wrapping_add(1);
        id
    }

    fn reference(&self) -> EventRef {
        EventRef { index: self.index, ordinal: self.ordinal, position: self.position }
    }
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    /// Before the cluster was founded: refuses everything else.
    #[must_use]
    pub fn new() -> Self {
        Self::empty(Core::default())
    }

    fn empty(core: Core) -> Self {
        let key = HashKey(core.key);
        Self {
            core,
            applied: 0,
            digests: Digests::default(),
            sites: Table::new(key),
            sensors: Table::new(key),
            devices: Table::new(key),
            findings: Table::new(key),
            retired: Table::new(key),
            past: Table::new(key),
            windows: BTreeMap::new(),
            identities: Lookup::new(Prehashed),
            causes: Lookup::new(key),
            pending_findings: 0,
            scratch: Scratch::default(),
        }
    }

    /// Applies the entry at `index`, which must be higher than the last one's. Cannot fail.
    pub fn apply(&mut self, index: u64, command: &Command) -> Effects {
        self.core.at = self.core.at.max(command.at);
        let mut effects = Effects::default();
        let mut entry = Entry {
            cluster: self.core.cluster.unwrap_or_default(),
            at: self.core.at,
            index,
            ordinal: 0,
            position: 0,
            minted: 0,
        };
        effects.receipt = match (self.core.cluster, &command.action) {
            (Some(cluster), Action::Found { .. }) => Receipt::Founded(cluster),
            (None, Action::Found { cluster, key, admin_token }) => {
                let core = &self.core;
                let founded = Core {
                    cluster: Some(*cluster),
                    key: key.0,
                    admin_token: *admin_token,
                    ..core.clone()
                };
                let digests = std::mem::take(&mut self.digests);
                *self = Self { digests, ..Self::empty(founded) };
                Receipt::Accepted
            }
            (None, action) => unfounded(action),
            (Some(_), Action::Ingest(batches)) => self.ingest(&mut entry, batches, &mut effects),
            (Some(_), Action::OpenEpoch(open)) => self.open_epoch(open),
            (Some(_), Action::Skip(skip)) => self.skip(skip),
            (Some(_), Action::DefineSite(define)) => self.define_site(define),
            (Some(_), Action::Enrol(enrol)) => self.enrol(enrol),
            (Some(_), Action::Revoke(sensor)) => self.revoke(*sensor),
            (Some(_), Action::Tick) => Receipt::Done,
            (Some(_), Action::UpdateFinding(update)) => self.update_finding(update),
            (Some(_), Action::ReportNode(report)) => self.report_node(&mut entry, report),
            (Some(_), Action::ReportClock(report)) => self.report_clock(&mut entry, report),
        };
        self.judge(&mut entry);
        let is_ingest = matches!(command.action, Action::Ingest(_));
        if is_ingest && self.devices.stale() < STALE_DEVICES_MAX {
            self.close(index);
        } else {
            self.settle(index);
        }
        effects
    }

    /// Passes over an entry of Raft's own, which changes nothing.
    pub fn advance(&mut self, index: u64) {
        self.settle(index);
    }

    /// Ends a command.
    fn close(&mut self, index: u64) {
        self.applied = index;
        let mut row = std::mem::take(&mut self.scratch.row);
        // Their hashes are readers' entity tags, and they are few.
        self.findings.settle(&mut row);
        self.scratch.row = row;
        self.sites.close_command();
        self.sensors.close_command();
        self.devices.close_command();
        self.findings.close_command();
        self.retired.close_command();
        self.past.close_command();
    }

    /// Ends a command and keeps the digest after it.
    fn settle(&mut self, index: u64) {
        self.close(index);
        let mut row = std::mem::take(&mut self.scratch.row);
        self.sites.settle(&mut row);
        self.sensors.settle(&mut row);
        self.devices.settle(&mut row);
        self.retired.settle(&mut row);
        self.past.settle(&mut row);
        self.scratch.row = row;
        self.digests.push(Digest { index, value: self.sum() });
    }

    /// The wrapping sum of the keyed hashes of all rows.
    fn sum(&self) -> u64 {
        let tables = [
            self.sites.sum(),
            self.sensors.sum(),
            self.devices.sum(),
            self.findings.sum(),
            self.retired.sum(),
            self.past.sum(),
        ];
        let windows = self.windows.values().map(|window| window.sum());
        tables.into_iter().chain(windows).fold(self.core_hash(), u64::wrapping_add)
    }

    fn core_hash(&self) -> u64 {
        let mut bytes = Vec::with_capacity(128);
        self.core.write(&mut bytes);
        let mut hasher = self.hash_key().build_hasher();
        hasher.write(&bytes);
        hasher.finish()
    }
}

fn unfounded(action: &Action) -> Receipt {
    match action {
        Action::Ingest(batches) => {
            let not_ready = BatchReceipt::Rejected(Reason::NotReady);
            Receipt::Ingested(vec![not_ready; batches.len()])
        }
        Action::Tick => Receipt::Done,
        _ => Receipt::Refused("there is no cluster yet: run `cluster init` on one node".to_owned()),
    }
}
