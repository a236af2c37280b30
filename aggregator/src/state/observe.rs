//! One event: whose it is, whether it counts, and what it says.
//!
//! On the hot path: names are resolved once a batch, keys are reused, and nothing is allocated for
//! what is known already.

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use wardmesh_common::event::{EventKind, Party};
use wardmesh_common::id::{DeviceId, SensorId, SiteId, TenantId};
use wardmesh_common::map::HashKey;
use wardmesh_common::time::Timestamp;
use wardmesh_common::wire::v1::{ArchivedEvent, Batched};

use super::classify::dicom;
use super::devices::Device;
use super::evidence::{Field, Origin, Saying};
use super::identity::{Identities, Identity};
use super::ingest::{Tally, WARMED_EVENTS};
use super::merge::Window;
use super::room::DISK_FULL_SECONDS;
use super::sensors::Sensor;
use super::source::Source;
use super::track::Sight;
use super::words::{Word, Words};
use super::{DEVICES_MAX, Entry, Known, State};

/// An event from further in the leader's future than this has a wrong clock behind it: it takes the
/// leader's time, is flagged, and opens no visit. The past is no such sign: captures are replayed.
pub(super) const FUTURE_MAX: Duration = Duration::from_secs(5 * 60);

/// Where a batch comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// The leader's time.
    pub(super) at: Timestamp,
    pub(super) tenant: &'a TenantId,
    pub(super) site: &'a SiteId,
    pub(super) sensor: SensorId,
    pub(super) clock_offset: i64,
}

impl Place<'_> {
    /// The event time of an observation time, and whether it is suspect.
    fn event_time(&self, observed: Timestamp) -> (Timestamp, bool) {
        let at = observed.shifted(self.clock_offset);
        if at > self.at.plus(FUTURE_MAX) { (self.at, true) } else { (at, false) }
    }
}

/// What one batch needs while its events are applied.
#[derive(Debug)]
pub(super) struct Run<'a> {
    words: Words<'a>,
    interfaces: Vec<u16>,
    identities: Identities,
    hash_key: HashKey,
    /// Present where the site has several sensors.
    pub(super) window: Option<Arc<Window>>,
    pub(super) tally: Tally,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        place: &Place<'_>,
        batch: Batched<'a>,
        window: Option<Arc<Window>>,
        hash_key: HashKey,
    ) -> Self {
        Self {
            words: Words::of(batch),
            interfaces: Vec::new(),
            identities: Identities::new(place.tenant, place.site, place.sensor),
            hash_key,
            window,
            tally: Tally::default(),
        }
    }

    pub(super) fn learn_interfaces(&mut self, sensor: &mut Sensor, batch: Batched<'_>) {
        let names = batch.interfaces.iter();
        self.interfaces = names.map(|name| sensor.interface(name.as_str())).collect();
    }

    fn merges(&mut self, place: &Place<'_>, event: &ArchivedEvent, at: Timestamp) -> bool {
        let Some(window) = &mut self.window else { return false };
        let window = Arc::make_mut(window);
        window.merges(self.hash_key, event.sighting_key(), at, place.sensor)
    }
}

impl State {
    /// Looks at the devices of the next events one after the other, with nothing to wait for in
    /// between: the processor then fetches many of them at a time. It changes nothing, and with
    /// 100,000 devices it saves a third of the time.
    pub(super) fn warm(&self, run: &mut Run<'_>, events: &[ArchivedEvent]) {
        let mut slots = [None; WARMED_EVENTS];
        for (slot, event) in slots.iter_mut().zip(events) {
            let interface = run.interfaces.get(usize::from(event.interface.to_native()));
            let interface = interface.copied().unwrap_or(u16::MAX);
            *slot = self.attribute(run, &event.party(), interface, false).flatten();
        }
        let devices = || slots.iter().flatten().filter_map(|known| self.devices.at(known.slot));
        let seen = |device: &Device| {
            let ip = device.ips.first().map_or(0, |address| address.last_seen.as_nanos());
            let presence = device.sites.first();
            let stay = presence.and_then(|presence| presence.visits.last());
            let sensor = presence.and_then(|presence| presence.sensors.first());
            let known = device.evidence.first().map_or(0, |known| known.sightings);
            let service = device.services.first().map_or(0, |seen| seen.last_seen.as_nanos());
            ip ^ known
                ^ service
                ^ stay.map_or(0, |stay| stay.to.as_nanos())
                ^ sensor.map_or(0, |it| u64::from(it.0[0]))
        };
        black_box(devices().fold(0, |sum, device| sum ^ device.events));
        black_box(devices().fold(0, |sum, device| sum ^ seen(device)));
    }

    pub(super) fn observe(
        &mut self,
        entry: &mut Entry,
        place: &Place<'_>,
        run: &mut Run<'_>,
        batch: Batched<'_>,
        event: &ArchivedEvent,
    ) {
        let observed = event.observed_at();
        let (at, suspect) = place.event_time(observed);
        run.tally.time(observed, at, suspect);
        let kind = event.kind();
        if kind == EventKind::Health {
            return self.count_health(entry, place, run, event);
        }
        let party = event.party();
        let interface = run.interfaces.get(usize::from(event.interface.to_native()));
        let interface = interface.copied().unwrap_or(u16::MAX);
        let on_link = run.words.claims_address(event);
        let merged = run.merges(place, event, at);
        run.tally.merged += u64::from(merged);
        let served = self.served(run, event, interface);
        let Some(known) = self.attribute(run, &party, interface, on_link) else {
            run.tally.unattributed += 1;
            return;
        };
        let Some(known) = known.or_else(|| self.discover(entry, place, run, at)) else { return };
        run.tally.devices.push(known.device);
        let Some(device) = self.devices.at_mut(known.slot) else { return };
        let sight = Sight {
            at,
            suspect,
            site: place.site,
            sensor: place.sensor,
            ip: party.ip.filter(usable),
            on_link,
            vlan: party.vlan,
            evidence: entry.reference(),
            merged,
        };
        let routed = device.router;
        run.tally.arrivals += u64::from(device.see(&sight));
        if device.router != routed {
            let known = Known { router: true, ..known };
            self.identities.insert(device.identity.hash(run.hash_key), known);
        }
        if device.router && sight.ip.is_some_and(|ip| !device.has_ip(ip)) {
            // The sight that showed it to be a router: what is said is its guest's.
            return;
        }
        if kind == EventKind::Flow && !merged {
            let count = |word| run.words.count(event, word);
            device.count_flow(count(Word::Packets), count(Word::Bytes));
        }
        if let Some(service) = event.service.as_ref() {
            let port = service.port.as_ref().map(|port| port.to_native());
            device.serve(service.transport(), port, batch.protocol(event), at);
        }
        let origin = Origin { site: place.site, sensor: place.sensor, at, counts: !merged };
        listen(device, &run.words, event, &served, origin);
    }

    fn count_health(
        &mut self,
        entry: &mut Entry,
        place: &Place<'_>,
        run: &Run<'_>,
        event: &ArchivedEvent,
    ) {
        let Some(sensor) = self.sensors.get_mut(&place.sensor) else { return };
        let mut waited = 0;
        for counter in event.counters.iter() {
            let (name, value) =
                (run.words.name(counter.key.to_native()), counter.value.to_native());
            sensor.count_health(name, value);
            if name == DISK_FULL_SECONDS {
                waited = value;
            }
        }
        if waited > 0 {
            self.spool_ran_short(entry, place, waited);
        }
    }

    /// Whose event it is: `None` where it names nobody, `Some(None)` where that device is new; its
    /// identity is then the run's current one.
    fn attribute(
        &self,
        run: &mut Run<'_>,
        party: &Party,
        interface: u16,
        on_link: bool,
    ) -> Option<Option<Known>> {
        let ip = party.ip.filter(usable);
        let mac = party.mac.filter(|mac| mac.is_unicast());
        let identity = run.identities.choose(mac, ip, party.vlan, interface)?;
        let known = self.identities.get(&identity.hash(self.hash_key())).copied();
        let Some((known, ip)) = known.filter(|known| known.router).zip(ip) else {
            return Some(known);
        };
        // Behind a router: its own addresses are those that it claimed on the link.
        if on_link || self.devices.at(known.slot).is_some_and(|device| device.has_ip(ip)) {
            return Some(Some(known));
        }
        let identity = run.identities.choose(None, Some(ip), party.vlan, interface)?;
        Some(self.identities.get(&identity.hash(self.hash_key())).copied())
    }

    /// Makes a device of the run's current identity; `None` where there are too many.
    fn discover(
        &mut self,
        entry: &mut Entry,
        place: &Place<'_>,
        run: &Run<'_>,
        at: Timestamp,
    ) -> Option<Known> {
        if self.devices.len() >= DEVICES_MAX {
            self.core.devices_refused = self.core.devices_refused.saturating_add(1);
            return None;
        }
        let id = DeviceId(entry.mint());
        let identity: Identity = run.identities.current().clone();
        let hash = identity.hash(run.hash_key);
        let slot = self.devices.insert(Device::new(id, identity, place.tenant, place, at))?;
        let known = Known { device: id, slot, router: false };
        self.identities.insert(hash, known);
        Some(known)
    }

    /// The modalities that the peer of an accepted association is known to be.
    fn served(&self, run: &mut Run<'_>, event: &ArchivedEvent, interface: u16) -> Vec<String> {
        if !run.words.accepts(event) {
            return Vec::new();
        }
        let Some(peer) = event.peer() else { return Vec::new() };
        let party = Party { mac: peer.mac, ip: peer.ip, vlan: event.party().vlan };
        let known = self.attribute(run, &party, interface, false).flatten();
        let device = known.and_then(|known| self.devices.at(known.slot));
        let Some(device) = device else { return Vec::new() };
        let classes = device.values(Field::Class).into_iter();
        classes.filter(|class| dicom::is_modality(class)).map(str::to_owned).collect()
    }
}

/// Takes what an event says into a device's evidence.
fn listen(
    device: &mut Device,
    words: &Words<'_>,
    event: &ArchivedEvent,
    served: &[String],
    origin: Origin<'_>,
) {
    for attribute in event.attributes.iter() {
        let Some((source, says)) = words.reading(attribute.key.to_native()) else { continue };
        for value in attribute.values.iter() {
            says.iter().filter_map(|says| says.hear(source, value.as_str())).for_each(|saying| {
                device.note(saying, origin);
            });
        }
    }
    let Some(association) = words.association(event) else { return };
    if let Some(title) = association.title() {
        device.note(title, origin);
    }
    let mut class = |field, value: &str, weight, source| {
        device.note(Saying { field, value, source: Source::known(source), weight }, origin);
    };
    if association.requests
        && let Some((value, weight)) = dicom::proposed(words.syntaxes(event))
    {
        class(Field::Class, value, weight, "dicom.abstract_syntax");
    }
    if association.accepts {
        for modality in served {
            class(Field::Serves, modality, 900, "dicom.result");
        }
        let (value, weight) = dicom::accepting(device.values(Field::Serves).len());
        let source = Source::known("dicom.result");
        device.note(Saying { field: Field::Class, value, source, weight }, origin);
    }
}

/// An address that can be one station's.
pub(super) fn usable(ip: &IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !(ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() || broadcast)
}
