//! What is said and the class, vendor or name that it makes, one line a case.

use super::super::classify::dicom;
use super::super::evidence::Field;
use super::super::source::{READINGS, Source};
use super::super::testkit::*;

const STATION: &str = "00:03:b1:00:00:01";
const STORE: &str = "1.2.840.10008.5.1.4.1.1.";

/// What one observation makes the decisive value of a field.
#[track_caller]
fn check(said: &[&str], field: Field, expected: Option<(&str, u16)>) {
    let mut fleet = Fleet::at(&["east"]);
    let mut feed = fleet.feed(1);
    fleet.hear(&mut feed, &[says(STATION, 1, said)]);
    let device = fleet.device(STATION);
    let best = device.best(field).map(|best| (best.value.as_str(), best.weight));
    assert_eq!(best, expected, "{said:?}");
}

#[test]
fn an_association_shows_what_its_requestor_is() {
    let proposes = |syntaxes: &[&str], expected| {
        let syntaxes = format!("dicom.abstract_syntax={}", syntaxes.join("|"));
        let calling = "dicom.calling_ae=AE1";
        check(&["dicom.role=scu", calling, &syntaxes], Field::Class, expected);
    };
    let store = |below: &str| format!("{STORE}{below}");
    for (below, class) in [
        ("2", "ct-scanner"),
        ("4", "mr-scanner"),
        ("1", "computed-radiography"),
        ("1.1", "digital-radiography"),
        ("6.1", "ultrasound"),
        ("20", "nuclear-medicine"),
    ] {
        proposes(&["1.2.840.10008.1.1", &store(below), &store("7")], Some((class, 900)));
    }
    proposes(&[&store("128"), &store("2")], Some(("pet-scanner", 900)));
    proposes(&[&store("2"), &store("4"), &store("20")], Some(("dicom-node", 300)));
    proposes(&["1.2.840.10008.5.1.4.31"], Some(("imaging-modality", 700)));
    proposes(&["1.2.840.10008.5.1.4.1.2.2.1"], Some(("imaging-workstation", 600)));
    proposes(&["1.2.840.10008.1.1"], None);
    proposes(&[&store("22")], None);
}

#[test]
fn titles_are_the_senders_own() {
    let both = ["dicom.calling_ae=CT1", "dicom.called_ae=PACS"];
    let said = |role: &'static str, more: &[&'static str]| [&[role], &both[..], more].concat();
    check(&said("dicom.role=scu", &[]), Field::AeTitle, Some(("CT1", 900)));
    let accepted = said("dicom.role=scp", &["dicom.result=accepted"]);
    check(&accepted, Field::AeTitle, Some(("PACS", 900)));
    let refused = said("dicom.role=scp", &["dicom.result=rejected-permanent"]);
    check(&refused, Field::AeTitle, None);
}

#[test]
fn who_accepts_several_modalities_is_an_archive() {
    let mut fleet = Fleet::at(&["east"]);
    let mut feed = fleet.feed(1);
    let pacs = "00:0c:29:00:00:01";
    let modalities = [("00:03:b1:00:00:02", "2"), ("00:03:b1:00:00:03", "4")];
    let answer = ["dicom.role=scp", "dicom.result=accepted", "dicom.called_ae=PACS"];
    for (number, (modality, below)) in (0..).zip(modalities) {
        let syntax = format!("dicom.abstract_syntax={STORE}{below}");
        fleet.hear(&mut feed, &[to(says(modality, number, &["dicom.role=scu", &syntax]), pacs)]);
        fleet.hear(&mut feed, &[to(says(pacs, number, &answer), modality)]);
        let class = fleet.device(pacs).class().unwrap().value.clone();
        assert_eq!(class, if number == 0 { "dicom-node" } else { "pacs" });
    }
    assert_eq!(fleet.device(pacs).values(Field::Serves), ["ct-scanner", "mr-scanner"]);
}

#[test]
fn protocols_say_classes_and_names() {
    let class = |said: &str, expected| check(&[said], Field::Class, expected);
    class("hl7.message_type=ORU^R01^ORU_R01", Some(("hl7-sender", 500)));
    class("hl7.message_type=OUL^R22^OUL_R22", Some(("lab-analyser", 500)));
    class("hl7.message_type=ACK^R01", None);
    class("hl7.profile=IHE_PCD_001", Some(("medical-device-reporter", 600)));
    class("hl7.sending_application=LAB", None);
    class("mdns.service=_ipp._tcp.local", Some(("printer", 850)));
    class("mdns.service=_rtsp._tcp.local", Some(("camera", 850)));
    class("mdns.service=_http._tcp.local", None);
    class("lldp.capabilities=bridge", Some(("switch", 800)));
    class("lldp.capabilities=bridge|telephone", Some(("ip-phone", 850)));
    class("lldp.capabilities=station_only", None);
    class("lldp.capabilities=telephone", Some(("ip-phone", 850)));
    class("dhcp.vendor_class=Hewlett-Packard JetDirect", Some(("printer", 600)));
    class("dhcp.vendor_class=MSFT 5.0", None);
    class("http.host=printer", None);
    check(&["hl7.sending_application=LAB"], Field::Application, Some(("LAB", 500)));
    check(
        &["hl7.equipment_id=00A0^^00A0^EUI-64"],
        Field::Equipment,
        Some(("00A0^^00A0^EUI-64", 950)),
    );
    check(&["lldp.inventory_manufacturer=Acme"], Field::Vendor, Some(("Acme", 850)));
    check(&["lldp.inventory_model=X1"], Field::Model, Some(("X1", 850)));
    let uid = "dicom.implementation_class_uid=1.3.12.2.1107.5.1.4";
    check(&[uid], Field::Vendor, Some(("Siemens Healthineers", 500)));
    check(&["dhcp.hostname=pump-1", "dhcp.fqdn=p.ward"], Field::Hostname, Some(("p.ward", 600)));
}

#[test]
fn the_heaviest_wins_and_the_earliest_among_equals() {
    let mut fleet = Fleet::at(&["east"]);
    let mut feed = fleet.feed(1);
    fleet.hear(
        &mut feed,
        &[
            says(STATION, 50, &["mdns.service=_ipp._tcp.local"]),
            says(STATION, 40, &["lldp.capabilities=telephone"]),
            says(STATION, 10, &["hl7.message_type=ADT^A01"]),
        ],
    );
    assert_eq!(fleet.device(STATION).class().unwrap().value, "ip-phone");
    fleet.hear(&mut feed, &[says(STATION, 30, &["mdns.service=_ipp._tcp.local"])]);
    let class = fleet.device(STATION).class().unwrap();
    assert_eq!((class.value.as_str(), class.first_seen, class.sightings), ("printer", at(30), 2));
    assert_eq!(class.last_seen, at(50));
}

#[test]
fn sources_and_modalities_are_named_once() {
    for (at, reading) in READINGS.iter().enumerate() {
        assert!(READINGS.iter().skip(at + 1).all(|other| other.key != reading.key));
    }
    for key in ["link.oui_vendor", "link.addresses", "dicom.abstract_syntax", "dicom.result"] {
        assert!(Source::of(key).is_some(), "{key}");
    }
    assert!(dicom::is_modality("ct-scanner") && !dicom::is_modality("pacs"));
}
