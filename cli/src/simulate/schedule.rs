//! Who does what and when: the table of activities by role, and the play of one activity.
//!
//! An activity is one short conversation; its chance is keyed by device, activity and occurrence,
//! so that no conversation depends on another.

use super::hospital::{Device, Hospital};
use super::role::Role;
use super::wire::Script;
use super::{arp, dhcp, dicom, dns, hl7, http, lldp, mdns, tls};

/// The TCP port of HTTPS.
const HTTPS: u16 = 443;
/// No conversation takes longer, nanoseconds; a device begins none so shortly before it leaves.
pub(super) const CONVERSATION_MAX: u64 = 2_000_000_000;

/// One short conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activity {
    /// A server tells the link of its address.
    Announce,
    /// A device takes its lease, announces its address and finds the gateway.
    Join,
    /// A device asks again who has its server's address.
    Refresh,
    /// LLDP.
    Neighbour,
    /// mDNS.
    Service,
    /// C-ECHO to the archive.
    Verify,
    /// C-STORE of a series to the archive.
    Store,
    /// An association that the archive rejects.
    TurnedAway,
    /// A pump's report over HTTP.
    PumpReport,
    /// A monitor's waves to the central station over TLS 1.2.
    Waves,
    /// A monitor's vital signs, from the central station to the engine.
    VitalSigns,
    /// ADT from the record system to the engine.
    Admission,
    /// ORU from the analyser to the engine and on.
    Laboratory,
    /// A PC's look at an outside host, the record system or the printer.
    Browse,
}

/// A row of the table: what is done; seconds from the device's arrival to the first time; seconds
/// between times at rate 1, zero for once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan(pub(super) Activity, pub(super) u64, pub(super) u64);

/// What a role does.
pub(super) const fn plans(role: Role) -> &'static [Plan] {
    use Activity as A;
    match role {
        Role::Switch => &[Plan(A::Announce, 0, 0), Plan(A::Neighbour, 1, 30)],
        Role::Ehr => &[Plan(A::Announce, 0, 0), Plan(A::Admission, 9, 35)],
        Role::Gateway
        | Role::NameServer
        | Role::Pacs
        | Role::Engine
        | Role::PumpServer
        | Role::Central => &[Plan(A::Announce, 0, 0)],
        Role::Ct | Role::Mr => {
            &[Plan(A::Join, 1, 0), Plan(A::Verify, 11, 300), Plan(A::Store, 14, 75)]
        }
        Role::Ultrasound => &[Plan(A::Join, 1, 0), Plan(A::Verify, 8, 300), Plan(A::Store, 11, 40)],
        Role::Pump => &[Plan(A::Join, 1, 0), Plan(A::PumpReport, 10, 20), Plan(A::Refresh, 16, 60)],
        Role::Monitor => {
            &[Plan(A::Join, 1, 0), Plan(A::Waves, 10, 30), Plan(A::VitalSigns, 12, 20)]
        }
        Role::Analyser => {
            &[Plan(A::Join, 1, 0), Plan(A::Laboratory, 12, 40), Plan(A::Refresh, 16, 90)]
        }
        Role::Pc => &[Plan(A::Join, 1, 0), Plan(A::Browse, 10, 25), Plan(A::Refresh, 16, 90)],
        Role::Research => {
            &[Plan(A::Join, 1, 0), Plan(A::Browse, 10, 45), Plan(A::TurnedAway, 20, 120)]
        }
        Role::Printer => &[Plan(A::Join, 1, 0), Plan(A::Service, 10, 60)],
        Role::Camera => &[Plan(A::Join, 1, 0), Plan(A::Neighbour, 9, 30), Plan(A::Service, 10, 60)],
    }
}

/// Writes one activity of a device to the script.
pub(super) fn play(
    activity: Activity,
    script: &mut Script<'_>,
    hospital: &Hospital,
    device: &Device,
) {
    match activity {
        Activity::Announce => arp::announce(script, &device.host),
        Activity::Join => join(script, hospital, device),
        Activity::Refresh => {
            arp::resolve(script, &device.host, &hospital.server(partner(device.role)).host);
        }
        Activity::Neighbour => lldp::advertise(script, hospital, device),
        Activity::Service => mdns::announce(script, device),
        Activity::Verify => dicom::verify(script, hospital, device),
        Activity::Store => dicom::store(script, hospital, device),
        Activity::TurnedAway => dicom::turned_away(script, hospital, device),
        Activity::PumpReport => pump_report(script, hospital, device),
        Activity::Waves => waves(script, hospital, device),
        Activity::VitalSigns => hl7::vital_signs(script, hospital, device),
        Activity::Admission => hl7::admission(script, hospital),
        Activity::Laboratory => hl7::laboratory(script, hospital, device),
        Activity::Browse => browse(script, hospital, device),
    }
}

/// The server that a role works with.
fn partner(role: Role) -> Role {
    match role {
        Role::Ct | Role::Mr | Role::Ultrasound => Role::Pacs,
        Role::Pump => Role::PumpServer,
        Role::Monitor => Role::Central,
        Role::Analyser => Role::Engine,
        Role::Pc | Role::Research => Role::Ehr,
        _ => Role::NameServer,
    }
}

fn join(script: &mut Script<'_>, hospital: &Hospital, device: &Device) {
    dhcp::lease(script, hospital, device);
    arp::announce(script, &device.host);
    arp::resolve(script, &device.host, &hospital.server(Role::Gateway).host);
    let server = hospital.server(partner(device.role));
    arp::resolve(script, &device.host, &server.host);
    dns::look_up(script, hospital, device, &hospital.fqdn(server), server.host.ip);
}

fn pump_report(script: &mut Script<'_>, hospital: &Hospital, pump: &Device) {
    let server = hospital.server(Role::PumpServer);
    http::report(script, pump, server, &hospital.fqdn(server));
}

fn waves(script: &mut Script<'_>, hospital: &Hospital, monitor: &Device) {
    let central = hospital.server(Role::Central);
    let name = hospital.fqdn(central);
    let port = script.port(monitor);
    let (from, to) = ((&monitor.host, port), (&central.host, HTTPS));
    let size = script.rng.between(900, 2_600) as usize;
    tls::exchange(script, from, to, tls::Client::Embedded, &name, (size, 120));
}

fn browse(script: &mut Script<'_>, hospital: &Hospital, pc: &Device) {
    let (target, name) = match script.rng.below(4) {
        0 => return read_printer(script, hospital, pc),
        1 => (hospital.outside(20), "news.example".to_owned()),
        2 => (hospital.outside(35), "update.desk.example".to_owned()),
        _ => {
            let ehr = hospital.server(Role::Ehr);
            (ehr.host, hospital.fqdn(ehr))
        }
    };
    dns::look_up(script, hospital, pc, &name, target.ip);
    let port = script.port(pc);
    let sizes = (script.rng.between(300, 900) as usize, script.rng.between(1_500, 9_000) as usize);
    let kind = tls::Client::Browser;
    tls::exchange(script, (&pc.host, port), (&target, HTTPS), kind, &name, sizes);
}

fn read_printer(script: &mut Script<'_>, hospital: &Hospital, pc: &Device) {
    let printer = hospital.server(Role::Printer);
    let name = hospital.fqdn(printer);
    dns::look_up(script, hospital, pc, &name, printer.host.ip);
    http::read(script, pc, printer, &name);
}
