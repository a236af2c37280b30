//! Arkime's `.test` files: JSON, one session each with what its parsers found.
//!
//! A TLS session's `http.host` is its server name.

use std::path::Path;

use serde_json::Value;

use super::claim::{Claims, Peer, outputs};

pub(super) const PEER: Peer = Peer { folder: "arkime", claims };

const ALL_OF: &[&str] = &[
    "tls.sni",
    "tls.ja4",
    "http.host",
    "http.user_agent",
    "http.method",
    "dhcp.message_type",
    "dhcp.requested_ip",
    "lldp.mac",
];

fn claims(folder: &Path) -> Vec<Claims> {
    let files = outputs(&folder.join("expected"), ".test");
    files.iter().map(|(stem, text)| file(stem, text)).collect()
}

fn file(stem: &str, text: &str) -> Claims {
    let mut claims = Claims::of(&format!("{stem}.pcap"), ALL_OF);
    let json: Value = serde_json::from_str(text).unwrap();
    for entry in json["sessions3"].as_array().unwrap() {
        session(&entry["body"], &mut claims);
    }
    claims
}

fn session(body: &Value, claims: &mut Claims) {
    let protocols: Vec<&str> = texts(&body["protocol"]);
    let end = |name: &str| body[name]["ip"].as_str().unwrap_or_default().to_owned();
    let (client, server) = (end("source"), end("destination"));
    let asked = format!("{client}>{server}");
    let is = |protocol| protocols.contains(&protocol);
    for protocol in ["tls", "http", "dhcp", "lldp"].into_iter().filter(|protocol| is(protocol)) {
        claims.speak(&client, &server, protocol);
    }
    let fields: &[(&str, &str, &'static str)] = if is("tls") {
        &[("http", "host", "tls.sni"), ("tls", "ja4", "tls.ja4")]
    } else if is("http") {
        &[
            ("http", "host", "http.host"),
            ("http", "useragent", "http.user_agent"),
            ("http", "method", "http.method"),
        ]
    } else {
        &[]
    };
    for (object, field, key) in fields {
        texts(&body[object][field]).iter().for_each(|value| claims.add(&asked, key, value));
    }
    if is("dhcp") {
        dhcp(&body["dhcp"], claims);
    }
    if is("lldp") {
        texts(&body["source"]["mac"]).iter().for_each(|mac| claims.add("", "lldp.mac", mac));
    }
}

fn dhcp(found: &Value, claims: &mut Claims) {
    for kind in texts(&found["type"]) {
        claims.add("", "dhcp.message_type", &kind.to_lowercase());
    }
    for (field, key) in [
        ("mac", "dhcp.client_mac"),
        ("host", "dhcp.hostname"),
        ("class", "dhcp.vendor_class"),
        ("requestIp", "dhcp.requested_ip"),
    ] {
        texts(&found[field]).iter().for_each(|value| claims.add("", key, value));
    }
}

/// The texts of an array, none where there is no array.
fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}
