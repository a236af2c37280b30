//! What we report, in the shape of the peers' claims.
//!
//! Beside the attributes: `protocol` (of a conversation), `PROTOCOL.said_by` (device, once an
//! observation), `PROTOCOL.frames` (once an observation of what is a frame each), `lldp.mac`, and
//! `dhcp.client_mac` for what the client says itself.

use std::collections::BTreeMap;

use serde_json::Value;

use super::claim::{Claims, Said};
use crate::inspected::{attributes, text};

/// Everything that was reported, and how often.
pub(super) fn said(events: &[Value]) -> BTreeMap<Said, usize> {
    let mut ours = Claims::default();
    for event in events {
        let protocol = text(event, "service", "protocol");
        let (device, peer) = (text(event, "device", "ip"), text(event, "peer", "ip"));
        if !protocol.is_empty() {
            ours.speak(device, peer, protocol);
        }
        if event["kind"] == "observation" {
            observation(event, protocol, &mut ours);
        }
    }
    ours.said
}

fn observation(event: &Value, protocol: &str, ours: &mut Claims) {
    let (ip, mac) = (text(event, "device", "ip"), text(event, "device", "mac"));
    let conversation = format!("{ip}>{}", text(event, "peer", "ip"));
    let is_stream = matches!(protocol, "tls" | "http" | "dicom" | "hl7");
    for (key, value) in attributes(event) {
        if is_stream {
            ours.add(&conversation, known(key), value);
            ours.add(Said::ANYONE, known(key), value);
        } else {
            ours.add("", known(key), value);
        }
    }
    match protocol {
        "lldp" => {
            ours.add("", "lldp.mac", mac);
            ours.add("", "lldp.frames", "read");
        }
        "dhcp" => {
            ours.add("", "dhcp.frames", "read");
            if event["attributes"]["dhcp.client_mac"].is_null() {
                ours.add("", "dhcp.client_mac", mac);
            }
            // For peers that write host names in lower case.
            let name = event["attributes"]["dhcp.hostname"].as_str().unwrap_or_default();
            ours.add(Said::ANYONE, "dhcp.hostname", &name.to_lowercase());
        }
        "tls" => ours.add("", "tls.said_by", &format!("{ip} {mac}")),
        "http" => ours.add("", "http.said_by", &format!("{ip} {mac}")),
        "hl7" => ours.add("", "hl7.said_by", &format!("{ip} {mac}")),
        "dicom" => ours.add("", "dicom.said_by", &format!("{ip} {mac}")),
        _ => {}
    }
}

/// The keys that peers have something to say of.
const KEYS: [&str; 39] = [
    "tls.sni",
    "tls.ja4",
    "http.method",
    "http.host",
    "http.user_agent",
    "http.server",
    "dhcp.message_type",
    "dhcp.hostname",
    "dhcp.vendor_class",
    "dhcp.parameter_list",
    "dhcp.client_id",
    "dhcp.user_class",
    "dhcp.mud_url",
    "dhcp.requested_ip",
    "dhcp.server",
    "dhcp.your_ip",
    "dhcp.client_mac",
    "lldp.chassis_id",
    "lldp.port_id",
    "lldp.port_description",
    "lldp.system_name",
    "lldp.system_description",
    "lldp.management_address",
    "dicom.role",
    "dicom.calling_ae",
    "dicom.called_ae",
    "dicom.implementation_class_uid",
    "dicom.implementation_version_name",
    "dicom.abstract_syntax",
    "dicom.result",
    "dicom.reason",
    "hl7.sending_application",
    "hl7.sending_facility",
    "hl7.receiving_application",
    "hl7.message_type",
    "hl7.version",
    "hl7.device_id",
    "hl7.model",
    "hl7.system_id",
];

/// Our key as a constant; others are of no interest and share one name.
fn known(key: &str) -> &'static str {
    KEYS.iter().find(|known| **known == key).copied().unwrap_or("other")
}
