//! DHCP by data: what each message says, and what is refused.

use super::super::testing::{Case, ascii, check, shake};
use super::*;

const NONE: &str = "00000000";
const CLIENT: &str = "0a000007";
const YOURS: &str = "0a000009";
const RELAY: &str = "0a0000fe";

/// BOOTP's fixed fields with these addresses, the cookie and these options.
fn message(op: u8, addresses: [&str; 3], options: &str) -> String {
    let [client, yours, relay] = addresses;
    let zeros = "00".repeat(10 + 192);
    format!(
        "{op:02x}010600 11223344 00000000 {client}{yours}{NONE}{relay} 0009fb123456 {zeros} \
         63825363 {options}"
    )
}

#[track_caller]
fn dhcp(hex: &str, expect: &str) {
    let case = Case::ports(Carrier::Udp, 68, 67);
    check(&Dhcp, case, hex, expect);
    shake(&Dhcp, case, hex);
}

fn option(code: u8, value: &str) -> String {
    let length = value.chars().filter(|c| !c.is_whitespace()).count() / 2;
    format!("{code:02x}{length:02x}{value}")
}

#[test]
fn reports_what_a_client_says_of_itself() {
    let options = [
        option(53, "01"),
        option(61, "01 0009fb123456"),
        option(50, YOURS),
        option(12, &ascii("pump-7\0")),
        option(60, &ascii("BD Alaris")),
        option(55, "01 03 06 0f 77"),
        option(161, &ascii("https://mud.example.com/pump")),
        "ff 0000".to_owned(),
    ];
    dhcp(
        &message(1, [NONE, NONE, NONE], &options.concat()),
        "00:09:fb:12:34:56 - dhcp.message_type=discover dhcp.hostname=pump-7 \
         dhcp.vendor_class=BD Alaris dhcp.parameter_list=1,3,6,15,119 \
         dhcp.client_id=00:09:fb:12:34:56 dhcp.mud_url=https://mud.example.com/pump \
         dhcp.requested_ip=10.0.0.9",
    );
}

#[test]
fn a_client_is_where_it_says_and_never_the_relay() {
    let said = "dhcp.message_type=request";
    let options = "350103 ff";
    dhcp(&message(1, [CLIENT, NONE, NONE], options), &format!("00:09:fb:12:34:56 10.0.0.7 {said}"));
    dhcp(&message(1, [NONE, NONE, RELAY], options), &format!("00:09:fb:12:34:56 0.0.0.0 {said}"));
    let infiniband = message(1, [NONE, NONE, RELAY], options).replacen("010600", "201400", 1);
    dhcp(&infiniband, &format!("00:00:00:00:00:00 0.0.0.0 {said}"));
    let query = message(1, [CLIENT, NONE, RELAY], "35010a ff");
    dhcp(&query, "- - dhcp.message_type=leasequery");
}

#[test]
fn of_a_server_only_its_own_words_count() {
    let options = [option(53, "05"), option(54, "0a000001"), option(12, &ascii("pump-7"))];
    dhcp(
        &message(2, [NONE, YOURS, NONE], &(options.concat() + "ff")),
        "- - dhcp.message_type=ack dhcp.server=10.0.0.1 dhcp.your_ip=10.0.0.9 \
         dhcp.client_mac=00:09:fb:12:34:56",
    );
    dhcp(
        &message(2, [NONE, NONE, NONE], "350106 3604 0a000001"),
        "- - dhcp.message_type=nak dhcp.server=10.0.0.1 dhcp.client_mac=00:09:fb:12:34:56",
    );
}

#[test]
fn renders_names_classes_and_identifiers() {
    let cases = [
        (option(81, &format!("00ffff{}", ascii("mr1.ward.example"))), "dhcp.fqdn=mr1.ward.example"),
        (option(81, "050000 036d7231 04776172 64 00"), "dhcp.fqdn=mr1.ward"),
        (option(81, "040000 036d7231"), "dhcp.fqdn=mr1"),
        (option(81, "040000 3f6d7231"), "dhcp.fqdn=?mr1"),
        (option(77, "03616263 0178"), "dhcp.user_class=abc|x"),
        (option(77, &ascii("iPXE")), "dhcp.user_class=iPXE"),
        (option(61, "ff 1234"), "dhcp.client_id=ff:12:34"),
        (option(61, &format!("00{}", ascii("ct"))), "dhcp.client_id=00:63:74"),
        (
            format!("{}{}", option(12, &ascii("mon")), option(12, &ascii("itor"))),
            "dhcp.hostname=monitor",
        ),
        (option(53, "63"), "dhcp.message_type=99"),
    ];
    for (options, said) in cases {
        dhcp(
            &message(1, [NONE, NONE, NONE], &format!("{options}ff")),
            &format!("00:09:fb:12:34:56 - {said}"),
        );
    }
}

#[test]
fn options_continue_in_file_and_sname() {
    let whole = message(1, [NONE, NONE, NONE], "340103 350101 ff").replace(' ', "");
    let (fixed, rest) = whole.split_at(2 * 44);
    let sname = format!("{:0<128}", option(12, &ascii("mon")) + "ff");
    let file = format!("{:0<256}", option(60, &ascii("MSFT")) + "ff");
    dhcp(
        &format!("{fixed}{sname}{file}{}", &rest[2 * (236 - 44)..]),
        "00:09:fb:12:34:56 - dhcp.message_type=discover dhcp.hostname=mon dhcp.vendor_class=MSFT",
    );
}

/// Options out of tcpdump's `dhcp-mud.pcap` and `dhcp-rfc3004.pcap`.
#[test]
fn agrees_with_tcpdump_on_its_captures() {
    let mud = "350103 3d0701b827ebb853c8 390205c0 a136\
        68747470733a2f2f6d756463746c2e6578616d706c652e636f6d2f2e77656c6c2d6b6e6f776e2f6d75642f\
        76312f72617362703130313c2d6468637063642d362e31312e353a4c696e75782d342e312e31382d76372b\
        3a61726d76376c3a42434d32373039 0c0b7261737062657272797069 910101\
        371001792103060c0f1c2a33363a3b646577 ff";
    dhcp(
        &message(1, ["3e0cad7b", NONE, "3e0cad79"], mud),
        "00:09:fb:12:34:56 62.12.173.123 dhcp.message_type=request dhcp.hostname=raspberrypi \
         dhcp.vendor_class=dhcpcd-6.11.5:Linux-4.1.18-v7+:armv7l:BCM2709 \
         dhcp.parameter_list=1,121,33,3,6,12,15,28,42,51,54,58,59,100,101,119 \
         dhcp.client_id=b8:27:eb:b8:53:c8 \
         dhcp.mud_url=https://mudctl.example.com/.well-known/mud/v1/rasbp101",
    );
    let classes = "350101 3204c0a80104 3707011c02030f060c 4d25077375626f707431\
        117375626f7074322d313233343536373839 0a7375626f7074332d3132 ff0000";
    dhcp(
        &message(1, [NONE; 3], classes),
        "00:09:fb:12:34:56 - dhcp.message_type=discover dhcp.parameter_list=1,28,2,3,15,6,12 \
         dhcp.user_class=subopt1|subopt2-123456789|subopt3-12 dhcp.requested_ip=192.168.1.4",
    );
}

#[test]
fn broken_options_are_malformed_after_what_they_said() {
    let broken = [
        ("0c05 6162", "option_cut_short"),
        ("0c", "option_cut_short"),
        ("3502 0101", "message_type_length"),
        ("3603 0a0000", "server_id_length"),
        ("3205 0a00000900", "requested_ip_length"),
        ("3400", "overload_length"),
    ];
    for (options, reason) in broken {
        dhcp(
            &message(1, [NONE, NONE, NONE], &format!("350103 {options}")),
            &format!("00:09:fb:12:34:56 - dhcp.message_type=request\nmalformed@243 {reason}"),
        );
    }
}

#[test]
fn only_messages_with_the_cookie_are_dhcp() {
    dhcp(&message(1, [NONE; 3], "ff").replace("63825363", "63825364"), "no");
    dhcp(&message(3, [NONE; 3], "ff"), "no");
    dhcp("0101", "no");
    dhcp(&message(2, [NONE, NONE, NONE], "ff"), "- - dhcp.client_mac=00:09:fb:12:34:56");
    let link = Case::link(Carrier::Link(0x0800));
    check(&Dhcp, link, &message(1, [NONE; 3], "ff"), "no");
}
