//! LLDP by data: what each frame says, and what is refused.

use super::super::testing::{Case, ascii, check, shake};
use super::*;

const HEAD: &str = "0207 04 0009fb123456  0405 05 65746830  0602 0078";

#[track_caller]
fn lldp(hex: &str, expect: &str) {
    let case = Case::link(Carrier::Link(ETHERTYPE));
    check(&Lldp, case, hex, expect);
    shake(&Lldp, case, hex);
}

fn tlv_of(kind: u16, body: &str) -> String {
    let length = body.chars().filter(|c| !c.is_whitespace()).count() as u16 / 2;
    format!("{:04x}{body}", kind << 9 | length)
}

#[test]
fn reports_what_a_system_says_of_itself() {
    let frame = [
        HEAD.to_owned(),
        tlv_of(4, &ascii("Uplink")),
        tlv_of(5, &ascii("mr-1\0")),
        tlv_of(6, &ascii("MR console 5.4")),
        tlv_of(7, "00a8 0080"),
        tlv_of(8, "05 01 c0000207 02 00000001 00"),
        tlv_of(8, "11 02 20010db8000000000000000000000001 02 00000001 00"),
        "0000 ffff".to_owned(),
    ];
    lldp(
        &frame.concat(),
        "- - lldp.chassis_id=00:09:fb:12:34:56 lldp.port_id=eth0 \
         lldp.port_description=Uplink lldp.system_name=mr-1 \
         lldp.system_description=MR console 5.4 lldp.capabilities=station_only \
         lldp.management_address=192.0.2.7|2001:db8::1",
    );
}

#[test]
fn reports_inventory_and_mud_url() {
    let inventory = (5..=11).map(|kind| tlv_of(127, &format!("0012bb{kind:02x}{}", ascii("v1"))));
    lldp(
        &format!("{HEAD}{}0000", inventory.collect::<String>()),
        "- - lldp.chassis_id=00:09:fb:12:34:56 lldp.port_id=eth0 lldp.inventory_hardware=v1 \
         lldp.inventory_firmware=v1 lldp.inventory_software=v1 lldp.inventory_serial=v1 \
         lldp.inventory_manufacturer=v1 lldp.inventory_model=v1 lldp.inventory_asset=v1",
    );
    let mud = tlv_of(127, &format!("00005e01{}", ascii("https://mud.example.com/pump")));
    lldp(
        &format!("{HEAD}{mud}{}0000", tlv_of(127, "0080c2010000")),
        "- - lldp.chassis_id=00:09:fb:12:34:56 lldp.port_id=eth0 \
         lldp.mud_url=https://mud.example.com/pump",
    );
}

#[test]
fn renders_identifiers_by_subtype() {
    let cases = [
        ("0206 05 01 c0000207", "0407 03 0009fb123456", "192.0.2.7", "00:09:fb:12:34:56"),
        ("0204 07 000102", "0406 04 01 0a000001", "00:01:02", "10.0.0.1"),
        ("0204 06 657468", "0405 06 00040001", "eth", "00:04:00:01"),
        ("0203 04 0102", "0404 05 022222", "01:02", "02:22:22"),
    ];
    for (chassis, port, chassis_id, port_id) in cases {
        lldp(
            &format!("{chassis}{port}06020078"),
            &format!("- - lldp.chassis_id={chassis_id} lldp.port_id={port_id}"),
        );
    }
}

#[test]
fn the_first_of_two_counts() {
    lldp(
        &format!("{HEAD}{}{}0000", tlv_of(5, &ascii("a")), tlv_of(5, &ascii("b"))),
        "- - lldp.chassis_id=00:09:fb:12:34:56 lldp.port_id=eth0 lldp.system_name=a",
    );
}

#[test]
fn broken_units_are_malformed_after_what_they_said() {
    lldp("", "malformed@0 tlv_cut_short");
    lldp("fe09 0080c2 07 03 00000064", "malformed@0 chassis_id_missing");
    lldp(
        "0206 05 01 00002000 fe09 00120f 01 00ffff2000",
        "- - lldp.chassis_id=0.0.32.0\nmalformed@8 port_id_missing",
    );
    let said = "- - lldp.chassis_id=00:09:fb:12:34:56 lldp.port_id=eth0";
    lldp(&format!("{HEAD} 0a10 6162"), &format!("{said}\nmalformed@20 tlv_cut_short"));
    lldp(&format!("{HEAD} 0e02 0080 0000"), &format!("{said}\nmalformed@20 tlv_length"));
    lldp(&format!("{HEAD} 1005 06 01 c00002"), &format!("{said}\nmalformed@20 tlv_length"));
    lldp("0201 04", "malformed@0 tlv_length");
}
