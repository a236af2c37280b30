//! Joins the fragments of IP datagrams in bounded memory, driven by packet time.
//!
//! Where fragments overlap, the bytes that came first win, in IPv4 and IPv6 alike; overlaps are
//! counted, since no honest sender makes them. When a limit is reached the oldest datagram goes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use wardmesh_common::time::Timestamp;

use super::Malformed;
use super::bytes::{at_most, malformed};
use super::ip::{Datagram, Fragment};

/// The largest datagram, 64 KiB, in pieces of the smallest IPv4 MTU that is met (296 on old serial
/// lines); more pieces only make work.
const FRAGMENTS_PER_DATAGRAM_MAX: usize = 256;

/// Datagrams held at once. A monitored network has few at a time; the rest is flood.
const DATAGRAMS_MAX: usize = 1_024;

/// Bytes held at once, bookkeeping included: 256 of the largest datagrams.
const BYTES_MAX: usize = 16 << 20;

/// What a piece costs beside its bytes: its vector, its place in the list, the allocator.
const PIECE_OVERHEAD_BYTES: usize = 64;

/// How long a datagram waits for its missing fragments (Linux's ipfrag_time), in packet time.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The end of the largest datagram's payload, bytes.
const DATAGRAM_BYTES_MAX: u32 = 65_535;

/// What happened to fragments so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FragmentCounts {
    /// Fragments read.
    pub fragments: u64,
    /// Datagrams made whole.
    pub joined: u64,
    /// Fragments that overlapped others in part; the earlier bytes were kept.
    pub overlapping: u64,
    /// Fragments that repeated held bytes entirely.
    pub repeated: u64,
    /// Datagrams given up because fragments were missing for 30 seconds of packet time.
    pub timed_out: u64,
    /// Datagrams given up because too many datagrams, bytes or pieces were held.
    pub evicted: u64,
}

/// RFC 791 section 2.3 and RFC 8200 section 4.5, told apart by where they were seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    source: IpAddr,
    destination: IpAddr,
    id: u32,
    /// IPv4 only; in IPv6 fragments of one datagram may differ in it.
    protocol: Option<u8>,
    interface: u16,
    vlan: Option<u16>,
}

/// What of the frame matters to reassembly.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) at: Timestamp,
    pub(super) interface: u16,
    pub(super) vlan: Option<u16>,
    pub(super) wire_length: u32,
}

/// A datagram made whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Joined<'a> {
    pub(super) protocol: u8,
    pub(super) ttl: u8,
    pub(super) payload: &'a [u8],
    /// Bytes on the wire of all its frames.
    pub(super) wire_length: u32,
}

/// Datagrams that wait for fragments.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    /// In order of their first fragments.
    waiting: BTreeMap<u64, Assembly>,
    places: BTreeMap<Key, u64>,
    next_place: u64,
    bytes: usize,
    joined: Vec<u8>,
    pub(super) counts: FragmentCounts,
}

#[derive(Debug)]
struct Assembly {
    key: Key,
    since: Timestamp,
    /// Protocol and TTL of the first fragment by offset (RFC 8200 section 4.5).
    first: Option<(u8, u8)>,
    /// The payload's length, once the last fragment is there.
    total: Option<u32>,
    /// Sorted by offset, without overlap.
    pieces: Vec<Piece>,
    held: u32,
    wire_length: u32,
}

#[derive(Debug)]
struct Piece {
    offset: u32,
    bytes: Vec<u8>,
}

impl Fragments {
    /// Takes a fragment in; gives the datagram where that completes it.
    pub(super) fn push(
        &mut self,
        datagram: &Datagram<'_>,
        fragment: Fragment,
        seen: Seen,
    ) -> Result<Option<Joined<'_>>, Malformed> {
        self.counts.fragments += 1;
        self.expire(seen.at);
        check(datagram, fragment)?;
        let place = self.place(datagram, fragment, seen);
        let Some(assembly) = self.waiting.get_mut(&place) else { return Ok(None) };
        assembly.check_end(datagram, fragment)?;
        if assembly.pieces.len() >= FRAGMENTS_PER_DATAGRAM_MAX {
            self.counts.evicted += 1;
            self.remove(place);
            return Err(malformed(name(datagram), "fragments_beyond_limit"));
        }
        assembly.wire_length = assembly.wire_length.saturating_add(seen.wire_length);
        if fragment.offset == 0 {
            assembly.first.get_or_insert((datagram.protocol, datagram.ttl));
        }
        let added = assembly.add(fragment.offset, datagram.payload);
        self.bytes += added.cost;
        self.counts.overlapping += u64::from(added.overlapping);
        self.counts.repeated += u64::from(added.repeated);
        if assembly.is_whole() {
            return Ok(self.join(place));
        }
        self.make_room();
        Ok(None)
    }

    /// Gives up the datagrams that have waited too long at `now`.
    fn expire(&mut self, now: Timestamp) {
        while let Some((&place, oldest)) = self.waiting.first_key_value()
            && now.since(oldest.since) > TIMEOUT
        {
            self.remove(place);
            self.counts.timed_out += 1;
        }
    }

    /// What is held, bookkeeping included, bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn make_room(&mut self) {
        while (self.bytes > BYTES_MAX || self.waiting.len() > DATAGRAMS_MAX)
            && let Some((&place, _)) = self.waiting.first_key_value()
        {
            self.remove(place);
            self.counts.evicted += 1;
        }
    }

    fn place(&mut self, datagram: &Datagram<'_>, fragment: Fragment, seen: Seen) -> u64 {
        let key = Key {
            source: datagram.source,
            destination: datagram.destination,
            id: fragment.id,
            protocol: datagram.source.is_ipv4().then_some(datagram.protocol),
            interface: seen.interface,
            vlan: seen.vlan,
        };
        *self.places.entry(key).or_insert_with(|| {
            self.next_place += 1;
            self.waiting.insert(self.next_place, Assembly::new(key, seen.at));
            self.next_place
        })
    }

    fn remove(&mut self, place: u64) -> Option<Assembly> {
        let assembly = self.waiting.remove(&place)?;
        self.places.remove(&assembly.key);
        self.bytes = self.bytes.saturating_sub(assembly.cost());
        Some(assembly)
    }

    fn join(&mut self, place: u64) -> Option<Joined<'_>> {
        let assembly = self.remove(place)?;
        let (protocol, ttl) = assembly.first?;
        self.joined.clear();
        for piece in &assembly.pieces {
            self.joined.extend_from_slice(&piece.bytes);
        }
        self.counts.joined += 1;
        let (payload, wire_length) = (self.joined.as_slice(), assembly.wire_length);
        Some(Joined { protocol, ttl, payload, wire_length })
    }
}

/// What adding a fragment did.
#[derive(Default)]
struct Added {
    cost: usize,
    overlapping: bool,
    repeated: bool,
}

impl Assembly {
    fn new(key: Key, since: Timestamp) -> Self {
        let (pieces, held, wire_length) = (Vec::new(), 0, 0);
        Self { key, since, first: None, total: None, pieces, held, wire_length }
    }

    /// Holds a fragment against the datagram's end, or lets the last one set it.
    fn check_end(&mut self, datagram: &Datagram<'_>, fragment: Fragment) -> Result<(), Malformed> {
        let end = fragment.offset + datagram.payload.len() as u32;
        let held_end = self.pieces.last().map_or(0, Piece::end);
        match (self.total, fragment.more) {
            (Some(total), _) if end > total => {
                Err(malformed(name(datagram), "fragment_beyond_end"))
            }
            (Some(total), false) if end != total => {
                Err(malformed(name(datagram), "fragment_beyond_end"))
            }
            (None, false) if held_end > end => {
                Err(malformed(name(datagram), "fragment_beyond_end"))
            }
            (None, false) => {
                self.total = Some(end);
                Ok(())
            }
            (Some(_) | None, _) => Ok(()),
        }
    }

    /// Fills the gaps that the bytes cover; what is held stays.
    fn add(&mut self, offset: u32, bytes: &[u8]) -> Added {
        let (mut at, mut rest, mut fresh) = (offset, bytes, Vec::new());
        let first = self.pieces.partition_point(|piece| piece.end() <= offset);
        for piece in self.pieces.iter().skip(first) {
            let gap = at_most(rest, piece.offset.saturating_sub(at) as usize);
            if !gap.is_empty() {
                fresh.push(Piece { offset: at, bytes: gap.to_vec() });
            }
            let covered = (piece.end().saturating_sub(at) as usize).min(rest.len());
            rest = rest.get(covered..).unwrap_or_default();
            at += covered as u32;
            if rest.is_empty() {
                break;
            }
        }
        if !rest.is_empty() {
            fresh.push(Piece { offset: at, bytes: rest.to_vec() });
        }
        self.insert(fresh, bytes.len())
    }

    fn insert(&mut self, fresh: Vec<Piece>, length: usize) -> Added {
        let new: usize = fresh.iter().map(|piece| piece.bytes.len()).sum();
        let cost = fresh.iter().map(Piece::cost).sum();
        self.held += new as u32;
        self.pieces.extend(fresh);
        self.pieces.sort_by_key(|piece| piece.offset);
        Added { cost, overlapping: new != 0 && new != length, repeated: new == 0 }
    }

    fn is_whole(&self) -> bool {
        self.total == Some(self.held)
    }

    fn cost(&self) -> usize {
        self.pieces.iter().map(Piece::cost).sum()
    }
}

impl Piece {
    fn end(&self) -> u32 {
        self.offset + self.bytes.len() as u32
    }

    fn cost(&self) -> usize {
        self.bytes.len() + PIECE_OVERHEAD_BYTES
    }
}

fn check(datagram: &Datagram<'_>, fragment: Fragment) -> Result<(), Malformed> {
    let length = datagram.payload.len() as u32;
    let reason = if datagram.is_cut() {
        "fragment_cut_by_capture"
    } else if length == 0 {
        "fragment_empty"
    } else if fragment.more && !length.is_multiple_of(8) {
        "fragment_not_multiple_of_8"
    } else if fragment.offset.saturating_add(length) > DATAGRAM_BYTES_MAX {
        "fragment_beyond_64_kib"
    } else {
        return Ok(());
    };
    Err(malformed(name(datagram), reason))
}

fn name(datagram: &Datagram<'_>) -> &'static str {
    if datagram.source.is_ipv4() { "ipv4" } else { "ipv6" }
}
