//! How many frames tshark takes for DHCP and LLDP, in every capture of the folder: both are one
//! message a frame, so that each must be one observation.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::claim::{Claims, Peer};

pub(super) const PEER: Peer = Peer { folder: "", claims };

const COUNTED: [(&str, &str); 2] = [("dhcp", "dhcp.frames"), ("lldp", "lldp.frames")];

fn claims(folder: &Path) -> Vec<Claims> {
    let manifest = fs::read(folder.join("MANIFEST.json")).unwrap();
    let entries: Vec<Value> = serde_json::from_slice(&manifest).unwrap();
    entries.iter().map(capture).collect()
}

fn capture(entry: &Value) -> Claims {
    let mut claims = Claims::of(entry["file"].as_str().unwrap(), &["dhcp.frames", "lldp.frames"]);
    for (protocol, key) in COUNTED {
        let frames = entry["tshark_protocols"][protocol].as_u64().unwrap_or(0);
        (0..frames).for_each(|_| claims.add("", key, "read"));
    }
    claims
}
