//! suricata-verify's `test.yaml`: filters over its events, with how many must match.
//!
//! The subset of YAML that these files use, read by its indentation: `- filter:`, `count:`,
//! `match:`. Its DHCP parameters leave out what it has no name for and are not compared.

use std::collections::BTreeMap;
use std::path::Path;

use super::claim::{Claims, Peer, Said, outputs};

pub(super) const PEER: Peer = Peer { folder: "suricata-verify", claims };

fn claims(folder: &Path) -> Vec<Claims> {
    let files = outputs(&folder.join("expected"), ".test.yaml");
    files.iter().map(|(stem, text)| file(stem, text)).collect()
}

fn file(stem: &str, text: &str) -> Claims {
    let mut claims = Claims::of(&format!("{stem}.pcap"), &[]);
    for filter in text.split("- filter:").skip(1) {
        let lines = filter.lines().filter_map(|line| line.trim().split_once(": "));
        let fields: BTreeMap<&str, &str> = lines.map(|(key, v)| (key, v.trim())).collect();
        let count = fields.get("count").and_then(|count| count.parse().ok()).unwrap_or(0);
        for _ in 0..count {
            event(&fields, &mut claims);
        }
    }
    claims
}

fn event(fields: &BTreeMap<&str, &str>, claims: &mut Claims) {
    let text = |key: &str| fields.get(key).copied().unwrap_or_default();
    let device = format!("{} {}", text("src_ip"), text("ether.src_mac"));
    let names_device = !text("src_ip").is_empty() && !text("ether.src_mac").is_empty();
    match text("event_type") {
        "tls" if names_device => claims.add("", "tls.said_by", &device),
        "http" if names_device => claims.add("", "http.said_by", &device),
        "tls" => claims.add(Said::ANYONE, "tls.ja4", text("tls.ja4")),
        "dhcp" => dhcp(text, claims),
        _ => {}
    }
}

fn dhcp<'a>(text: impl Fn(&str) -> &'a str, claims: &mut Claims) {
    claims.add("", "dhcp.message_type", text("dhcp.dhcp_type"));
    claims.add("", "dhcp.client_mac", text("dhcp.client_mac"));
    claims.add("", "dhcp.client_id", text("dhcp.client_id"));
    claims.add("", "dhcp.vendor_class", text("dhcp.vendor_class_identifier"));
    if text("dhcp.type") == "request" {
        let name = text("dhcp.hostname").trim_matches('"').replace("\\u0000", "\0");
        claims.add("", "dhcp.hostname", &name);
    } else if text("dhcp.assigned_ip") != "0.0.0.0" {
        claims.add("", "dhcp.your_ip", text("dhcp.assigned_ip"));
    }
}
