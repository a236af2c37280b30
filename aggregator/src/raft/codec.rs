//! Log ids, votes, memberships and payloads as bytes: little-endian, lengths before contents.
//!
//! The log, the snapshots and the wire between nodes share it. Pure. A reader believes no length: it
//! reads what is there or answers `Malformed`.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Buf, BufMut, Bytes};

use crate::state::command::{Command, NotACommand};

use super::types::{
    Entry, LeaderId, LogId, Member, Membership, Payload, SnapshotMeta, StoredMembership, Vote,
};

#[cfg(test)]
mod tests;

/// The kind byte of an entry that holds nothing: the first of a leader's term.
const BLANK: u8 = 0;
/// The kind byte of a command.
pub(super) const COMMAND: u8 = 1;
/// The kind byte of a membership.
const MEMBERSHIP: u8 = 2;

/// Why bytes are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// They end within a field.
    #[error("it ends within its {0}")]
    Short(&'static str),
    /// A field has a value that this build does not know.
    #[error("its {0} has a value that this build does not know: {1}")]
    Unknown(&'static str, u64),
    /// The membership breaks Raft's rules, such as a voter without an address.
    #[error("its membership is none: {0}")]
    Membership(String),
    /// The command's bytes.
    #[error("its command cannot be decoded: {0}")]
    Command(#[from] NotACommand),
    /// The command cannot be laid out.
    #[error("its command cannot be encoded: {0}")]
    Encode(String),
}

impl From<Malformed> for std::io::Error {
    fn from(malformed: Malformed) -> Self {
        Self::new(std::io::ErrorKind::InvalidData, malformed)
    }
}

/// Bytes of a log id: term, node, index.
pub const LOG_ID_LENGTH: usize = 24;
/// Bytes of a vote: term, node, whether it won.
pub const VOTE_LENGTH: usize = 17;

/// Appends a log id, [`LOG_ID_LENGTH`] bytes.
pub fn put_log_id(out: &mut Vec<u8>, id: &LogId) {
    out.put_u64_le(id.leader_id.term);
    out.put_u64_le(id.leader_id.node_id);
    out.put_u64_le(id.index);
}

/// Appends one byte that says whether there is one, and the log id.
pub fn put_log_id_option(out: &mut Vec<u8>, id: Option<&LogId>) {
    out.put_u8(id.is_some().into());
    if let Some(id) = id {
        put_log_id(out, id);
    }
}

/// Appends a vote, [`VOTE_LENGTH`] bytes.
pub fn put_vote(out: &mut Vec<u8>, vote: &Vote) {
    out.put_u64_le(vote.leader_id.term);
    out.put_u64_le(vote.leader_id.node_id);
    out.put_u8(vote.committed.into());
}

/// Appends a text: its length (u32) and its UTF-8.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

/// Appends bytes after their length (u32): an entry's are far below 4 GiB.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.put_u32_le(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.put_slice(bytes);
}

/// Appends a membership: the voters of its configurations, then all members.
pub fn put_membership(out: &mut Vec<u8>, membership: &Membership) {
    let configs = membership.get_joint_config();
    put_count(out, configs.len());
    for voters in configs {
        put_count(out, voters.len());
        voters.iter().for_each(|id| out.put_u64_le(*id));
    }
    put_count(out, membership.nodes().count());
    for (id, member) in membership.nodes() {
        out.put_u64_le(*id);
        put_member(out, member);
    }
}

/// Appends a member's name and addresses.
pub fn put_member(out: &mut Vec<u8>, member: &Member) {
    put_text(out, &member.name);
    put_text(out, &member.raft_address);
    put_text(out, &member.ingest_address);
    put_text(out, &member.http_address);
}

/// Appends what a snapshot stands for.
pub fn put_meta(out: &mut Vec<u8>, meta: &SnapshotMeta) {
    put_log_id_option(out, meta.last_log_id.as_ref());
    put_log_id_option(out, meta.last_membership.log_id().as_ref());
    put_membership(out, meta.last_membership.membership());
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.put_u32_le(u32::try_from(count).unwrap_or(u32::MAX));
}

/// A payload's kind byte and its bytes.
///
/// # Errors
/// [`Malformed::Encode`] if a command cannot be laid out.
pub fn payload_bytes(payload: &Payload) -> Result<(u8, Bytes), Malformed> {
    Ok(match payload {
        Payload::Blank => (BLANK, Bytes::new()),
        Payload::Normal(command) => {
            let bytes = command.encode();
            (COMMAND, bytes.map_err(|error| Malformed::Encode(error.to_string()))?)
        }
        Payload::Membership(membership) => {
            let mut out = Vec::new();
            put_membership(&mut out, membership);
            (MEMBERSHIP, out.into())
        }
    })
}

/// The payload of a kind byte and bytes; a command's frames stay slices of them.
///
/// # Errors
/// [`Malformed`] if they are none that this build knows.
pub fn payload(kind: u8, bytes: Bytes) -> Result<Payload, Malformed> {
    match kind {
        BLANK => Ok(Payload::Blank),
        COMMAND => Ok(Payload::Normal(Command::decode(bytes)?)),
        MEMBERSHIP => Ok(Payload::Membership(Reader::new(bytes).membership()?)),
        other => Err(Malformed::Unknown("kind", other.into())),
    }
}

/// Appends an entry: its log id, kind, and its payload after a length.
///
/// # Errors
/// [`Malformed::Encode`] if its command cannot be laid out.
pub fn put_entry(out: &mut Vec<u8>, entry: &Entry) -> Result<(), Malformed> {
    let (kind, bytes) = payload_bytes(&entry.payload)?;
    put_log_id(out, &entry.log_id);
    out.put_u8(kind);
    put_bytes(out, &bytes);
    Ok(())
}

/// Reads fields from the front of bytes.
pub struct Reader {
    bytes: Bytes,
}

impl Reader {
    /// A reader at the front.
    #[must_use]
    pub fn new(bytes: Bytes) -> Self {
        Self { bytes }
    }

    /// Bytes that were not read yet.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// The next `length` bytes, not copied.
    ///
    /// # Errors
    /// [`Malformed::Short`] if there are fewer.
    pub fn take(&mut self, length: usize, what: &'static str) -> Result<Bytes, Malformed> {
        if self.bytes.len() < length {
            return Err(Malformed::Short(what));
        }
        Ok(self.bytes.split_to(length))
    }

    /// One byte.
    ///
    /// # Errors
    /// [`Malformed::Short`] at the end.
    pub fn u8(&mut self, what: &'static str) -> Result<u8, Malformed> {
        Ok(self.take(1, what)?.get_u8())
    }

    /// A u32.
    ///
    /// # Errors
    /// [`Malformed::Short`] if there are fewer than four bytes.
    pub fn u32(&mut self, what: &'static str) -> Result<u32, Malformed> {
        Ok(self.take(4, what)?.get_u32_le())
    }

    /// A u64.
    ///
    /// # Errors
    /// [`Malformed::Short`] if there are fewer than eight bytes.
    pub fn u64(&mut self, what: &'static str) -> Result<u64, Malformed> {
        Ok(self.take(8, what)?.get_u64_le())
    }

    /// A truth value: 0 or 1.
    ///
    /// # Errors
    /// [`Malformed`] if it is neither or missing.
    pub fn bool(&mut self, what: &'static str) -> Result<bool, Malformed> {
        match self.u8(what)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Malformed::Unknown(what, other.into())),
        }
    }

    /// What [`put_bytes`] wrote.
    ///
    /// # Errors
    /// [`Malformed::Short`] if there is less than the length says.
    pub fn bytes(&mut self, what: &'static str) -> Result<Bytes, Malformed> {
        let length = self.u32(what)?;
        self.take(length as usize, what)
    }

    /// What [`put_text`] wrote.
    ///
    /// # Errors
    /// [`Malformed`] if it is cut short or no UTF-8.
    pub fn text(&mut self, what: &'static str) -> Result<String, Malformed> {
        let bytes = self.bytes(what)?;
        let text = std::str::from_utf8(&bytes);
        text.map(str::to_owned)
            .map_err(|error| Malformed::Unknown(what, error.valid_up_to() as u64))
    }

    /// What [`put_log_id`] wrote.
    ///
    /// # Errors
    /// [`Malformed::Short`] if it is cut short.
    pub fn log_id(&mut self) -> Result<LogId, Malformed> {
        let leader = LeaderId { term: self.u64("term")?, node_id: self.u64("leader")? };
        Ok(LogId::new(leader, self.u64("index")?))
    }

    /// What [`put_log_id_option`] wrote.
    ///
    /// # Errors
    /// [`Malformed`] if it is cut short.
    pub fn log_id_option(&mut self) -> Result<Option<LogId>, Malformed> {
        self.bool("log id")?.then(|| self.log_id()).transpose()
    }

    /// What [`put_vote`] wrote.
    ///
    /// # Errors
    /// [`Malformed`] if it is cut short.
    pub fn vote(&mut self) -> Result<Vote, Malformed> {
        let leader_id = LeaderId { term: self.u64("term")?, node_id: self.u64("candidate")? };
        Ok(Vote { leader_id, committed: self.bool("vote")? })
    }

    /// What [`put_member`] wrote.
    ///
    /// # Errors
    /// [`Malformed`] if it is cut short.
    pub fn member(&mut self) -> Result<Member, Malformed> {
        Ok(Member {
            name: self.text("member's name")?,
            raft_address: self.text("member's Raft address")?,
            ingest_address: self.text("member's ingest address")?,
            http_address: self.text("member's HTTP address")?,
        })
    }

    /// What [`put_membership`] wrote.
    ///
    /// # Errors
    /// [`Malformed`] if it is cut short or breaks Raft's rules.
    pub fn membership(&mut self) -> Result<Membership, Malformed> {
        let mut configs = Vec::new();
        for _ in 0..self.u32("configurations")? {
            let count = self.u32("voters")?;
            let voters = (0..count).map(|_| self.u64("voter"));
            configs.push(voters.collect::<Result<BTreeSet<_>, _>>()?);
        }
        let count = self.u32("members")?;
        let members = (0..count).map(|_| Ok((self.u64("member's id")?, self.member()?)));
        let members = members.collect::<Result<BTreeMap<_, _>, Malformed>>()?;
        if configs.is_empty() && members.is_empty() {
            return Ok(Membership::default());
        }
        Membership::new(configs, members).map_err(|error| Malformed::Membership(error.to_string()))
    }

    /// What [`put_meta`] wrote.
    ///
    /// # Errors
    /// [`Malformed`] if it is cut short or its membership is none.
    pub fn meta(&mut self) -> Result<SnapshotMeta, Malformed> {
        let last_log_id = self.log_id_option()?;
        let at = self.log_id_option()?;
        let last_membership = StoredMembership::new(at, self.membership()?);
        Ok(SnapshotMeta { last_log_id, last_membership })
    }

    /// What [`put_entry`] wrote.
    ///
    /// # Errors
    /// [`Malformed`] if it is cut short or holds what this build does not know.
    pub fn entry(&mut self) -> Result<Entry, Malformed> {
        let log_id = self.log_id()?;
        let kind = self.u8("kind")?;
        Ok(Entry { log_id, payload: payload(kind, self.bytes("payload")?)? })
    }
}
