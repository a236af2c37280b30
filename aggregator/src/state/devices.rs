//! A device that the fleet knows: what names it, where and when it was, and what was said of it.
//!
//! It holds what was seen; class, vendor and names are read from the evidence and never stored twice.

use std::net::IpAddr;
use std::time::Duration;

use wardmesh_common::id::{DeviceId, SensorId, SiteId, TenantId};
use wardmesh_common::net::{MacAddress, Transport};
use wardmesh_common::time::Timestamp;

use super::evidence::{self, Evidence, Field};
use super::identity::Identity;
use super::presence::Presence;
use super::record::record;
use super::table::Entity;

/// IP addresses kept for one device; the one longest unseen makes room.
pub const IPS_MAX: usize = 32;

/// A MAC address under which more than [`IPS_MAX`] IP addresses were seen within this time is a
/// router's: no lease or privacy address changes that fast.
pub const ROUTER_WINDOW: Duration = Duration::from_secs(3_600);

/// VLANs named for one device.
pub const VLANS_MAX: usize = 16;

/// Sites named for one device: far above what makes it a duplicate (`correlate`).
pub const SITES_MAX: usize = 16;

/// Services named for one device; the one longest unseen makes room.
pub const SERVICES_MAX: usize = 32;

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What makes it the same one.
    pub identity: Identity,
    /// The addresses that it was seen under, most recent last-seen not necessarily last.
    pub ips: Vec<Address>,
    /// The VLANs that it was seen on.
    pub vlans: Vec<u16>,
    /// More IP addresses than a device has were seen behind its MAC address.
    pub router: bool,
    /// The earliest event of the whole fleet (event time).
    pub first_seen: Timestamp,
    /// The site of the earliest event.
    pub first_site: SiteId,
    /// The sensor of the earliest event.
    pub first_sensor: SensorId,
    /// The leader's time when the fleet came to know it: decided once.
    pub known_at: Timestamp,
    /// The latest event (event time).
    pub last_seen: Timestamp,
    /// An event's time lay beyond the leader's and was set to it.
    pub time_suspect: bool,
    /// Where it was, in the order in which the sites were learned.
    pub sites: Vec<Presence>,
    /// Why we believe what we show.
    pub evidence: Vec<Evidence>,
    /// What it spoke over.
    pub services: Vec<ServiceSeen>,
    /// Events about it, those that a second sensor saw too counted once.
    pub events: u64,
    /// Events about it that a second sensor of a site had seen already.
    pub merged: u64,
    /// Packets of its flows.
    pub packets: u64,
    /// Bytes of its flows.
    pub bytes: u64,
}

record!(Device {
    id,
    tenant,
    identity,
    ips,
    vlans,
    router,
    first_seen,
    first_site,
    first_sensor,
    known_at,
    last_seen,
    time_suspect,
    sites,
    evidence,
    services,
    events,
    merged,
    packets,
    bytes,
});

/// An IP address of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// First seen (event time).
    pub first_seen: Timestamp,
    /// Last seen (event time).
    pub last_seen: Timestamp,
    /// The device claimed it on the link itself (ARP, RFC 826; NDP, RFC 4861): not a router's guest.
    pub on_link: bool,
}

record!(Address { ip, first_seen, last_seen, on_link });

/// A service that a device took part in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceSeen {
    /// What carries it.
    pub transport: Transport,
    /// The server's port.
    pub port: Option<u16>,
    /// The protocol, where its grammar was recognised.
    pub protocol: Option<String>,
    /// Last seen (event time).
    pub last_seen: Timestamp,
}

record!(ServiceSeen { transport, port, protocol, last_seen });

impl Entity for Device {
    type Key = (TenantId, DeviceId);
    const KIND: u8 = 1;

    fn key(&self) -> Self::Key {
        (self.tenant.clone(), self.id)
    }
}

impl Device {
    /// Its MAC address, where it has one.
    #[must_use]
    pub fn mac(&self) -> Option<MacAddress> {
        self.identity.mac()
    }

    /// The evidence that decides its class.
    #[must_use]
    pub fn class(&self) -> Option<&Evidence> {
        self.best(Field::Class)
    }

    /// The evidence that decides its vendor.
    #[must_use]
    pub fn vendor(&self) -> Option<&Evidence> {
        self.best(Field::Vendor)
    }

    /// The evidence that decides its model.
    #[must_use]
    pub fn model(&self) -> Option<&Evidence> {
        self.best(Field::Model)
    }

    /// The evidence that decides a field: the heaviest, the earliest among equals.
    #[must_use]
    pub fn best(&self, field: Field) -> Option<&Evidence> {
        evidence::best(&self.evidence, field)
    }

    /// All distinct values of a field, in the order in which they were learned.
    #[must_use]
    pub fn values(&self, field: Field) -> Vec<&str> {
        let mut values: Vec<&str> = Vec::new();
        for known in self.evidence.iter().filter(|known| known.field == field) {
            if !values.contains(&known.value.as_str()) {
                values.push(&known.value);
            }
        }
        values
    }

    /// Its host names.
    #[must_use]
    pub fn hostnames(&self) -> Vec<&str> {
        self.values(Field::Hostname)
    }

    /// Its DICOM application entity titles.
    #[must_use]
    pub fn ae_titles(&self) -> Vec<&str> {
        self.values(Field::AeTitle)
    }

    /// Whether it was seen at a site.
    #[must_use]
    pub fn is_at(&self, site: &SiteId) -> bool {
        self.sites.iter().any(|presence| presence.site == *site)
    }

    /// Whether it was seen under an IP address.
    #[must_use]
    pub fn has_ip(&self, ip: IpAddr) -> bool {
        self.ips.iter().any(|address| address.ip == ip)
    }
}
