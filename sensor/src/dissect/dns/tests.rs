//! DNS by data: what each message says, and what is refused.

use super::super::testing::{Case, check, shake, unhex};
use super::*;

const QUERY: &str = "1234 0100 0001 0000 0000 0000";
const RESPONSE: &str = "1234 8180 0001 0001 0000 0000";
/// `PACS.ward.example`, type A, class IN.
const PACS: &str = "0450414353 0477617264 076578616d706c65 00 0001 0001";
const ADDRESS: &str = "c00c 0001 0001 0000003c 0004 0a000002";

#[track_caller]
fn udp(port: u16, hex: &str, expect: &str) {
    let case = Case::ports(Carrier::Udp, 49152, port);
    check(&Dns, case, hex, expect);
    shake(&Dns, case, hex);
}

#[track_caller]
fn tcp(port: u16, hex: &str, expect: &str) {
    let case = Case::ports(Carrier::Tcp, 49152, port);
    check(&Dns, case, hex, expect);
    shake(&Dns, case, hex);
}

#[test]
fn reports_the_names_of_queries_in_lower_case() {
    udp(53, &format!("{QUERY}{PACS}"), "- - dns.query=pacs.ward.example");
    let edns = "1234 0120 0001 0000 0000 0001";
    let opt = "00 0029 1000 00000000 0000";
    udp(53, &format!("{edns}{PACS}{opt}"), "- - dns.query=pacs.ward.example");
    udp(53, &format!("{QUERY} 00 0002 0001"), "- - dns.query=.");
    udp(
        53,
        "1234 0100 0002 0000 0000 0000 0161 00 00010001 0162 c00c 00010001",
        "- - dns.query=a|b.a",
    );
}

#[test]
fn answers_and_operations_on_zones_say_nothing() {
    udp(53, &format!("{RESPONSE}{PACS}{ADDRESS}"), "");
    udp(53, &format!("1234 2800 0001 0000 0000 0000 {PACS}"), "");
}

#[test]
fn names_are_escaped() {
    udp(
        53,
        &format!("{QUERY} 06 2e5c20ff0041 00 0001 0001"),
        "- - dns.query=\\.\\\\\\032\\255\\000a",
    );
}

#[test]
fn other_ports_need_a_whole_message() {
    udp(5300, &format!("{QUERY}{PACS}"), "- - dns.query=pacs.ward.example");
    udp(5300, &format!("{QUERY}{PACS}00"), "no");
    udp(5300, &format!("{QUERY} 0161 00 0001 0002"), "no");
    udp(5300, &format!("{RESPONSE}{PACS}{ADDRESS}"), "");
    udp(5300, &format!("1234 0100 0001 0001 0000 0000 {PACS}{ADDRESS}"), "no");
    for port in PORTS_OF_OTHERS {
        udp(port, &format!("{QUERY}{PACS}"), "no");
    }
}

#[test]
fn a_header_must_be_plausible() {
    udp(53, "1234 0100 0001 0000 0000 00", "no");
    udp(53, "1234 0100 0000 0000 0000 0000 0000", "no");
    udp(5300, "1234 0140 0001 0000 0000 0000 00 0001 0001", "no");
    udp(53, "1234 0140 0001 0000 0000 0000 00 0001 0002", "no");
    udp(53, "1234 7800 0001 0000 0000 0000 00 0001 0001", "no");
    udp(5300, "1234 0100 0002 0000 0000 0000 00 0001 0001", "no");
    udp(53, "c980 ffef fb03 01fb 0301 fb03 01fb0301fb0301", "no");
}

#[test]
fn hostile_names_are_malformed() {
    let cases = [
        ("c00c 0001 0001", "malformed@12 pointer_forward"),
        ("c00e 0001 0001", "malformed@12 pointer_forward"),
        ("0161 c00c 0001 0001", "malformed@14 pointer_forward"),
        ("80 0001 0001", "malformed@12 label_type"),
        ("40 0001 0001", "malformed@12 label_type"),
        ("0561 0001 00", "malformed@12 name_cut_short"),
        ("03616263 c0", "malformed@16 name_cut_short"),
        ("0161 00 0001 00", "malformed@15 question_cut_short"),
    ];
    for (question, expect) in cases {
        udp(53, &format!("{QUERY}{question}"), expect);
    }
    let long = "3f".to_owned() + &"61".repeat(63);
    udp(53, &format!("{QUERY}{}00 0001 0001", long.repeat(4)), "malformed@204 name_too_long");
    let fits = format!("{} 3d{}", long.repeat(3), "61".repeat(61));
    let name = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "a".repeat(61));
    udp(53, &format!("{QUERY}{fits}00 0001 0001"), &format!("- - dns.query={name}"));
}

#[test]
fn chains_of_pointers_end() {
    // A root at offset 12, then 200 pointers, each to what precedes it.
    let back = |link: u16| if link == 0 { 0xc00c } else { 0xc00d + 2 * (link - 1) };
    let chain: String = (0..200).map(|link| format!("{:04x}", back(link))).collect();
    let message = unhex(&format!("{} 00 {chain}", "00".repeat(12)));
    let (few, many) = (13 + 2 * 100, 13 + 2 * 199);
    assert!(name::Name::read(&message, few).is_ok_and(|(_, end)| end == few + 2));
    let fault = name::Name::read(&message, many).map_err(|fault| fault.after(0));
    let limit = Progress::Malformed { at: many, reason: "pointers_beyond_limit" };
    assert_eq!(fault, Err(limit));
}

#[test]
fn what_precedes_a_fault_is_reported() {
    udp(
        53,
        &format!("1234 0120 0001 0000 0000 0001 {PACS} 00 0029 1000 00000000 0004"),
        "- - dns.query=pacs.ward.example\nmalformed@36 record_cut_short",
    );
    udp(
        53,
        &format!("{RESPONSE}{PACS} c00c 0001 0001 0000003c 0005 0a000002"),
        "malformed@37 record_cut_short",
    );
}

#[test]
fn wrong_counts_are_malformed_after_the_questions() {
    let said = "- - dns.query=pacs.ward.example\nmalformed@35 name_cut_short";
    udp(53, &format!("1234 0100 0001 0000 0000 00cf {PACS}"), said);
    udp(53, &format!("1234 0100 01cb 0000 0000 0000 {PACS}"), said);
}

#[test]
fn streams_carry_lengths() {
    let whole = format!("0023 {QUERY}{PACS}");
    tcp(53, &whole, "- - dns.query=pacs.ward.example");
    tcp(53, &format!("{whole}0023"), "- - dns.query=pacs.ward.example\nconsumed 37");
    tcp(53, "0023 1234 0100 0001 0000 0000 0000 04", "more 37");
    tcp(53, "00", "unsure");
    tcp(53, "0023 1234", "unsure");
    tcp(53, "000b 1234", "no");
    tcp(5300, "0023 1234 0100 0001 0000 0000 0000 04", "unsure");
    tcp(5300, &whole, "- - dns.query=pacs.ward.example");
    tcp(5300, "1603 0100c8 010000c40303 5f5f5f5f5f5f", "no");
}

#[test]
fn answers_in_streams_are_not_waited_for() {
    tcp(53, "0123 1234 8180 0001 0001 0000 0000", "consumed 293");
}
