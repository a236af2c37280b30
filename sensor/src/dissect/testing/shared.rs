//! Real captures through the whole pipeline, where the folder beside the checkout is there: what
//! is reported is what the peers' expected outputs beside the captures say.
//!
//! Known to differ: Suricata keeps a host name's closing NUL (`nas1\0`) and we do not; Zeek's
//! `client_addr` of an ACK is the client's and ours is `dhcp.your_ip`.

use std::path::{Path, PathBuf};

use wardmesh_common::event::{Event, EventKind};

use crate::capture::CaptureFile;
use crate::decode::Decoder;
use crate::dissect::DISSECTORS;
use crate::flow::Limits;
use crate::flow::tests::KEY;
use crate::pipeline::Pipeline;

/// A capture, a key or a health counter, and its values: each once, in wire order, `|` between.
const PEERS: [(&str, &str, &str); 42] = [
    // Arkime's .test, tcpdump's .out.
    ("arkime/wireshark-dhcp.pcap", "dhcp.message_type", "discover|offer|request|ack"),
    ("arkime/wireshark-dhcp.pcap", "dhcp.requested_ip", "0.0.0.0|192.168.0.10"),
    ("arkime/wireshark-dhcp.pcap", "dhcp.client_mac", "00:0b:82:01:fc:42"),
    ("arkime/wireshark-lldp.pcap", "lldp.port_id", "1/3|1/1|1"),
    ("arkime/wireshark-lldp.pcap", "lldp.system_name", "Summit300-48|ProCurve Switch 2600-8-PWR"),
    ("arkime/wireshark-lldp.pcap", "lldp.management_address", "00:01:30:f9:ad:a0|15.255.122.148"),
    ("tcpdump/LLDP_and_CDP.pcap", "lldp.chassis_id", "00:19:2f:a7:b2:8d|00:18:ba:98:68:8f"),
    ("tcpdump/LLDP_and_CDP.pcap", "lldp.port_id", "Uplink to S1|Fa0/13"),
    ("tcpdump/LLDP_and_CDP.pcap", "lldp.system_name", "S2.cisco.com|S1.cisco.com"),
    ("tcpdump/LLDP_and_CDP.pcap", "lldp.port_description", "GigabitEthernet0/13|FastEthernet0/13"),
    ("tcpdump/lldp_asan.pcap", "lldp.chassis_id", "0.0.32.0"),
    ("tcpdump/lldp_asan.pcap", "malformed.lldp.port_id_missing", "1"),
    ("tcpdump/lldp_8021_linkagg.pcap", "malformed.lldp.chassis_id_missing", "2"),
    ("tcpdump/lldp-infinite-loop-1.pcap", "lldp.port_id", "08:00:27:42:ba:59"),
    ("tcpdump/dhcp-mud.pcap", "dhcp.hostname", "raspberrypi"),
    ("tcpdump/dhcp-mud.pcap", "dhcp.client_id", "b8:27:eb:b8:53:c8"),
    ("tcpdump/dhcp-mud.pcap", "dhcp.server", "62.12.173.114"),
    (
        "tcpdump/dhcp-mud.pcap",
        "dhcp.mud_url",
        "https://mudctl.example.com/.well-known/mud/v1/rasbp101",
    ),
    ("tcpdump/dhcp-mud.pcap", "dhcp.vendor_class", "dhcpcd-6.11.5:Linux-4.1.18-v7+:armv7l:BCM2709"),
    ("tcpdump/dhcp-rfc3004.pcap", "dhcp.user_class", "subopt1|subopt2-123456789|subopt3-12"),
    ("tcpdump/dhcp-rfc3004.pcap", "dhcp.parameter_list", "1,28,2,3,15,6,12"),
    ("tcpdump/dhcp-option-108.pcapng", "dhcp.hostname", "MacBookPro"),
    ("tcpdump/dns-badlabel.pcap", "dns.query", ""),
    ("tcpdump/dns-zlip-1.pcap", "dns.query", ""),
    ("tcpdump/bootp_asan.pcap", "dhcp.message_type", ""),
    // Suricata's test.yaml.
    ("suricata-verify/dhcp-eve-extended__input.pcap", "dhcp.message_type", "request|ack"),
    ("suricata-verify/dhcp-eve-extended__input.pcap", "dhcp.hostname", "nas1"),
    ("suricata-verify/dhcp-eve-extended__input.pcap", "dhcp.client_id", "00:11:32:17:49:f0"),
    ("suricata-verify/dhcp-eve-extended__input.pcap", "dhcp.parameter_list", "1,28,2,3,15,6,12"),
    ("suricata-verify/dhcp-eve-extended__input.pcap", "dhcp.your_ip", "10.16.1.4"),
    ("suricata-verify/dhcp-eve-extended-option-60__input.pcap", "dhcp.vendor_class", "MSFT 5.0"),
    (
        "suricata-verify/dhcp-eve-extended-option-60__input.pcap",
        "dhcp.parameter_list",
        "1,15,3,6,44,46,47,31,33,121,249,43",
    ),
    // Zeek's dhcp.log.
    ("zeek/dhcp_inform.pcap", "dhcp.message_type", "inform|ack"),
    ("zeek/dhcp_inform.pcap", "dhcp.client_mac", "90:b1:1c:99:49:29"),
    ("zeek/dhcp_ack_subscriber_id_and_agent_remote_id.pcap", "dhcp.server", "10.10.0.1"),
    ("zeek/dhcp_ack_subscriber_id_and_agent_remote_id.pcap", "dhcp.your_ip", "192.168.0.10"),
    (
        "zeek/dhcp_ack_subscriber_id_and_agent_remote_id.pcap",
        "dhcp.client_mac",
        "00:0a:28:00:fa:42",
    ),
    // nDPI's .out.
    ("ndpi/malformed_dns.pcap", "dns.query", "www.xt.com"),
    ("ndpi/malformed_dns.pcap", "malformed.dns.name_too_long", "4"),
    ("ndpi/dhcp-fuzz.pcapng", "dhcp.hostname", "MK03862"),
    ("ndpi/dhcp-fuzz.pcapng", "malformed.dhcp.option_cut_short", "1"),
    ("chrissanders/arp_gratuitous.pcapng", "arp.gratuitous", "true"),
];

#[test]
fn agrees_with_the_peers() {
    let Some(folder) = folder() else { return };
    let mut differing = Vec::new();
    for (file, key, expect) in PEERS {
        let values = values(&events(&folder.join(file)), key).join("|");
        if values != expect {
            differing.push(format!("{file} {key}: {values} instead of {expect}"));
        }
    }
    eprintln!("{} of {} agree with the peers", PEERS.len() - differing.len(), PEERS.len());
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

/// `shared/data/pcaps` beside the checkout, or beside a folder that checkouts are kept in.
fn folder() -> Option<PathBuf> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().skip(2);
    let mut folders = checkout.map(|parent| parent.join("shared/data/pcaps"));
    let found = folders.find(|folder| folder.join("MANIFEST.json").is_file());
    if found.is_none() {
        eprintln!("left out: no ../shared/data/pcaps beside the checkout");
    }
    found
}

fn events(path: &Path) -> Vec<Event> {
    let mut capture = CaptureFile::open(path).unwrap();
    let mut decoder = Decoder::default();
    let mut pipeline = Pipeline::new(DISSECTORS, KEY, Limits::default());
    let mut events = Vec::new();
    while let Ok(Some(frame)) = capture.next_frame() {
        if let Ok(Some(packet)) = decoder.decode(&frame) {
            pipeline.push_packet(&packet, &mut events);
        }
    }
    pipeline.finish(&mut events);
    events
}

/// Each value of an attribute once; a health counter's sum.
fn values(events: &[Event], key: &str) -> Vec<String> {
    if key.starts_with("malformed.") {
        let health = events.iter().filter(|event| event.kind == EventKind::Health);
        return vec![health.filter_map(|event| event.count(key)).sum::<u64>().to_string()];
    }
    let mut values: Vec<String> = Vec::new();
    for value in events.iter().flat_map(|event| event.values(key)) {
        if !values.contains(value) {
            values.push(value.clone());
        }
    }
    values
}
