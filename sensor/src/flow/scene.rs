//! Who spoke to whom when: what turns a dissector's observation into an event.

use std::mem;
use std::net::IpAddr;

use wardmesh_common::event::{Event, EventKind, Name, Party, Peer, Service};
use wardmesh_common::net::{MacAddress, Transport};
use wardmesh_common::time::Timestamp;

use crate::dissect::{
    Carrier, Dissector, Endpoint, Observation, Observations, Payload, Probe, Progress,
};
use crate::tally::Tally;

/// The dissectors in the order in which they are probed.
pub type Dissectors = &'static [&'static dyn Dissector];

/// Where events and counts go.
pub struct Sink<'a> {
    /// Appended to, in the order in which things happened.
    pub events: &'a mut Vec<Event>,
    /// Raised where something could not be read.
    pub tally: &'a mut Tally,
}

/// The circumstances of a payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene {
    pub(crate) at: Timestamp,
    pub(crate) interface: u16,
    pub(crate) vlan: Option<u16>,
    pub(crate) carrier: Carrier,
    pub(crate) source: Endpoint,
    pub(crate) destination: Endpoint,
    /// The responder's port.
    pub(crate) service_port: Option<u16>,
}

impl Scene {
    pub(crate) fn payload<'a>(&self, bytes: &'a [u8], ended: bool) -> Payload<'a> {
        Payload {
            carrier: self.carrier,
            source: self.source,
            destination: self.destination,
            bytes,
            ended,
        }
    }

    /// The same place seen from the other end.
    pub(crate) fn reversed(&self) -> Self {
        let mut scene = *self;
        mem::swap(&mut scene.source, &mut scene.destination);
        scene
    }

    /// Reports what was found, in the order in which it was found.
    pub(crate) fn report(
        &self,
        protocol: &'static str,
        found: &mut Observations,
        events: &mut Vec<Event>,
    ) {
        events.extend(found.0.drain(..).map(|observation| self.event(protocol, observation)));
    }

    fn event(&self, protocol: &'static str, said: Observation) -> Event {
        let transport = match self.carrier {
            Carrier::Link(_) => Transport::Link,
            Carrier::Udp => Transport::Udp,
            Carrier::Tcp => Transport::Tcp,
        };
        let peer = self.destination;
        Event {
            observed_at: self.at,
            kind: EventKind::Observation,
            interface: self.interface,
            device: self.device(&said),
            peer: Some(Peer { mac: peer.mac, ip: peer.ip, port: peer.port }),
            service: Some(Service {
                transport,
                port: self.service_port,
                protocol: Some(Name::Borrowed(protocol)),
            }),
            attributes: said.attributes,
            counters: Vec::new(),
        }
    }

    /// Who said it. What is said of another station never carries the IP address of its relay, and
    /// an unspecified address is none.
    fn device(&self, said: &Observation) -> Party {
        let relayed = said.device_mac.is_some() && said.device_mac != self.source.mac;
        let mac = said.device_mac.or(self.source.mac);
        let ip = said.device_ip.or(if relayed { None } else { self.source.ip });
        party(mac, ip, self.vlan)
    }
}

/// A device as an event names it: addresses that stand for having none are left out.
pub(crate) fn party(mac: Option<MacAddress>, ip: Option<IpAddr>, vlan: Option<u16>) -> Party {
    Party {
        mac: mac.filter(|mac| *mac != MacAddress::default()),
        ip: ip.filter(|ip| !ip.is_unspecified()),
        vlan,
    }
}

/// Reads one datagram or frame with the first dissector that knows it; gives its index.
pub(crate) fn read_datagram(
    dissectors: Dissectors,
    scene: &Scene,
    bytes: &[u8],
    found: &mut Observations,
    tally: &mut Tally,
) -> Option<usize> {
    if bytes.is_empty() {
        return None;
    }
    let payload = scene.payload(bytes, true);
    let index = dissectors.iter().position(|dissector| dissector.probe(&payload) == Probe::Yes)?;
    let dissector = dissectors.get(index)?;
    match dissector.dissect(&payload, found) {
        Progress::Consumed(_) => {}
        Progress::NeedMore(_) => tally.malformed(dissector.protocol(), "message_cut_short"),
        Progress::Malformed { reason, .. } => tally.malformed(dissector.protocol(), reason),
    }
    Some(index)
}
