//! Sets of devices by facet: words are numbered once, addresses are their own numbers.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::ops::Bound;

use wardmesh_common::id::{DeviceId, MintedId, TenantId};

use super::{Facet, Had, Kind};

/// A facet within a tenant: the tenant's number, and 128 bits and a kind that stand for the facet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Number {
    tenant: u32,
    kind: u8,
    /// An address, or a word's number.
    value: u128,
}

/// IPv4 and IPv6 addresses are different facets, as they are different addresses.
const IPV4: u8 = 3;
const IPV6: u8 = 4;
const MAC: u8 = 5;

/// The words of which a device has one of each kind at most, by their numbers. What it is said to be
/// changes while it is being learned, and what nothing is any more should cost nobody a look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    class: Option<u32>,
    vendor: Option<u32>,
}

impl Words {
    /// Takes note of a facet of the device.
    pub(super) fn note(&mut self, number: Number) {
        let place = match number.kind {
            kind if kind == Kind::Class as u8 => &mut self.class,
            kind if kind == Kind::Vendor as u8 => &mut self.vendor,
            _ => return,
        };
        *place = u32::try_from(number.value).ok();
    }
}

/// Every device under each of its facets.
#[derive(Debug, Default)]
pub(super) struct Sets {
    tenants: HashMap<TenantId, u32>,
    words: [HashMap<Box<str>, u32>; 3],
    entries: BTreeSet<(Number, DeviceId)>,
    /// Devices under a word, by its number; addresses have few.
    counts: HashMap<(u32, u8, u32), usize>,
}

impl Sets {
    /// Entries, and words, which stay when nothing has them any more.
    pub(super) fn len(&self) -> usize {
        self.entries.len() + self.words.iter().map(HashMap::len).sum::<usize>()
    }

    /// Puts a device under a facet; returns the facet's number.
    pub(super) fn put(&mut self, tenant: &TenantId, had: Had<'_>, device: DeviceId) -> Number {
        let tenant = match self.tenants.get(tenant) {
            Some(number) => *number,
            None => {
                let number = self.tenants.len() as u32;
                *self.tenants.entry(tenant.clone()).or_insert(number)
            }
        };
        let number = match had {
            Had::Word(kind, word) => {
                let words = &mut self.words[kind as usize];
                let word = word.to_ascii_lowercase().into_boxed_str();
                let next = words.len() as u32;
                let word = *words.entry(word).or_insert(next);
                Number { tenant, kind: kind as u8, value: word.into() }
            }
            Had::Ip(ip) => of_ip(tenant, ip),
            Had::Mac(mac) => of_mac(tenant, mac.0),
        };
        if self.entries.insert((number, device))
            && let Had::Word(kind, _) = had
        {
            *self.counts.entry((tenant, kind as u8, number.value as u32)).or_default() += 1;
        }
        number
    }

    /// Takes a device from the words that it had and has no more.
    pub(super) fn take_out(
        &mut self,
        tenant: &TenantId,
        device: DeviceId,
        before: Words,
        now: Words,
    ) {
        let Some(tenant) = self.tenants.get(tenant).copied() else { return };
        let words =
            [(Kind::Class, before.class, now.class), (Kind::Vendor, before.vendor, now.vendor)];
        for (kind, before, now) in words {
            let Some(word) = before.filter(|before| Some(*before) != now) else { continue };
            let kind = kind as u8;
            if self.entries.remove(&(Number { tenant, kind, value: word.into() }, device))
                && let Some(count) = self.counts.get_mut(&(tenant, kind, word))
            {
                *count = count.saturating_sub(1);
            }
        }
    }

    /// The numbers of those facets that any device has had.
    pub(super) fn numbers(&self, tenant: &TenantId, facets: &[Facet]) -> Vec<Number> {
        let Some(tenant) = self.tenants.get(tenant).copied() else { return Vec::new() };
        let word = |kind: Kind, word: &str| {
            let number = self.words[kind as usize].get(word.to_ascii_lowercase().as_str())?;
            Some(Number { tenant, kind: kind as u8, value: (*number).into() })
        };
        let number = |facet: &Facet| match facet {
            Facet::Site(site) => word(Kind::Site, site.as_str()),
            Facet::Class(class) => word(Kind::Class, class),
            Facet::Vendor(vendor) => word(Kind::Vendor, vendor),
            Facet::Ip(ip) => Some(of_ip(tenant, *ip)),
            Facet::Mac(mac) => Some(of_mac(tenant, mac.0)),
        };
        facets.iter().filter_map(number).collect()
    }

    /// About how many devices they have together.
    pub(super) fn count(&self, wanted: &[Number]) -> usize {
        let count = |number: &Number| match u32::try_from(number.value) {
            Ok(word) if number.kind < IPV4 => {
                self.counts.get(&(number.tenant, number.kind, word)).copied().unwrap_or(0)
            }
            _ => 1,
        };
        wanted.iter().map(count).sum()
    }

    /// The first device after one that has any of them.
    pub(super) fn next(&self, wanted: &[Number], after: Option<DeviceId>) -> Option<DeviceId> {
        let first = |number: &Number| {
            let from = match after {
                Some(after) => Bound::Excluded((*number, after)),
                None => Bound::Included((*number, DeviceId(MintedId(0)))),
            };
            let to = Bound::Included((*number, DeviceId(MintedId(u128::MAX))));
            self.entries.range((from, to)).next().map(|(_, device)| *device)
        };
        wanted.iter().filter_map(first).min()
    }
}

fn of_ip(tenant: u32, ip: IpAddr) -> Number {
    match ip {
        IpAddr::V4(ip) => Number { tenant, kind: IPV4, value: ip.to_bits().into() },
        IpAddr::V6(ip) => Number { tenant, kind: IPV6, value: ip.to_bits() },
    }
}

fn of_mac(tenant: u32, [a, b, c, d, e, f]: [u8; 6]) -> Number {
    let value = u64::from_be_bytes([0, 0, a, b, c, d, e, f]).into();
    Number { tenant, kind: MAC, value }
}
