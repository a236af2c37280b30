//! Which stations are present: each (MAC, IP, VLAN) that sends, when first seen and while it stays.
//!
//! A router sends frames for addresses that are not its own; once a MAC address shows that, only
//! what ARP confirms is sighted under it. Bounded; pure.

use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::time::Duration;

use wardmesh_common::event::{Counter, Event, EventKind, Name, Party};
use wardmesh_common::net::MacAddress;
use wardmesh_common::time::Timestamp;

use crate::decode::Packet;
use crate::flow::HashKey;
use crate::flow::lru::LruMap;
use crate::tally::Tally;

/// 10 min: presence is known this well; more often would only fill the uplink.
pub const SIGHTING_INTERVAL: Duration = Duration::from_mins(10);
/// 65,536 sightings of about 120 bytes: 8 MiB, ten times a large site's stations.
pub const SIGHTINGS_MAX: usize = 65_536;
/// 32,768 stations are watched for routing at once.
pub const STATIONS_MAX: usize = 32_768;
/// 16: a host with this many addresses of its own is rare, a router exceeds it within seconds.
pub const ADDRESSES_PER_STATION_MAX: u32 = 16;

type Station = (MacAddress, Option<u16>);

/// Under which addresses a station was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    mac: MacAddress,
    ip: Option<IpAddr>,
    vlan: Option<u16>,
}

/// One write of 16 or 25 bytes: each frame is hashed, and field by field takes three times as long.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f] = self.mac.0;
        // No VLAN has this number (IEEE 802.1Q: 1 to 4094).
        let [v0, v1] = self.vlan.unwrap_or(u16::MAX).to_le_bytes();
        let family = match self.ip {
            None => 0,
            Some(IpAddr::V4(_)) => 4,
            Some(IpAddr::V6(_)) => 6,
        };
        let mut bytes =
            [a, b, c, d, e, f, v0, v1, family, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        match self.ip {
            None => {}
            Some(IpAddr::V4(ip)) => bytes[9..13].copy_from_slice(&ip.octets()),
            Some(IpAddr::V6(ip)) => bytes[9..].copy_from_slice(&ip.octets()),
        }
        let length = if family == 6 { bytes.len() } else { 16 };
        state.write(&bytes[..length]);
    }
}

/// What was sent since the last event of a sighting.
struct Presence {
    reported: Timestamp,
    packets: u64,
    bytes: u64,
}

/// Who is present.
pub(crate) struct SightingTable {
    present: LruMap<Key, Presence>,
    /// How many addresses that ARP has not confirmed were sighted under each station.
    addresses: LruMap<Station, u32>,
}

impl SightingTable {
    pub(crate) fn new(key: HashKey) -> Self {
        Self { present: LruMap::new(key), addresses: LruMap::new(key) }
    }

    /// Counts a frame for its sender, seen with this source address.
    pub(crate) fn push(
        &mut self,
        packet: &Packet<'_>,
        ip: Option<IpAddr>,
        now: Timestamp,
        out: &mut Vec<Event>,
        tally: &mut Tally,
    ) {
        let Some(mac) = packet.source.filter(|mac| mac.is_unicast()) else { return };
        let key = Key { mac, ip: ip.filter(is_station), vlan: packet.vlan };
        if self.repeat(key, packet, now, out) {
            return;
        }
        if key.ip.is_some() && !self.may_add_address((mac, packet.vlan), tally) {
            tally.dropped("sighting.behind_router");
            return;
        }
        self.begin(key, packet, now, out, tally);
    }

    /// Counts a frame for its sender, which said itself that this is its address.
    pub(crate) fn confirm(
        &mut self,
        packet: &Packet<'_>,
        ip: IpAddr,
        now: Timestamp,
        out: &mut Vec<Event>,
        tally: &mut Tally,
    ) {
        let Some(mac) = packet.source.filter(|mac| mac.is_unicast()) else { return };
        let key = Key { mac, ip: Some(ip).filter(is_station), vlan: packet.vlan };
        if !self.repeat(key, packet, now, out) {
            self.begin(key, packet, now, out, tally);
        }
    }

    /// Counts the frame if its sender is known; `false` if it is not.
    fn repeat(
        &mut self,
        key: Key,
        packet: &Packet<'_>,
        now: Timestamp,
        out: &mut Vec<Event>,
    ) -> bool {
        let Some(slot) = self.present.find(&key) else { return false };
        let Some(presence) = self.present.touch(slot) else { return false };
        presence.packets += 1;
        presence.bytes += u64::from(packet.wire_length);
        if now.since(presence.reported) >= SIGHTING_INTERVAL {
            out.push(presence.event(key, packet));
            *presence = Presence { reported: now, packets: 0, bytes: 0 };
        }
        true
    }

    fn begin(
        &mut self,
        key: Key,
        packet: &Packet<'_>,
        now: Timestamp,
        out: &mut Vec<Event>,
        tally: &mut Tally,
    ) {
        let first = Presence { reported: now, packets: 1, bytes: u64::from(packet.wire_length) };
        out.push(first.event(key, packet));
        evict(&mut self.present, SIGHTINGS_MAX, "sighting.evicted", tally);
        self.present.insert(key, Presence { reported: now, packets: 0, bytes: 0 });
    }

    /// Whether one more address may be this station's own.
    fn may_add_address(&mut self, station: Station, tally: &mut Tally) -> bool {
        let slot = match self.addresses.find(&station) {
            Some(slot) => slot,
            None => {
                evict(&mut self.addresses, STATIONS_MAX, "station.evicted", tally);
                self.addresses.insert(station, 0)
            }
        };
        let Some(count) = self.addresses.touch(slot) else { return false };
        *count = count.saturating_add(1);
        *count <= ADDRESSES_PER_STATION_MAX
    }
}

impl Presence {
    fn event(&self, Key { mac, ip, vlan }: Key, packet: &Packet<'_>) -> Event {
        let count = |key, value| Counter { key: Name::Borrowed(key), value };
        Event {
            observed_at: packet.at,
            kind: EventKind::Sighting,
            interface: packet.interface,
            device: Party { mac: Some(mac), ip, vlan },
            peer: None,
            service: None,
            attributes: Vec::new(),
            counters: vec![count("packets", self.packets), count("bytes", self.bytes)],
        }
    }
}

/// Whether an address can be one station's; what asks for one by DHCP sends from 0.0.0.0.
fn is_station(ip: &IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(address) if address.is_broadcast());
    !(ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() || broadcast)
}

/// Makes room for one more.
fn evict<K: Copy + Eq + std::hash::Hash, V>(
    map: &mut LruMap<K, V>,
    max: usize,
    what: &'static str,
    tally: &mut Tally,
) {
    if map.len() >= max
        && let Some(slot) = map.oldest()
    {
        map.remove(slot);
        tally.dropped(what);
    }
}
