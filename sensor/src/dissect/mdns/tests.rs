//! mDNS by data: what each message says, and what is refused.

use super::super::testing::{Case, ascii, check, shake};
use super::*;

/// `_ipp._tcp.local`, at offset 12 where it comes first.
const IPP: &str = "045f697070 045f746370 056c6f63616c 00";

#[track_caller]
fn mdns(hex: &str, expect: &str) {
    let case = Case::ports(Carrier::Udp, PORT, PORT);
    check(&Mdns, case, hex, expect);
    shake(&Mdns, case, hex);
}

fn response(records: &[String]) -> String {
    format!("0000 8400 0000 {:04x} 0000 0000 {}", records.len(), records.concat())
}

fn record(owner: &str, kind: u16, value: &str) -> String {
    let length = value.chars().filter(|c| !c.is_whitespace()).count() / 2;
    format!("{owner} {kind:04x} 8001 00000078 {length:04x} {value}")
}

fn label(text: &str) -> String {
    format!("{:02x}{}", text.len(), ascii(text))
}

#[test]
fn reports_what_a_printer_announces() {
    let strings = ["txtvers=1", "ty=HP LaserJet 4", "note=Dr. Who's office", "usb_MFG=HP", "MDL=4"];
    let instance = label("Ward 3 v1.2 é") + "c00c";
    let records = [
        record(IPP, PTR, &instance),
        record(&instance, SRV, &format!("0000 0000 0277 {}c016", label("HP-4"))),
        record(&instance, TXT, &strings.map(label).concat()),
        record(&(label("HP-4") + "c016"), A, "0a000004"),
        record(&(label("HP-4") + "c016"), AAAA, "fe800000000000000000000000000001"),
    ];
    mdns(
        &response(&records),
        "- - mdns.service=_ipp._tcp.local mdns.instance=Ward 3 v1\\.2 é._ipp._tcp.local \
         mdns.txt=ty=HP LaserJet 4|usb_MFG=HP|MDL=4 mdns.hostname=HP-4.local",
    );
}

#[test]
fn pointers_lead_to_types_instances_and_hosts() {
    let list = ["_services", "_dns-sd", "_udp", "local"].map(label).concat() + "00";
    let subtype = label("_printer")
        + &label("_sub")
        + &label("_HTTP")
        + &label("_tcp")
        + &label("local")
        + "00";
    let reverse = ["7", "0", "0", "10", "in-addr", "arpa"].map(label).concat() + "00";
    let host = label("mr-1") + &label("local") + "00";
    mdns(&response(&[record(&list, PTR, IPP)]), "- - mdns.service=_ipp._tcp.local");
    mdns(
        &response(&[record(&subtype, PTR, &host)]),
        "- - mdns.service=_http._tcp.local mdns.instance=mr-1.local",
    );
    mdns(&response(&[record(&reverse, PTR, &host)]), "- - mdns.hostname=mr-1.local");
}

#[test]
fn queries_claim_nothing() {
    mdns(
        &format!(
            "0000 0000 0001 0001 0000 0000 {IPP} 000c 8001 {}",
            record("c00c", PTR, &(label("x") + "c00c"))
        ),
        "- - mdns.query=_ipp._tcp.local",
    );
}

#[test]
fn text_keys_without_a_name_or_a_value_stay_here() {
    let strings = ["fn=Bed 3", "id=0009fb", "md", "mdx=1", "=md", "md=", "Model=X"];
    mdns(&response(&[record(IPP, TXT, &strings.map(label).concat())]), "- - mdns.txt=md=|Model=X");
    mdns(&response(&[record(IPP, TXT, "05 6d643d58")]), "");
}

#[test]
fn broken_ones_are_malformed_after_what_they_said() {
    let good = record(IPP, PTR, &(label("x") + "c00c"));
    let beyond = record("c00c", PTR, "0561");
    mdns(
        &response(&[good, beyond]),
        "- - mdns.service=_ipp._tcp.local mdns.instance=x._ipp._tcp.local\n\
         malformed@55 name_cut_short",
    );
    mdns(
        &response(&[record(IPP, SRV, "0000 0000")]),
        "- - mdns.instance=_ipp._tcp.local\nmalformed@45 name_cut_short",
    );
    mdns(
        &response(&[record(IPP, PTR, "01"), record("00", A, "00000000")]),
        "malformed@39 name_beyond_record",
    );
}

#[test]
fn one_message_yields_a_bounded_number_of_values() {
    let records: Vec<String> =
        (0..200).map(|n| record(&(label(&format!("h{n}")) + "00"), A, "0a000001")).collect();
    let hosts: Vec<String> = (0..VALUES_MAX).map(|n| format!("h{n}")).collect();
    mdns(&response(&records), &format!("- - mdns.hostname={}", hosts.join("|")));
}

#[test]
fn the_port_tells_it_from_dns() {
    let query = format!("0000 0000 0001 0000 0000 0000 {IPP} 000c 0001");
    check(&Mdns, Case::ports(Carrier::Udp, PORT, 53), &query, "- - mdns.query=_ipp._tcp.local");
    check(&Mdns, Case::ports(Carrier::Udp, 50000, 53), &query, "no");
    check(&Mdns, Case::ports(Carrier::Tcp, PORT, PORT), &query, "no");
    check(&Mdns, Case::ports(Carrier::Udp, PORT, PORT), "0000", "no");
}
