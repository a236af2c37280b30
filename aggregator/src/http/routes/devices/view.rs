//! A device and its evidence as the API shows them.

use std::cmp::Reverse;

use serde::Serialize;
use utoipa::ToSchema;

use crate::http::form::time;
use crate::state::devices::Device;
use crate::state::evidence::Evidence;

/// A device. What nobody said of it is null or empty.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Device)]
pub(super) struct DeviceView {
    /// Its id.
    id: String,
    /// What kind of device it is.
    class: Option<String>,
    /// Who made it.
    vendor: Option<String>,
    /// The maker's name of the model.
    model: Option<String>,
    /// What makes it the same one: `mac`, `local-mac` (within a site) or `address` (on a segment).
    identity: &'static str,
    /// The sites where it was seen, in the order in which they were learned.
    sites: Vec<String>,
    /// Its MAC addresses.
    macs: Vec<String>,
    /// The IP addresses that it was seen under.
    ips: Vec<String>,
    /// The VLANs that it was seen on.
    vlans: Vec<u16>,
    /// Its host names.
    hostnames: Vec<String>,
    /// Its DICOM application entity titles.
    ae_titles: Vec<String>,
    /// More addresses were seen behind its MAC address than a device has.
    router: bool,
    /// The earliest event of the whole fleet.
    first_seen: String,
    /// The site of the earliest event.
    first_site: String,
    /// The sensor of the earliest event.
    first_sensor: String,
    /// The latest event.
    last_seen: String,
    /// When the fleet came to know it.
    known_at: String,
    /// A clock was ahead when it was seen: its times may be wrong.
    time_suspect: bool,
    /// Events about it, those that a second sensor saw too counted once.
    events: u64,
    /// Events about it that a second sensor of a site had seen already.
    merged: u64,
    /// Packets of its flows.
    packets: u64,
    /// Bytes of its flows.
    bytes: u64,
}

impl DeviceView {
    pub(super) fn of(device: &Device) -> Self {
        let value = |evidence: Option<&Evidence>| evidence.map(|known| known.value.clone());
        let owned = |values: Vec<&str>| values.into_iter().map(str::to_owned).collect();
        Self {
            id: device.id.to_string(),
            class: value(device.class()),
            vendor: value(device.vendor()),
            model: value(device.model()),
            identity: device.identity.kind(),
            sites: device.sites.iter().map(|presence| presence.site.to_string()).collect(),
            macs: device.mac().iter().map(ToString::to_string).collect(),
            ips: device.ips.iter().map(|address| address.ip.to_string()).collect(),
            vlans: device.vlans.clone(),
            hostnames: owned(device.hostnames()),
            ae_titles: owned(device.ae_titles()),
            router: device.router,
            first_seen: time(device.first_seen),
            first_site: device.first_site.to_string(),
            first_sensor: device.first_sensor.to_string(),
            last_seen: time(device.last_seen),
            known_at: time(device.known_at),
            time_suspect: device.time_suspect,
            events: device.events,
            merged: device.merged,
            packets: device.packets,
            bytes: device.bytes,
        }
    }
}

/// A device with where it was and what it spoke.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeviceDetail {
    #[serde(flatten)]
    device: DeviceView,
    /// Its addresses with their times.
    addresses: Vec<AddressView>,
    /// Where it was.
    presence: Vec<PresenceView>,
    /// What it spoke over.
    services: Vec<ServiceView>,
}

/// An IP address of a device.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Address)]
pub(super) struct AddressView {
    /// The address.
    ip: String,
    /// First seen.
    first_seen: String,
    /// Last seen.
    last_seen: String,
    /// The device claimed it on the link itself (ARP or NDP).
    on_link: bool,
}

/// A device at one site.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Presence)]
pub(super) struct PresenceView {
    /// The facility.
    site: String,
    /// First seen there.
    first_seen: String,
    /// Last seen there.
    last_seen: String,
    /// Who saw it.
    sensors: Vec<String>,
    /// Events there, those that a second sensor saw too counted once.
    events: u64,
    /// Events there that a second sensor had seen already.
    merged: u64,
    /// Its stays in order of time.
    visits: Vec<VisitView>,
    /// The earliest event there.
    evidence: String,
}

/// An unbroken stay, both ends included.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Visit)]
pub(super) struct VisitView {
    /// The first sight.
    from: String,
    /// The last one.
    to: String,
}

/// A service that a device took part in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ServiceSeen)]
pub(super) struct ServiceView {
    /// What carries it: `tcp`, `udp`, `icmp`, `link` or `ip-<number>`.
    transport: String,
    /// The server's port.
    port: Option<u16>,
    /// The protocol, where its grammar was recognised.
    protocol: Option<String>,
    /// Last seen.
    last_seen: String,
}

impl DeviceDetail {
    pub(super) fn of(device: &Device) -> Self {
        let addresses = device.ips.iter().map(|address| AddressView {
            ip: address.ip.to_string(),
            first_seen: time(address.first_seen),
            last_seen: time(address.last_seen),
            on_link: address.on_link,
        });
        let presence = device.sites.iter().map(|presence| PresenceView {
            site: presence.site.to_string(),
            first_seen: time(presence.first_seen),
            last_seen: time(presence.last_seen),
            sensors: presence.sensors.iter().map(ToString::to_string).collect(),
            events: presence.events,
            merged: presence.merged,
            visits: presence
                .visits
                .iter()
                .map(|visit| VisitView { from: time(visit.from), to: time(visit.to) })
                .collect(),
            evidence: presence.evidence.to_string(),
        });
        let services = device.services.iter().map(|service| ServiceView {
            transport: service.transport.to_string(),
            port: service.port,
            protocol: service.protocol.clone(),
            last_seen: time(service.last_seen),
        });
        Self {
            device: DeviceView::of(device),
            addresses: addresses.collect(),
            presence: presence.collect(),
            services: services.collect(),
        }
    }
}

/// One reason to believe one value of one field.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Evidence)]
pub(super) struct EvidenceView {
    /// What it is about: `class`, `vendor`, `model`, `hostname` and so on.
    field: &'static str,
    /// The value.
    value: String,
    /// The attribute that said it: `dicom.calling_ae`.
    source: &'static str,
    /// How much it weighs, per mille.
    weight: u16,
    /// The earliest event that says it.
    first_seen: String,
    /// The latest event that says it.
    last_seen: String,
    /// Events that say it.
    sightings: u64,
    /// The sensor of the earliest event.
    sensor: String,
    /// The site of the earliest event.
    site: String,
}

impl EvidenceView {
    pub(super) fn all_of(device: &Device) -> Vec<Self> {
        let mut all: Vec<&Evidence> = device.evidence.iter().collect();
        all.sort_by_key(|known| {
            (known.field, Reverse(known.weight), known.first_seen, &known.value)
        });
        all.into_iter().map(Self::of).collect()
    }

    fn of(known: &Evidence) -> Self {
        Self {
            field: known.field.as_str(),
            value: known.value.clone(),
            source: known.source.as_str(),
            weight: known.weight,
            first_seen: time(known.first_seen),
            last_seen: time(known.last_seen),
            sightings: known.sightings,
            sensor: known.sensor.to_string(),
            site: known.site.to_string(),
        }
    }
}
