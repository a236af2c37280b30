//! What tshark counts in every capture of the folder: frames of DHCP and LLDP, one message each, so
//! that each must be one observation; and which captures hold no DICOM, HL7, TLS or HTTP at all, so
//! that we must report none.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::claim::{Claims, Peer};

pub(super) const PEER: Peer = Peer { folder: "", claims };

const COUNTED: [(&str, &str); 2] = [("dhcp", "dhcp.frames"), ("lldp", "lldp.frames")];

/// Protocols of streams, and a key that each of their observations has.
const STREAMS: [(&str, &[&str]); 4] = [
    ("dicom", &["dicom.role"]),
    ("hl7", &["hl7.message_type"]),
    ("tls", &["tls.ja4"]),
    ("http", &["http.method", "http.server"]),
];

fn claims(folder: &Path) -> Vec<Claims> {
    let manifest = fs::read(folder.join("MANIFEST.json")).unwrap();
    let entries: Vec<Value> = serde_json::from_slice(&manifest).unwrap();
    entries.iter().map(capture).collect()
}

fn capture(entry: &Value) -> Claims {
    let mut claims = Claims::of(entry["file"].as_str().unwrap(), &["dhcp.frames", "lldp.frames"]);
    let frames = |protocol| entry["tshark_protocols"][protocol].as_u64().unwrap_or(0);
    for (protocol, key) in COUNTED {
        (0..frames(protocol)).for_each(|_| claims.add("", key, "read"));
    }
    for (_, keys) in STREAMS.iter().filter(|(protocol, _)| frames(protocol) == 0) {
        claims.all_of.extend(*keys);
    }
    claims
}
