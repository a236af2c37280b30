//! What makes a device the same one.
//!
//! Private addresses overlap between hospitals: an IP address or host name never joins devices over
//! sites, and a locally administered MAC address (IEEE 802 section 8.4) is unique on its segment only.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use siphasher::sip128::{Hasher128, SipHasher13};
use wardmesh_common::id::{SensorId, SiteId, TenantId};
use wardmesh_common::map::HashKey;
use wardmesh_common::net::MacAddress;

use super::record::Record;

/// What makes a device the same one; the tenant comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    /// A universally administered MAC address, anywhere in the tenant.
    Mac {
        /// Whose it is.
        tenant: TenantId,
        /// The address.
        mac: MacAddress,
    },
    /// A locally administered MAC address: on one VLAN of one site. Two sensors of a site that tap
    /// one segment name its interface differently, so the interface takes no part.
    LocalMac {
        /// Whose it is.
        tenant: TenantId,
        /// The facility.
        site: SiteId,
        /// The VLAN; `None` when untagged.
        vlan: Option<u16>,
        /// The address.
        mac: MacAddress,
    },
    /// An IP address without a MAC address of its own (a link without any, or behind a router): on
    /// one VLAN of one interface of one sensor.
    Address {
        /// Whose it is.
        tenant: TenantId,
        /// The facility.
        site: SiteId,
        /// Who sees it.
        sensor: SensorId,
        /// The interface's place in the sensor's list (`Sensor::interfaces`).
        interface: u16,
        /// The VLAN; `None` when untagged.
        vlan: Option<u16>,
        /// The address.
        ip: IpAddr,
    },
}

impl Identity {
    /// The MAC address, where that is what names it.
    #[must_use]
    pub const fn mac(&self) -> Option<MacAddress> {
        match self {
            Self::Mac { mac, .. } | Self::LocalMac { mac, .. } => Some(*mac),
            Self::Address { .. } => None,
        }
    }

    fn tenant(&self) -> &TenantId {
        match self {
            Self::Mac { tenant, .. }
            | Self::LocalMac { tenant, .. }
            | Self::Address { tenant, .. } => tenant,
        }
    }

    /// 128 bits that stand for it: keyed, so that nobody outside can make two the same.
    pub(super) fn hash(&self, key: HashKey) -> u128 {
        self.hash_after(of_tenant(key, self.tenant()))
    }

    /// The same, where the tenant has been hashed already.
    fn hash_after(&self, mut hasher: SipHasher13) -> u128 {
        let number = |mac: &MacAddress, kind: u8| {
            let [a, b, c, d, e, f] = mac.0;
            u64::from_le_bytes([kind, 0, a, b, c, d, e, f])
        };
        match self {
            Self::Mac { mac, .. } => hasher.write_u64(number(mac, 1)),
            Self::LocalMac { site, vlan, mac, .. } => {
                hasher.write_u64(number(mac, 2));
                (site, vlan).hash(&mut hasher);
            }
            Self::Address { site, sensor, interface, vlan, ip, .. } => {
                hasher.write_u64(3);
                (site, sensor, interface, vlan, ip).hash(&mut hasher);
            }
        }
        hasher.finish128().as_u128()
    }

    /// `mac`, `local-mac` or `address`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Mac { .. } => "mac",
            Self::LocalMac { .. } => "local-mac",
            Self::Address { .. } => "address",
        }
    }
}

/// What every identity of a tenant is hashed after.
fn of_tenant(key: HashKey, tenant: &TenantId) -> SipHasher13 {
    let mut hasher = SipHasher13::new_with_key(&key.0);
    tenant.hash(&mut hasher);
    hasher
}

/// The address, and for what holds only within a site, the site and VLAN.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mac { mac, .. } => write!(f, "{mac}"),
            Self::LocalMac { site, mac, .. } => write!(f, "{mac} at {site}"),
            Self::Address { site, ip, .. } => write!(f, "{ip} at {site}"),
        }
    }
}

impl Record for Identity {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Mac { tenant, mac } => {
                out.push(1);
                tenant.write(out);
                mac.write(out);
            }
            Self::LocalMac { tenant, site, vlan, mac } => {
                out.push(2);
                tenant.write(out);
                site.write(out);
                (*vlan, *mac).write(out);
            }
            Self::Address { tenant, site, sensor, interface, vlan, ip } => {
                out.push(3);
                tenant.write(out);
                site.write(out);
                (*sensor, *interface).write(out);
                (*vlan, *ip).write(out);
            }
        }
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        let (kind, tenant) = (u8::read(from)?, TenantId::read(from)?);
        match kind {
            1 => Some(Self::Mac { tenant, mac: MacAddress::read(from)? }),
            2 => {
                let site = SiteId::read(from)?;
                let (vlan, mac) = Record::read(from)?;
                Some(Self::LocalMac { tenant, site, vlan, mac })
            }
            3 => {
                let site = SiteId::read(from)?;
                let (sensor, interface) = Record::read(from)?;
                let (vlan, ip) = Record::read(from)?;
                Some(Self::Address { tenant, site, sensor, interface, vlan, ip })
            }
            _ => None,
        }
    }
}

/// The identities of one batch's events, one at a time: its names are written and hashed once.
#[derive(Debug)]
pub(super) struct Identities {
    mac: Identity,
    local: Identity,
    address: Identity,
    chosen: Chosen,
    of_tenant: SipHasher13,
}

/// Which of them is the current one.
#[derive(Clone, Copy, Debug)]
enum Chosen {
    /// A universal MAC address.
    Mac,
    /// A local one.
    Local,
    /// An IP address.
    Address,
}

impl Identities {
    pub(super) fn new(key: HashKey, tenant: &TenantId, site: &SiteId, sensor: SensorId) -> Self {
        let of_tenant = of_tenant(key, tenant);
        let (tenant, site) = (tenant.clone(), site.clone());
        let (mac, vlan, interface) = (MacAddress::default(), None, 0);
        let ip = IpAddr::from([0, 0, 0, 0]);
        Self {
            mac: Identity::Mac { tenant: tenant.clone(), mac },
            local: Identity::LocalMac { tenant: tenant.clone(), site: site.clone(), vlan, mac },
            address: Identity::Address { tenant, site, sensor, interface, vlan, ip },
            chosen: Chosen::Mac,
            of_tenant,
        }
    }

    pub(super) fn current(&self) -> &Identity {
        match self.chosen {
            Chosen::Mac => &self.mac,
            Chosen::Local => &self.local,
            Chosen::Address => &self.address,
        }
    }

    /// The hash of the current one.
    pub(super) fn hash(&self) -> u128 {
        self.current().hash_after(self.of_tenant)
    }

    /// The identity of a party: by its MAC address, else by its IP address, else none. Answers its
    /// hash.
    pub(super) fn choose(
        &mut self,
        station: Option<MacAddress>,
        address: Option<IpAddr>,
        on_vlan: Option<u16>,
        seen_by: u16,
    ) -> Option<u128> {
        self.chosen = match (station, address) {
            (Some(station), _) if station.is_local() => Chosen::Local,
            (Some(_), _) => Chosen::Mac,
            (None, Some(_)) => Chosen::Address,
            (None, None) => return None,
        };
        match (self.chosen, &mut self.mac, &mut self.local, &mut self.address) {
            (Chosen::Mac, Identity::Mac { mac, .. }, ..) => *mac = station?,
            (Chosen::Local, _, Identity::LocalMac { mac, vlan, .. }, _) => {
                (*mac, *vlan) = (station?, on_vlan);
            }
            (.., Identity::Address { ip, vlan, interface, .. }) => {
                (*ip, *vlan, *interface) = (address?, on_vlan, seen_by);
            }
            _ => return None,
        }
        Some(self.hash())
    }
}
