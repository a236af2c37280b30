//! Which device an event is about, looked up again after it was applied: for queries and for
//! rebuilding the index. Changes nothing.

use wardmesh_common::id::{DeviceId, SensorId};
use wardmesh_common::time::Timestamp;
use wardmesh_common::wire::frame::Frame;
use wardmesh_common::wire::v1::{self, ArchivedEvent};

use super::State;
use super::command::Submission;
use super::effects::AppliedBatch;
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
        let Some(ip) = ip.filter(|_| known.router) else { return Some(known.device) };
        let router = self.devices.at(known.slot)?;
        if router.has_ip(ip) {
            return Some(known.device);
        }
        let guest = identities.choose(None, Some(ip), party.vlan, interface)?;
        self.identities.get(&guest).map(|guest| guest.device)
    }

    /// The index row of a submission as applying it gave, from its bytes alone; `None` where it is no
    /// batch of a known sensor.
    #[must_use]
    pub fn row_of(
        &self,
        ordinal: u32,
        submission: &Submission,
        received_at: Timestamp,
        scratch: &mut Vec<u8>,
    ) -> Option<AppliedBatch> {
        let sensor = self.sensors.get(&submission.sensor)?;
        let frame = Frame::open(&submission.frame).ok()?;
        let batch = v1::open(frame.archive(scratch).ok()?, frame.header.events).ok()?;
        let times = || batch.events.iter().map(ArchivedEvent::observed_at);
        let of = |event| self.device_of(sensor.id, batch.interface(event), event);
        let mut devices: Vec<_> = batch.events.iter().filter_map(of).collect();
        devices.sort_unstable();
        devices.dedup();
        Some(AppliedBatch {
            ordinal,
            tenant: sensor.tenant.clone(),
            site: sensor.site.clone(),
            sensor: sensor.id,
            epoch: frame.header.epoch,
            lane: frame.header.lane,
            seq: frame.header.seq,
            events: frame.header.events,
            observed_min: times().min().unwrap_or_default(),
            observed_max: times().max().unwrap_or_default(),
            received_at,
            devices,
        })
    }
}
