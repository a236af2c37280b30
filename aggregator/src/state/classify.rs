//! What a value means: classes and makers from what a protocol says itself.
//!
//! An address block never decides a class, and neither does a port. Each rule names its source.

pub mod dicom;

/// Option 60 (RFC 2132 section 9.13) as printers and telephones fill it in.
pub(super) fn dhcp_vendor_class(value: &str) -> Option<&'static str> {
    let begins = |prefix: &str| {
        value.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
    };
    let holds = |word: &str| {
        let parts = value.as_bytes().windows(word.len());
        parts.into_iter().any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
    };
    match () {
        () if holds("jetdirect") || holds("printer") => Some("printer"),
        () if holds("ip phone") => Some("ip-phone"),
        () if begins("cisco ap") || begins("arubaap") => Some("access-point"),
        () => None,
    }
}

/// IEEE 802.1AB table 8-4, enabled capabilities: what a station is at the end of its link.
pub(super) fn lldp_capability(value: &str) -> Option<&'static str> {
    match value {
        "wlan_access_point" => Some("access-point"),
        "telephone" => Some("ip-phone"),
        _ => None,
    }
}

/// The same table: telephones and access points bridge too, so this weighs less.
pub(super) fn lldp_forwarding(value: &str) -> Option<&'static str> {
    match value {
        "bridge" => Some("switch"),
        "router" => Some("router"),
        _ => None,
    }
}

/// A service that a device announces (RFC 6763 section 4.1; names registered with IANA).
pub(super) fn dns_service(value: &str) -> Option<&'static str> {
    let service = value.strip_suffix(".local").unwrap_or(value);
    match service {
        "_ipp._tcp" | "_ipps._tcp" | "_printer._tcp" | "_pdl-datastream._tcp" => Some("printer"),
        "_rtsp._tcp" | "_axis-video._tcp" => Some("camera"),
        "_dicom._tcp" | "_acr-nema._tcp" => Some("dicom-node"),
        "_sip._udp" | "_sip._tcp" => Some("ip-phone"),
        _ => None,
    }
}

/// Who registered the root of an implementation class UID (PS3.7 annex D.3.3.2). Toolkits sit inside
/// products: their roots name nobody.
pub(super) fn uid_root(value: &str) -> Option<&'static str> {
    const ROOTS: [(&str, &str); 4] = [
        ("1.2.840.113619.", "GE HealthCare"),
        ("1.3.12.2.1107.", "Siemens Healthineers"),
        ("1.2.392.200036.9125.", "Fujifilm"),
        ("1.2.392.200036.9116.", "Canon Medical Systems"),
    ];
    ROOTS.iter().find(|(root, _)| value.starts_with(root)).map(|(_, maker)| *maker)
}

/// MSH-9 as the sender fills it in. OUL is what analysers send (HL7 chapter 7.3 and IHE LAW); any
/// other message names a system that speaks HL7, not what it is.
pub(super) fn hl7_message(value: &str) -> Option<&'static str> {
    match value.split('^').next().unwrap_or_default() {
        "" | "ACK" => None,
        "OUL" => Some("lab-analyser"),
        _ => Some("hl7-sender"),
    }
}

/// MSH-21: the PCD-01 transaction (IHE PCD TF-2 section 3.1) comes from what reports for bedside
/// devices: a gateway, or a device itself.
pub(super) fn hl7_profile(value: &str) -> Option<&'static str> {
    value.contains("IHE_PCD_001").then_some("medical-device-reporter")
}

/// What serves RTSP (RFC 7826) on a hospital network is a camera or its recorder.
pub(super) fn camera(_: &str) -> Option<&'static str> {
    Some("camera")
}
