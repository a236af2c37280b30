//! Which devices have a class, a maker, a site or an address: so that a filtered page reads what it
//! shows and not the whole state.
//!
//! Derived from the state and beside it: `apply` only notes which devices are found by something else
//! than before, and whoever asks brings the index up to date first. A device may still stand under an
//! address that it lost, so that readers look at the device itself; nothing is ever missing, and a page
//! costs what it shows.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::net::IpAddr;

use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use wardmesh_common::id::{DeviceId, SiteId, TenantId};
use wardmesh_common::net::MacAddress;

use crate::state::State;
use crate::state::devices::Device;

mod sets;

use sets::{Sets, Words};

/// Touched devices that are noted: 32 MB. Beyond that, all count as touched.
const TOUCHED_MAX: usize = 1 << 19;

/// Devices that one step of a building looks at: two milliseconds during which nothing is applied.
const STEP: usize = 1_000;

/// Touched devices that are taken in at once: some milliseconds during which nothing is applied.
const TAKEN_MAX: usize = 5_000;

/// Entries by which the index may outgrow what it was built with before it is built anew: devices that
/// change their addresses all the time leave some behind.
const STALE_MAX: usize = 100_000;

/// Something that a device is found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Facet {
    /// It was seen there.
    Site(SiteId),
    /// It is of this class, in any case.
    Class(String),
    /// It is this maker's, in any case.
    Vendor(String),
    /// It was seen under this address.
    Ip(IpAddr),
    /// It has this address.
    Mac(MacAddress),
}

/// What has changed since the index was brought up to date.
#[derive(Debug, Default)]
struct Touched {
    devices: HashSet<(TenantId, DeviceId)>,
    /// Everything, because the state was replaced or too much has changed.
    all: bool,
}

impl Touched {
    /// Takes [`TAKEN_MAX`] of them out.
    fn some(&mut self) -> Vec<(TenantId, DeviceId)> {
        if self.devices.len() <= TAKEN_MAX {
            return std::mem::take(&mut self.devices).into_iter().collect();
        }
        let some: Vec<_> = self.devices.iter().take(TAKEN_MAX).cloned().collect();
        some.iter().for_each(|device| {
            self.devices.remove(device);
        });
        some
    }
}

/// The index of one node.
#[derive(Debug)]
pub struct Facets {
    touched: Mutex<Touched>,
    index: RwLock<Index>,
}

impl Default for Facets {
    fn default() -> Self {
        let touched = Touched { all: true, ..Touched::default() };
        Self { touched: Mutex::new(touched), index: RwLock::default() }
    }
}

#[derive(Debug, Default)]
struct Index {
    sets: Sets,
    /// What was last taken in of each device.
    seen: HashMap<DeviceId, Seen>,
    hasher: RandomState,
    building: Building,
    /// Entries when the index was last built.
    built: usize,
}

/// What was last taken in of a device.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// A hash of all its facets.
    print: u64,
    /// What it has to be taken from when it gets others.
    words: Words,
}

/// How far the index has come.
#[derive(Debug, Default, PartialEq)]
enum Building {
    /// It was not begun.
    #[default]
    Due,
    /// Up to this device.
    Through(TenantId, DeviceId),
    /// It is complete.
    Done,
}

impl Facets {
    /// Notes which devices changed in what they are found by; called while nobody can read the new
    /// state yet.
    pub fn touch(&self, devices: &[(TenantId, DeviceId)]) {
        if devices.is_empty() {
            return;
        }
        let mut touched = self.touched.lock();
        if touched.devices.len() + devices.len() > TOUCHED_MAX {
            *touched = Touched { all: true, ..Touched::default() };
        }
        touched.devices.extend(devices.iter().cloned());
    }

    /// The state was replaced.
    pub fn reset(&self) {
        *self.touched.lock() = Touched { all: true, ..Touched::default() };
    }

    /// Brings the index up to what `state` has; `false` where that is to be gone on with, and what was
    /// built so far serves nobody yet.
    pub fn refresh(&self, state: &State) -> bool {
        let mut noted = self.touched.lock();
        if noted.devices.is_empty() && !noted.all && self.index.read().building == Building::Done {
            return true;
        }
        // Whoever comes next waits at `touched` until this one has the index for itself.
        let mut index = self.index.write();
        let all = std::mem::take(&mut noted.all);
        let touched = noted.some();
        let is_rest = !noted.devices.is_empty();
        drop(noted);
        if all || index.is_stale() {
            *index = Index::default();
        }
        index.take_in(state, touched);
        index.build(state) && !is_rest
    }

    /// The devices of a tenant that have one of the facets of the group with the fewest, in the order
    /// of their ids; `None` where there is no group or the index is not complete.
    pub fn narrowed(
        &self,
        state: &State,
        tenant: &TenantId,
        groups: &[Vec<Facet>],
        after: Option<DeviceId>,
    ) -> Option<Narrowed<'_>> {
        if groups.is_empty() || !self.refresh(state) {
            return None;
        }
        let index = self.index.read();
        let numbers = |group: &Vec<Facet>| index.sets.numbers(tenant, group);
        let wanted = groups.iter().map(numbers).min_by_key(|wanted| index.sets.count(wanted))?;
        Some(Narrowed { index, wanted, after })
    }
}

impl Index {
    fn is_stale(&self) -> bool {
        self.building == Building::Done && self.sets.len() > 2 * self.built + STALE_MAX
    }

    fn take_in(&mut self, state: &State, mut touched: Vec<(TenantId, DeviceId)>) {
        // The order of sets must not be the order of the index.
        touched.sort_unstable();
        for (tenant, id) in touched {
            if let Some(device) = state.device(&tenant, id) {
                self.learn(device);
            }
        }
    }

    /// Goes on building; whether it is done.
    fn build(&mut self, state: &State) -> bool {
        let after = match &self.building {
            Building::Done => return true,
            Building::Due => None,
            Building::Through(tenant, id) => Some((tenant.clone(), *id)),
        };
        let (mut last, mut count) = (None, 0);
        for device in state.devices_of_all(after).take(STEP) {
            self.learn(device);
            (last, count) = (Some(device), count + 1);
        }
        self.building = match last {
            Some(last) if count == STEP => Building::Through(last.tenant.clone(), last.id),
            _ => Building::Done,
        };
        if self.building == Building::Done {
            self.built = self.sets.len();
        }
        self.building == Building::Done
    }

    fn learn(&mut self, device: &Device) {
        let mut hasher: DefaultHasher = self.hasher.build_hasher();
        each(device, |facet| facet.hash(&mut hasher));
        let print = hasher.finish();
        let known = self.seen.get(&device.id).copied();
        if known.is_some_and(|known| known.print == print) {
            return;
        }
        let mut words = Words::default();
        each(device, |facet| words.note(self.sets.put(&device.tenant, facet, device.id)));
        if let Some(known) = known {
            self.sets.take_out(&device.tenant, device.id, known.words, words);
        }
        self.seen.insert(device.id, Seen { print, words });
    }
}

/// A facet as a device has it.
#[derive(Clone, Copy, Debug, Hash)]
enum Had<'a> {
    Word(Kind, &'a str),
    Ip(IpAddr),
    Mac(MacAddress),
}

/// What a word is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Site,
    Class,
    Vendor,
}

fn each<'a>(device: &'a Device, mut take: impl FnMut(Had<'a>)) {
    device.sites.iter().for_each(|at| take(Had::Word(Kind::Site, at.site.as_str())));
    let words = [(Kind::Class, device.class()), (Kind::Vendor, device.vendor())];
    for (kind, known) in words {
        known.into_iter().for_each(|known| take(Had::Word(kind, &known.value)));
    }
    device.ips.iter().for_each(|address| take(Had::Ip(address.ip)));
    device.mac().into_iter().for_each(|mac| take(Had::Mac(mac)));
}

/// Ids in their order, as long as they are asked for. Holds the index as it is.
pub struct Narrowed<'a> {
    index: RwLockReadGuard<'a, Index>,
    wanted: Vec<sets::Number>,
    after: Option<DeviceId>,
}

impl Iterator for Narrowed<'_> {
    type Item = DeviceId;

    fn next(&mut self) -> Option<DeviceId> {
        let next = self.index.sets.next(&self.wanted, self.after)?;
        self.after = Some(next);
        Some(next)
    }
}

#[cfg(test)]
mod tests;
