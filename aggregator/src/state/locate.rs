//! Which device an event is about, looked up again after it was applied: for queries. Changes nothing.

use wardmesh_common::id::{DeviceId, SensorId};
use wardmesh_common::wire::v1::ArchivedEvent;

use super::State;
use super::identity::Identities;
use super::observe::usable;

impl State {
    /// The device that an event of a sensor is about, as the state knows it now; `interface` is the
    /// name of the one that saw it.
    #[must_use]
    pub fn device_of(
        &self,
        sensor: SensorId,
        interface: &str,
        event: &ArchivedEvent,
    ) -> Option<DeviceId> {
        let sensor = self.sensors.get(&sensor)?;
        let interface = sensor.known_interface(interface).unwrap_or(u16::MAX);
        let mut identities =
            Identities::new(self.hash_key(), &sensor.tenant, &sensor.site, sensor.id);
        let party = event.party();
        let ip = party.ip.filter(usable);
        let mac = party.mac.filter(|mac| mac.is_unicast());
        let identity = identities.choose(mac, ip, party.vlan, interface)?;
        let known = *self.identities.get(&identity)?;
        let device = self.devices.at(known.slot)?;
        let Some(ip) = ip.filter(|ip| known.router && !device.has_ip(*ip)) else {
            return Some(device.id);
        };
        let guest = identities.choose(None, Some(ip), party.vlan, interface)?;
        let guest = self.identities.get(&guest)?;
        self.devices.at(guest.slot).map(|guest| guest.id)
    }
}
