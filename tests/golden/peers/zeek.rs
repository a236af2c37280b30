//! Zeek's baselines: tab-separated logs whose `#fields` line names the columns.
//!
//! Of the logs beside the captures only `dhcp.log` is of a protocol that we read; the one `ssl.log`
//! is of QUIC. A line sums up a transaction, so values are compared once.

use std::fs;
use std::path::Path;

use super::claim::{Claims, Peer, outputs};

pub(super) const PEER: Peer = Peer { folder: "zeek", claims };

/// Columns whose value is one of ours as it stands.
const COLUMNS: [(&str, &str); 5] = [
    ("mac", "dhcp.client_mac"),
    ("host_name", "dhcp.hostname"),
    ("requested_addr", "dhcp.requested_ip"),
    ("assigned_addr", "dhcp.your_ip"),
    ("server_addr", "dhcp.server"),
];

fn claims(folder: &Path) -> Vec<Claims> {
    let entries = fs::read_dir(folder.join("expected")).unwrap();
    let mut baselines: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    baselines.sort();
    let logs = baselines.iter().flat_map(|baseline| {
        let name = baseline.file_name().unwrap().to_str().unwrap();
        let (capture, _) = name.split_once(".scripts.").expect("capture and test");
        let logs = outputs(baseline, "dhcp.log").into_iter();
        logs.map(move |(_, text)| dhcp(&format!("{capture}.pcap"), &text))
    });
    logs.collect()
}

fn dhcp(file: &str, text: &str) -> Claims {
    let mut claims = Claims::of(file, &["dhcp.message_type"]);
    let names = text.lines().find_map(|line| line.strip_prefix("#fields\t")).unwrap();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let row = names.split('\t').zip(line.split('\t'));
        for (name, value) in row.filter(|(_, value)| *value != "-") {
            if let Some((_, key)) = COLUMNS.iter().find(|(column, _)| *column == name) {
                claims.once("", key, value);
            }
            if name == "msg_types" {
                let kinds = value.split(',').map(str::to_lowercase);
                kinds.for_each(|kind| claims.add("", "dhcp.message_type", &kind));
            }
        }
    }
    claims
}
