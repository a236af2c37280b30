//! Which blocks a secondary row stands for: one where its subject was first met, four times as many as
//! before where it is met again soon behind those.
//!
//! A device that speaks now and then so costs a key in [`BLOCKS_PER_GROUP`] blocks and not one for each
//! event, while one that speaks once costs a reader one block. Rows may overlap: a reader sees a block once.

use std::collections::HashMap;
use std::ops::Range;

use sled::Tree;
use wardmesh_common::id::TenantId;
use wardmesh_common::map::Prehashed;

use crate::store::StoreError;
use crate::store::key::{self, BLOCKS_PER_GROUP, Subject};

/// Devices remembered with what was written of them, so that most are never looked up: some 10 MiB.
const REMEMBERED_MAX: usize = 131_072;

/// Blocks without a subject after which it has fallen silent: a row that goes on over as many more is
/// cheaper than one of its own.
const SILENT_BLOCKS: u64 = 4;

/// By how much a row stands for more blocks than the one before: the keys of a group cost sled much, and
/// a reader little where it looks at blocks in vain.
const GROWTH: u64 = 4;

/// What was last written of a subject.
#[derive(Clone, Copy, Debug)]
struct Cover {
    /// The blocks that it stands for.
    from: u64,
    until: u64,
    /// How many it would stand for if its group did not end.
    reach: u64,
}

/// What was written of whom.
#[derive(Debug, Default)]
pub(super) struct Covers {
    /// Ids of devices are hashes already, and belong to one tenant.
    devices: HashMap<u128, Cover, Prehashed>,
    others: HashMap<(TenantId, Subject), Cover>,
    /// The latest block that anybody was met in.
    latest: u64,
    /// All rows that begin in this block or a later one are remembered: whoever is met there and not
    /// covered has none.
    sure_from: u64,
}

impl Covers {
    /// Rows of blocks up to this one may have been written already.
    pub(super) fn after(block: u64) -> Self {
        Self { latest: block, sure_from: block.saturating_add(1), ..Self::default() }
    }

    /// Whether a row that has to be written in this block is certainly not there yet.
    pub(super) fn is_sure_of(&self, block: u64) -> bool {
        block >= self.sure_from
    }

    /// Earlier blocks are met again, whose rows take the place of later ones in what is remembered.
    pub(super) fn go_back(&mut self) {
        self.sure_from = self.latest.saturating_add(1);
    }

    /// How many blocks from this one on the row has to stand for that must be written now; `None`
    /// where one that was written does already.
    pub(super) fn meet(&mut self, tenant: &TenantId, subject: &Subject, block: u64) -> Option<u64> {
        let known = match subject {
            Subject::Device(device) => self.devices.get(&device.0.0),
            other => self.others.get(&(tenant.clone(), other.clone())),
        };
        if known.is_some_and(|known| (known.from..known.until).contains(&block)) {
            return None;
        }
        let soon = |known: &&Cover| (known.until..=known.until + SILENT_BLOCKS).contains(&block);
        let reach = known.filter(soon).map_or(1, |known| known.reach * GROWTH);
        let reach = reach.min(BLOCKS_PER_GROUP);
        self.latest = self.latest.max(block);
        let until = (block + reach).min(key::group(block) + BLOCKS_PER_GROUP);
        let cover = Cover { from: block, until, reach };
        match subject {
            Subject::Device(device) => self.devices.insert(device.0.0, cover),
            other => self.others.insert((tenant.clone(), other.clone()), cover),
        };
        Some(until - block)
    }

    /// Makes room where there is much; between two groups of writes only.
    pub(super) fn trim(&mut self) {
        if self.devices.len() > REMEMBERED_MAX || self.others.len() > REMEMBERED_MAX {
            self.clear();
        }
    }

    /// Forgets everything: it is looked up again.
    pub(super) fn clear(&mut self) {
        *self = Self::after(self.latest);
    }
}

/// The value of a row that stands for so many blocks.
pub(super) fn value(blocks: u64) -> [u8; 1] {
    [blocks as u8]
}

/// How many blocks a row's value is of; `None` where it is damaged.
pub(super) fn count(value: &[u8]) -> Option<u64> {
    let [blocks] = value else { return None };
    Some(u64::from(*blocks))
}

/// The blocks that a row stands for; `None` where it is damaged.
pub(super) fn blocks(key: &[u8], value: &[u8]) -> Option<Range<u64>> {
    let (from, blocks) = (key::read_block(key)?, count(value)?);
    Some(from..from + blocks)
}

/// Whether a row stands for a block of a subject.
pub(super) fn covered(
    tree: &Tree,
    tenant: &TenantId,
    subject: &Subject,
    block: u64,
) -> Result<bool, StoreError> {
    let first = key::subject(tenant, subject, key::group(block));
    let last = key::subject(tenant, subject, block);
    for entry in tree.range(first..=last) {
        let (key, value) = entry.map_err(StoreError::index)?;
        if blocks(&key, &value).is_some_and(|blocks| blocks.contains(&block)) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use wardmesh_common::id::{DeviceId, MintedId};

    use super::*;

    #[test]
    fn who_speaks_all_the_time_costs_a_key_a_group() {
        let (tenant, device) = (TenantId::default_tenant(), Subject::Device(DeviceId(MintedId(7))));
        let mut covers = Covers::default();
        let written: Vec<(u64, u64)> = (3..70)
            .flat_map(|block| [block, block])
            .filter_map(|block| Some((block, covers.meet(&tenant, &device, block)?)))
            .collect();
        // In the first group 1, 4 and what is left of 16; then whole groups.
        let expected = [(3, 1), (4, 4), (8, 8), (16, 16), (32, 16), (48, 16), (64, 16)];
        assert_eq!(written, expected);
        assert_eq!(covers.meet(&tenant, &device, 90), Some(1), "after a pause");
        assert_eq!(covers.meet(&tenant, &device, 50), Some(1), "of an earlier block");
    }

    #[test]
    fn who_speaks_now_and_then_costs_no_key_for_each_word() {
        let (tenant, device) = (TenantId::default_tenant(), Subject::Device(DeviceId(MintedId(7))));
        // (blocks from one word to the next, keys for 1,024 blocks)
        for (every, keys) in [(1, 66), (3, 66), (5, 66), (6, 171)] {
            let mut covers = Covers::default();
            let met = (0..1_024).step_by(every);
            let written =
                met.filter(|block| covers.meet(&tenant, &device, *block).is_some()).count();
            assert_eq!(written, keys, "every {every} blocks");
        }
    }
}
