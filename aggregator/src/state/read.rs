//! What the HTTP API asks of a state: everything by tenant, lists in the order of their ids.

use std::net::IpAddr;
use std::ops::Bound;

use wardmesh_common::id::{ClusterId, DeviceId, FindingId, SensorId, SiteId, TenantId};
use wardmesh_common::map::HashKey;
use wardmesh_common::net::MacAddress;
use wardmesh_common::time::Timestamp;

use super::State;
use super::devices::Device;
use super::digest::Digest;
use super::findings::Finding;
use super::identity::Identity;
use super::sensors::Sensor;
use super::sites::Site;

impl State {
    /// The cluster; `None` before it was founded.
    #[must_use]
    pub fn cluster(&self) -> Option<ClusterId> {
        self.core.cluster
    }

    /// SHA-256 of the admin token; `None` before the cluster was founded.
    #[must_use]
    pub fn admin_token(&self) -> Option<[u8; 32]> {
        self.core.cluster.map(|_| self.core.admin_token)
    }

    /// The key of every hash in this state; zeros before the cluster was founded.
    #[must_use]
    pub fn hash_key(&self) -> HashKey {
        HashKey(self.core.key)
    }

    /// The leader's time of the latest command.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.core.at
    }

    /// The log index of the latest applied entry; 0 before the first.
    #[must_use]
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// The latest digest: at most a tick of the leader, a second, behind the latest applied entry.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digests.last().unwrap_or(Digest { index: 0, value: 0 })
    }

    /// The latest digest at or before an index, the same on every replica; `None` where that entry is not
    /// applied yet, or came before the latest `DIGESTS_MAX`.
    #[must_use]
    pub fn digest_at(&self, index: u64) -> Option<Digest> {
        self.digests.at(index).filter(|_| index <= self.applied)
    }

    /// Devices of all tenants.
    #[must_use]
    pub fn device_count(&self) -> usize {
        self.devices.len()
    }

    /// A tenant's devices in the order of their ids (of the time of their discovery), after one.
    pub fn devices(
        &self,
        tenant: &TenantId,
        after: Option<DeviceId>,
    ) -> impl DoubleEndedIterator<Item = &Device> {
        let id = |id: u128| (tenant.clone(), DeviceId(wardmesh_common::id::MintedId(id)));
        let from =
            after.map_or(Bound::Included(id(0)), |after| Bound::Excluded((tenant.clone(), after)));
        self.devices.range((from, Bound::Included(id(u128::MAX))))
    }

    /// All tenants' devices in the order of tenants and ids, after one.
    pub fn devices_of_all(
        &self,
        after: Option<(TenantId, DeviceId)>,
    ) -> impl Iterator<Item = &Device> {
        self.devices.range((after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded))
    }

    /// One device.
    #[must_use]
    pub fn device(&self, tenant: &TenantId, id: DeviceId) -> Option<&Device> {
        self.devices.get(&(tenant.clone(), id))
    }

    /// The devices with a MAC address, in the order of their ids: at most one with a universally
    /// administered one, one a site and VLAN with a locally administered one.
    #[must_use]
    pub fn devices_by_mac(&self, tenant: &TenantId, mac: MacAddress) -> Vec<&Device> {
        if mac.is_local() {
            let devices = self.devices(tenant, None);
            return devices.filter(|device| device.mac() == Some(mac)).collect();
        }
        let identity = Identity::Mac { tenant: tenant.clone(), mac };
        let known = self.identities.get(&identity.hash(self.hash_key()));
        known.and_then(|known| self.devices.at(known.slot)).into_iter().collect()
    }

    /// The devices that were seen under an IP address, at any site: those are different devices.
    pub fn devices_by_ip(&self, tenant: &TenantId, ip: IpAddr) -> impl Iterator<Item = &Device> {
        self.devices(tenant, None).filter(move |device| device.has_ip(ip))
    }

    /// The devices that were seen at a site.
    pub fn devices_at(&self, tenant: &TenantId, site: &SiteId) -> impl Iterator<Item = &Device> {
        self.devices(tenant, None).filter(move |device| device.is_at(site))
    }

    /// A tenant's sites in the order of their names.
    pub fn sites(&self, tenant: &TenantId) -> impl Iterator<Item = &Site> {
        self.sites.keys().filter(move |key| key.0 == *tenant).filter_map(|key| self.sites.get(key))
    }

    /// One site.
    #[must_use]
    pub fn site(&self, tenant: &TenantId, site: &SiteId) -> Option<&Site> {
        self.sites.get(&(tenant.clone(), site.clone()))
    }

    /// A tenant's sensors in the order of their ids.
    pub fn sensors(&self, tenant: &TenantId) -> impl Iterator<Item = &Sensor> {
        let all = self.sensors.keys().filter_map(|key| self.sensors.get(key));
        all.filter(move |sensor| sensor.tenant == *tenant)
    }

    /// One sensor, whoever's it is: ids are unique over all tenants. Admission asks by it.
    #[must_use]
    pub fn sensor(&self, id: SensorId) -> Option<&Sensor> {
        self.sensors.get(&id)
    }

    /// A tenant's findings in the order of their ids (of the time when they were raised), after one.
    pub fn findings(
        &self,
        tenant: &TenantId,
        after: Option<FindingId>,
    ) -> impl DoubleEndedIterator<Item = &Finding> {
        let id = |id: u128| (tenant.clone(), FindingId(wardmesh_common::id::MintedId(id)));
        let from =
            after.map_or(Bound::Included(id(0)), |after| Bound::Excluded((tenant.clone(), after)));
        self.findings.range((from, Bound::Included(id(u128::MAX))))
    }

    /// Findings of all tenants that are neither resolved nor suppressed.
    #[must_use]
    pub fn pending_finding_count(&self) -> usize {
        self.pending_findings
    }

    /// The keyed hash of a finding as it stands, the same on every replica: another one for each
    /// change of it.
    #[must_use]
    pub fn finding_hash(&self, tenant: &TenantId, id: FindingId) -> Option<u64> {
        self.findings.hash_of(&(tenant.clone(), id))
    }

    /// One finding.
    #[must_use]
    pub fn finding(&self, tenant: &TenantId, id: FindingId) -> Option<&Finding> {
        self.findings.get(&(tenant.clone(), id))
    }

    /// Causes that were not recorded because `FINDINGS_MAX` findings are.
    #[must_use]
    pub fn findings_refused(&self) -> u64 {
        self.core.findings_refused
    }

    /// Devices that were not recorded because `DEVICES_MAX` are.
    #[must_use]
    pub fn devices_refused(&self) -> u64 {
        self.core.devices_refused
    }
}
