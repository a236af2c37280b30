//! How a device changes: a sight of it, an address, a service, a thing said.

use std::net::IpAddr;

use wardmesh_common::id::{DeviceId, SensorId, SiteId, TenantId};
use wardmesh_common::net::Transport;
use wardmesh_common::time::Timestamp;

use super::devices::{
    Address, Device, IPS_MAX, ROUTER_WINDOW, SERVICES_MAX, SITES_MAX, ServiceSeen, VLANS_MAX,
};
use super::evidence::{self, Field, Origin, Saying};
use super::findings::EventRef;
use super::identity::Identity;
use super::observe::Place;
use super::presence::Presence;
use super::sensors::clipped;
use super::source::Source;

/// What a sight showed that was not known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct News {
    /// The device was not at the site before.
    pub(super) arrived: bool,
    /// It is found by something else than before: a site or an address.
    pub(super) facets: bool,
}

/// One event as a sight of its device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight<'a> {
    /// Event time.
    pub(super) at: Timestamp,
    pub(super) suspect: bool,
    pub(super) site: &'a SiteId,
    pub(super) sensor: SensorId,
    pub(super) ip: Option<IpAddr>,
    pub(super) on_link: bool,
    pub(super) vlan: Option<u16>,
    pub(super) evidence: EventRef,
    /// Another sensor of the site has counted it.
    pub(super) merged: bool,
}

impl Device {
    pub(super) fn new(
        id: DeviceId,
        identity: Identity,
        tenant: &TenantId,
        place: &Place<'_>,
        at: Timestamp,
    ) -> Self {
        let mut device = Self {
            id,
            tenant: tenant.clone(),
            identity,
            ips: Vec::with_capacity(1),
            vlans: Vec::new(),
            router: false,
            first_seen: at,
            first_site: place.site.clone(),
            first_sensor: place.sensor,
            known_at: place.at,
            last_seen: at,
            time_suspect: false,
            sites: Vec::with_capacity(1),
            evidence: Vec::new(),
            services: Vec::new(),
            events: 0,
            merged: 0,
            packets: 0,
            bytes: 0,
        };
        device.note_block(Origin { site: place.site, sensor: place.sensor, at, counts: true });
        device
    }

    /// Who registered the address block: IEEE MA-L, MA-M and MA-S, the longest prefix.
    fn note_block(&mut self, origin: Origin<'_>) {
        let Some(mac) = self.mac().filter(|mac| !mac.is_local()) else { return };
        let digits: String = mac.0.iter().map(|byte| format!("{byte:02X}")).collect();
        let Some(block) = oui_data::lookup(&digits) else { return };
        let value = block.organization();
        let source = Source::known("link.oui_vendor");
        self.note(Saying { field: Field::Vendor, value, source, weight: 300 }, origin);
    }

    /// Reads from every part that a sight changes, for no other end than to have it at hand.
    pub(super) fn touch(&self) -> u64 {
        let presence = self.sites.first();
        let stay = presence.and_then(|presence| presence.visits.last());
        let sensor = presence.and_then(|presence| presence.sensors.first());
        let times = [
            self.ips.first().map(|address| address.last_seen),
            self.services.first().map(|service| service.last_seen),
            self.evidence.first().map(|known| known.last_seen),
            stay.map(|stay| stay.to),
        ];
        let sum = times.into_iter().flatten().fold(0, |sum, time| sum ^ time.as_nanos());
        sum ^ sensor.map_or(0, |sensor| u64::from(sensor.0[0]))
    }

    /// Takes in a sight.
    pub(super) fn see(&mut self, sight: &Sight<'_>) -> News {
        let (at, merged) = (sight.at, u64::from(sight.merged));
        if at < self.first_seen {
            self.first_seen = at;
            self.first_site = sight.site.clone();
            self.first_sensor = sight.sensor;
        }
        self.last_seen = self.last_seen.max(at);
        self.time_suspect |= sight.suspect;
        self.events = self.events.saturating_add(1 - merged);
        self.merged = self.merged.saturating_add(merged);
        if let Some(vlan) = sight.vlan
            && self.vlans.len() < VLANS_MAX
            && !self.vlans.contains(&vlan)
        {
            self.vlans.push(vlan);
        }
        let address = sight.ip.is_some_and(|ip| self.note_ip(ip, sight));
        let arrived = self.note_presence(sight);
        News { arrived, facets: address || arrived }
    }

    fn note_presence(&mut self, sight: &Sight<'_>) -> bool {
        let known = self.sites.iter().position(|presence| presence.site == *sight.site);
        if known.is_none() && self.sites.len() < SITES_MAX {
            self.sites.push(Presence::new(sight.site, sight.at, sight.evidence));
        }
        let at = known.unwrap_or(self.sites.len().saturating_sub(1));
        let presence = self.sites.get_mut(at).filter(|presence| presence.site == *sight.site);
        let Some(presence) = presence else { return false };
        presence.see(sight.at, sight.sensor, sight.evidence);
        if !sight.suspect {
            presence.stay(sight.at);
        }
        let count = if sight.merged { &mut presence.merged } else { &mut presence.events };
        *count = count.saturating_add(1);
        known.is_none()
    }

    /// True where the device's addresses have changed.
    fn note_ip(&mut self, ip: IpAddr, sight: &Sight<'_>) -> bool {
        let (at, on_link) = (sight.at, sight.on_link);
        if let Some(known) = self.ips.iter_mut().find(|known| known.ip == ip) {
            known.first_seen = known.first_seen.min(at);
            known.last_seen = known.last_seen.max(at);
            known.on_link |= on_link;
            return false;
        }
        let new = Address { ip, first_seen: at, last_seen: at, on_link };
        if self.ips.len() < IPS_MAX {
            self.ips.push(new);
            return true;
        }
        let oldest = self.ips.iter_mut().min_by_key(|known| known.last_seen);
        let Some(oldest) = oldest else { return false };
        if at.since(oldest.last_seen) <= ROUTER_WINDOW && !self.router {
            self.become_router(Origin {
                site: sight.site,
                sensor: sight.sensor,
                at,
                counts: !sight.merged,
            });
            return true;
        }
        let is_later = oldest.last_seen <= at;
        if is_later {
            *oldest = new;
        }
        is_later
    }

    /// What was said over IP behind this MAC address was said by others.
    fn become_router(&mut self, origin: Origin<'_>) {
        self.router = true;
        self.ips.retain(|known| known.on_link);
        self.evidence.retain(|known| known.source.is_on_link());
        self.services.clear();
        let source = Source::known("link.addresses");
        self.note(Saying { field: Field::Class, value: "router", source, weight: 500 }, origin);
    }

    pub(super) fn count_flow(&mut self, packets: u64, bytes: u64) {
        self.packets = self.packets.saturating_add(packets);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    pub(super) fn serve(
        &mut self,
        transport: Transport,
        port: Option<u16>,
        protocol: Option<&str>,
        at: Timestamp,
    ) {
        let protocol = protocol.map(clipped);
        let known = self.services.iter_mut().find(|known| {
            known.transport == transport
                && known.port == port
                && known.protocol.as_deref() == protocol
        });
        if let Some(known) = known {
            known.last_seen = known.last_seen.max(at);
            return;
        }
        let protocol = protocol.map(str::to_owned);
        let new = ServiceSeen { transport, port, protocol, last_seen: at };
        if self.services.len() < SERVICES_MAX {
            return self.services.push(new);
        }
        let oldest = self.services.iter_mut().min_by_key(|known| known.last_seen);
        if let Some(oldest) = oldest.filter(|oldest| oldest.last_seen <= at) {
            *oldest = new;
        }
    }

    /// Takes in what was said; true where the best value of a field may be another one now.
    pub(super) fn note(&mut self, saying: Saying<'_>, origin: Origin<'_>) -> bool {
        evidence::note(&mut self.evidence, saying, origin)
    }
}
