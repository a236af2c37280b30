//! What the index knows of itself, in one value that every write renews with its rows.

use wardmesh_common::id::ClusterId;

use super::Missing;
use crate::store::fields::{Fields, checked, seal};

/// The layout of keys and rows; another one means: build it anew.
const VERSION: u16 = 3;

/// The index's own state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Meta {
    /// Whose entries it indexes, once that is known.
    pub(super) cluster: Option<ClusterId>,
    /// The first log index whose rows it has not had.
    pub(super) next: u64,
    /// Entries below `next` whose rows it lacks.
    pub(super) missing: Option<Missing>,
    /// Rows of entries below it are neither here nor missing.
    pub(super) from: u64,
    /// The most by which a row's events were ahead of the leader's clock, nanoseconds.
    pub(super) ahead: u64,
    /// Keys beside this one.
    pub(super) keys: u64,
    /// The wrapping sum of [`digest`] over all of them: what sled lost in silence shows here.
    pub(super) digest: u64,
}

/// A key's and its value's part of the sum.
pub(super) fn digest(key: &[u8], value: &[u8]) -> u64 {
    u64::from(crc32c::crc32c_append(crc32c::crc32c(key), value))
}

impl Meta {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = VERSION.to_le_bytes().to_vec();
        bytes.push(u8::from(self.cluster.is_some()));
        bytes.extend_from_slice(&self.cluster.unwrap_or_default().0);
        bytes.push(u8::from(self.missing.is_some()));
        let Missing { from, through } = self.missing.unwrap_or_default();
        let fields = [self.next, from, through, self.from, self.ahead, self.keys, self.digest];
        for field in fields {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        seal(bytes)
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(checked(bytes)?);
        if fields.u16()? != VERSION {
            return None;
        }
        let founded = fields.u8()? == 1;
        let cluster = ClusterId(fields.array()?);
        let lacks = fields.u8()? == 1;
        let next = fields.u64()?;
        let missing = Missing { from: fields.u64()?, through: fields.u64()? };
        Some(Self {
            cluster: founded.then_some(cluster),
            next,
            missing: lacks.then_some(missing),
            from: fields.u64()?,
            ahead: fields.u64()?,
            keys: fields.u64()?,
            digest: fields.u64()?,
        })
    }

    pub(super) fn added(&mut self, key: &[u8], value: &[u8]) {
        self.keys = self.keys.wrapping_add(1);
        self.digest = self.digest.wrapping_add(digest(key, value));
    }

    pub(super) fn removed(&mut self, key: &[u8], value: &[u8]) {
        self.keys = self.keys.wrapping_sub(1);
        self.digest = self.digest.wrapping_sub(digest(key, value));
    }

    /// Rows of the entries from `from` on and below `below` were passed over.
    pub(super) fn lacks(&mut self, from: u64, below: u64) {
        if from < below {
            let old = self.missing.unwrap_or(Missing { from, through: from });
            let through = old.through.max(below - 1);
            self.missing = Some(Missing { from: old.from.min(from), through });
        }
    }

    /// The index begins at `from`: what it lacks below is not missing.
    pub(super) fn begin_at(&mut self, from: u64) {
        self.from = self.from.max(from);
        self.next = self.next.max(from);
        self.lacks_none_below(from);
    }

    /// Rows of all entries below `below` are here, or cannot be had any more.
    pub(super) fn lacks_none_below(&mut self, below: u64) {
        self.missing = self.missing.and_then(|missing| missing.since(below));
    }
}
