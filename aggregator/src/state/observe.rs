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
use super::identity::Identities;
use super::ingest::Tally;
use super::merge::Window;
use super::room::DISK_FULL_SECONDS;
use super::sensors::Sensor;
use super::source::Source;
use super::track::Sight;
use super::words::{Word, Words};
use super::{DEVICES_MAX, Entry, Known, State};

/// 2001-01-01T00:00:00Z: clocks that were never set begin in 1970, 1980 or 2000, and nothing that is watched
/// was seen before.
const UNSET_BEFORE: Timestamp = Timestamp::from_parts(978_307_200, 0);

/// An event from further in the leader's future than this has a wrong clock behind it: it takes the
/// leader's time, is flagged, and opens no visit. The past is no such sign: captures are replayed.
pub(super) const FUTURE_MAX: Duration = Duration::from_secs(5 * 60);

/// Events whose devices are looked for together: they stay in the processor's first cache.
pub(super) const FOUND_EVENTS: usize = 32;

/// The devices of some events, where they are known.
pub(super) type Found = [Option<Known>; FOUND_EVENTS];

/// Where a batch comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// The leader's time.
    pub(super) at: Timestamp,
    pub(super) tenant: &'a TenantId,
    pub(super) site: &'a SiteId,
    pub(super) sensor: SensorId,
    pub(super) clock_offset: i64,
    /// When the batch was sealed, by the sensor's clock.
    pub(super) sealed_at: Timestamp,
}

impl Place<'_> {
    /// The event time of an observation time, and whether it is suspect: later than the leader's time, or
    /// than the sealing of its own batch, or from before any clock was set. What is suspect counts as
    /// seen now.
    fn event_time(&self, observed: Timestamp) -> (Timestamp, bool) {
        let at = observed.shifted(self.clock_offset);
        let future = at > self.at.plus(FUTURE_MAX) || observed > self.sealed_at.plus(FUTURE_MAX);
        let suspect = future || at < UNSET_BEFORE || observed < UNSET_BEFORE;
        if suspect { (self.at, true) } else { (at, false) }
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
            identities: Identities::new(hash_key, place.tenant, place.site, place.sensor),
            hash_key,
            window,
            tally: Tally::default(),
        }
    }

    pub(super) fn learn_interfaces(&mut self, sensor: &mut Sensor, batch: Batched<'_>) {
        let names = batch.interfaces.iter();
        self.interfaces = names.map(|name| sensor.interface(name.as_str())).collect();
    }

    /// The place of an event's interface in its sensor's list.
    fn interface(&self, event: &ArchivedEvent) -> u16 {
        let at = usize::from(event.interface.to_native());
        self.interfaces.get(at).copied().unwrap_or(u16::MAX)
    }

    /// The identity of a party, by its hash; it is then the current one.
    fn identity(&mut self, party: &Party, interface: u16) -> Option<u128> {
        let ip = party.ip.filter(usable);
        let mac = party.mac.filter(|mac| mac.is_unicast());
        self.identities.choose(mac, ip, party.vlan, interface)
    }

    fn merges(&mut self, place: &Place<'_>, event: &ArchivedEvent, at: Timestamp) -> bool {
        let Some(window) = &mut self.window else { return false };
        let window = Arc::make_mut(window);
        window.merges(self.hash_key, event.sighting_key(), at, place.sensor)
    }
}

impl State {
    /// Finds the devices of the next events, and looks at them one after the other with nothing to
    /// wait for in between: the processor then fetches many of them at a time. Changes nothing; what
    /// it found may be out of date when an event's turn comes.
    pub(super) fn find(&self, run: &mut Run<'_>, events: &[ArchivedEvent]) -> Found {
        let mut found: Found = [None; FOUND_EVENTS];
        for (place, event) in found.iter_mut().zip(events) {
            let interface = run.interface(event);
            let identity = run.identity(&event.party(), interface);
            *place = identity.and_then(|identity| self.identities.get(&identity)).copied();
        }
        let devices = || found.iter().flatten().filter_map(|known| self.devices.at(known.slot));
        black_box(devices().fold(0, |sum, device| sum ^ device.events));
        black_box(devices().fold(0, |sum, device| sum ^ device.touch()));
        found
    }

    pub(super) fn observe(
        &mut self,
        entry: &mut Entry,
        place: &Place<'_>,
        run: &mut Run<'_>,
        batch: Batched<'_>,
        (event, found): (&ArchivedEvent, Option<Known>),
    ) {
        let observed = event.observed_at();
        let (at, suspect) = place.event_time(observed);
        run.tally.time(observed, at, suspect);
        let kind = event.kind();
        if kind == EventKind::Health {
            return self.count_health(entry, place, run, event);
        }
        let party = event.party();
        let interface = run.interface(event);
        let on_link = run.words.claims_address(event);
        let merged = run.merges(place, event, at);
        run.tally.merged += u64::from(merged);
        let served = self.served(run, event, interface);
        // Behind a router it depends on what came before whose it is.
        let plain = |known: &Known| self.devices.at(known.slot).is_some_and(|held| !held.router);
        let known = match found.filter(plain) {
            None => self.attribute(run, &party, interface, on_link),
            found => Some(found),
        };
        let Some(known) = known else {
            run.tally.unattributed += 1;
            return;
        };
        let Some(known) = known.or_else(|| self.discover(entry, place, run, at)) else { return };
        let Some(device) = self.devices.at_mut(known.slot) else { return };
        run.tally.devices.push(device.id);
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
        let news = device.see(&sight);
        run.tally.arrivals += u64::from(news.arrived);
        if news.facets {
            run.tally.refaceted.push(device.id);
        }
        if device.router != routed {
            let known = Known { router: true, ..known };
            self.identities.insert(device.identity.hash(run.hash_key), known);
        }
        if device.router && sight.ip.is_some_and(|ip| !device.has_ip(ip)) {
            // The sight that showed it to be a router: what is said is its guest's.
            return;
        }
        let origin = Origin { site: place.site, sensor: place.sensor, at, counts: !merged };
        note_traffic(device, &run.words, batch, event, origin);
        if listen(device, &run.words, event, &served, origin) {
            run.tally.refaceted.push(device.id);
        }
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
        let identity = run.identity(party, interface)?;
        let known = self.identities.get(&identity).copied();
        let ip = party.ip.filter(usable);
        let Some((known, ip)) = known.filter(|known| known.router).zip(ip) else {
            return Some(known);
        };
        // Behind a router: its own addresses are those that it claimed on the link.
        if on_link || self.devices.at(known.slot).is_some_and(|device| device.has_ip(ip)) {
            return Some(Some(known));
        }
        let identity = run.identities.choose(None, Some(ip), party.vlan, interface)?;
        Some(self.identities.get(&identity).copied())
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
        let (identity, hash) = (run.identities.current().clone(), run.identities.hash());
        let slot = self.devices.insert(Device::new(id, identity, place.tenant, place, at));
        let known = Known { slot, router: false };
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

/// Counts an event's flow and notes its service.
fn note_traffic(
    device: &mut Device,
    words: &Words<'_>,
    batch: Batched<'_>,
    event: &ArchivedEvent,
    origin: Origin<'_>,
) {
    if event.kind() == EventKind::Flow && origin.counts {
        let count = |word| words.count(event, word);
        device.count_flow(count(Word::Packets), count(Word::Bytes));
    }
    if let Some(service) = event.service.as_ref() {
        let port = service.port.as_ref().map(|port| port.to_native());
        device.serve(service.transport(), port, batch.protocol(event), origin.at);
    }
}

/// Takes what an event says into a device's evidence; true where the best values may be others now.
fn listen(
    device: &mut Device,
    words: &Words<'_>,
    event: &ArchivedEvent,
    served: &[String],
    origin: Origin<'_>,
) -> bool {
    let mut news = false;
    for attribute in event.attributes.iter() {
        let Some((source, says)) = words.reading(attribute.key.to_native()) else { continue };
        for value in attribute.values.iter() {
            says.iter().filter_map(|says| says.hear(source, value.as_str())).for_each(|saying| {
                news |= device.note(saying, origin);
            });
        }
    }
    let Some(association) = words.association(event) else { return news };
    if let Some(title) = association.title() {
        news |= device.note(title, origin);
    }
    let mut class = |field, value: &str, weight, source| {
        news |= device.note(Saying { field, value, source: Source::known(source), weight }, origin);
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
        news |= device.note(Saying { field: Field::Class, value, source, weight }, origin);
    }
    news
}

/// An address that can be one station's.
pub(super) fn usable(ip: &IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !(ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() || broadcast)
}
