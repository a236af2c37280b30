//! tcpdump's `.out` files of LLDP and DHCP: numbered packets, indented lines a field.

use std::path::Path;

use super::claim::{Claims, Peer, outputs};

pub(super) const PEER: Peer = Peer { folder: "tcpdump", claims };

const ALL_OF: &[&str] = &[
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
];

/// An expected output and its capture; those in which tcpdump shows LLDP or DHCP in full.
const FILES: [(&str, &str); 8] = [
    ("bootp_asan", "bootp_asan.pcap"),
    ("dcb_pfc", "dcb_pfc.pcap"),
    ("dhcp-mud", "dhcp-mud.pcap"),
    ("dhcp-option-108", "dhcp-option-108.pcapng"),
    ("dhcp-rfc3004-v", "dhcp-rfc3004.pcap"),
    ("lldp-infinite-loop-1", "lldp-infinite-loop-1.pcap"),
    ("lldp_asan", "lldp_asan.pcap"),
    ("lldp_cdp-ev", "LLDP_and_CDP.pcap"),
];

/// Lines `Name (code), length n: value` of a DHCP client, and our key.
const OPTIONS: [(&str, &str); 7] = [
    ("Hostname (12)", "dhcp.hostname"),
    ("Vendor-Class (60)", "dhcp.vendor_class"),
    ("Client-ID (61)", "dhcp.client_id"),
    ("MUD-URL (161)", "dhcp.mud_url"),
    ("Requested-IP (50)", "dhcp.requested_ip"),
    ("instance#", "dhcp.user_class"),
    ("DHCP-Message (53)", "dhcp.message_type"),
];

/// The same of a server.
const ANSWERS: [(&str, &str); 2] =
    [("DHCP-Message (53)", "dhcp.message_type"), ("Server-ID (54)", "dhcp.server")];

/// LLDP's TLVs: the value stands on the line, or on the next one behind `Subtype …: `.
const TLVS: [(&str, &str); 6] = [
    ("Chassis ID TLV (1)", "lldp.chassis_id"),
    ("Port ID TLV (2)", "lldp.port_id"),
    ("Port Description TLV (4)", "lldp.port_description"),
    ("System Name TLV (5)", "lldp.system_name"),
    ("System Description TLV (6)", "lldp.system_description"),
    ("Management Address TLV (8)", "lldp.management_address"),
];

fn claims(folder: &Path) -> Vec<Claims> {
    let texts = outputs(&folder.join("expected"), ".out");
    let files = FILES.iter().map(|(stem, file)| {
        let (_, text) = texts.iter().find(|(name, _)| name == stem).expect("an expected output");
        let mut claims = Claims::of(file, ALL_OF);
        packets(text).iter().for_each(|packet| claim(packet, &mut claims));
        claims
    });
    files.collect()
}

/// A packet's lines; its first one is not indented by a tab or four spaces.
fn packets(text: &str) -> Vec<Vec<&str>> {
    let mut packets: Vec<Vec<&str>> = Vec::new();
    for line in text.lines() {
        let is_first = !line.starts_with('\t')
            && line.split_whitespace().next().is_some_and(|w| w.parse::<u32>().is_ok());
        match packets.last_mut() {
            Some(packet) if !is_first => packet.push(line.trim()),
            _ => packets.push(vec![line.trim()]),
        }
    }
    packets
}

fn claim(lines: &[&str], claims: &mut Claims) {
    let is_any = |word: &str| lines.iter().any(|line| line.contains(word));
    if lines.iter().take(2).any(|line| line.contains("LLDP, length")) {
        lldp(lines, claims);
    } else if is_any("BOOTP/DHCP, Request") {
        client(lines, claims);
    } else if is_any("BOOTP/DHCP, Reply") {
        options(lines, &ANSWERS, claims);
        let yours = lines.iter().find_map(|line| line.strip_prefix("Your-IP "));
        claims.add("", "dhcp.your_ip", yours.unwrap_or_default());
    }
}

fn client(lines: &[&str], claims: &mut Claims) {
    options(lines, &OPTIONS, claims);
    let Some(at) = lines.iter().position(|line| line.starts_with("Parameter-Request (55)")) else {
        return;
    };
    // The names of the parameters with their codes in brackets, on as many lines as they take.
    let names = lines[at + 1..].iter().take_while(|line| !line.contains("length"));
    let codes = names.flat_map(|line| line.split(", ")).filter_map(|name| {
        let (_, code) = name.rsplit_once('(')?;
        code.strip_suffix(')')
    });
    claims.add("", "dhcp.parameter_list", &codes.collect::<Vec<_>>().join(","));
}

fn options(lines: &[&str], known: &[(&str, &'static str)], claims: &mut Claims) {
    let mac = lines.iter().find_map(|line| line.strip_prefix("Client-Ethernet-Address "));
    claims.add("", "dhcp.client_mac", mac.unwrap_or_default());
    for line in lines {
        let Some((_, key)) = known.iter().find(|(name, _)| line.starts_with(name)) else {
            continue;
        };
        let Some((_, value)) = line.split_once(": ") else { continue };
        // A user class instance has its length behind its value.
        let value = value.split("\", length").next().unwrap_or_default();
        let value = value.trim_matches('"');
        let value = value.strip_prefix("ether ").unwrap_or(value);
        let is_kind = *key == "dhcp.message_type";
        claims.add("", key, &if is_kind { value.to_lowercase() } else { value.to_owned() });
    }
}

fn lldp(lines: &[&str], claims: &mut Claims) {
    for (at, line) in lines.iter().enumerate() {
        let Some((_, key)) = TLVS.iter().find(|(name, _)| line.starts_with(name)) else {
            continue;
        };
        let next = lines.get(at + 1).copied().unwrap_or_default();
        let value = match line.split_once(": ") {
            Some((_, value)) => value,
            None if next.starts_with("Subtype") => next.split_once("): ").map_or("", |(_, v)| v),
            None => next,
        };
        let value = value.strip_prefix("AFI IPv4 (1): ").unwrap_or(value);
        claims.add("", key, &value.replace("^J", "\n"));
    }
}
