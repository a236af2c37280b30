//! Tables and hostile bytes: messages in and out of frames, and that no canary leaves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::dissect::Observation;
use crate::dissect::stream_testing::{no_canary, stream, tcp, torture, values};

/// A device message with a canary in each field that must not leave.
const DEVICE: &str = "MSH|^~\\&|PUMP^0012211839000001^EUI-64|WARD&1|EHR^1.2^ISO|CLINIC|2026||\
ORU^R01^ORU_R01|77|P|2.6|||AL|NE||ASCII|||IHE_PCD_001^IHE PCD^1.3.6^ISO\r\
PID|1||CANARY^^^H^PI||CANARY^DOE\rNK1|1|CANARY\rPV1|1|I|CANARY^1\rZXX|CANARY|MDC_ATTR_ID_MODEL\r\
OBX|1|ST|67880^MDC_ATTR_ID_MODEL^MDC|1.0|Pump \\T\\ rack||||||F\r\
OBX|2|ST|67972^MDC_ATTR_SYS_ID^MDC|1.0|3107c7c4||||||F\r\
OBX|3|ST|184514^MDC_ATTR_PT_NAME^MDC|1.0|CANARY||||||F\r\
OBX|4|PN|67880^MDC_ATTR_ID_MODEL^MDC|1.0|CANARY||||||F\r\
OBX|5|ST|67880^MDC_ATTR_ID_MODEL^LOCAL|1.0|CANARY||||||F\r\
OBX|6|NM|150456^MDC_PULS_OXIM_SAT_O2^MDC|1.3|CANARY||||||R|||2026||||00A0^^00A0^EUI-64~P52\r\
OBX|7|NM|150456^MDC_PULS_OXIM_SAT_O2^MDC|1.3|CANARY||||||R|||2026||||00A0^^00A0^EUI-64\r\
NTE|1||CANARY\nMSH|^~\\&|CANARY|X|||||ADT^A01|1\r\
PRT|1|AD||EQUIP|CANARY^SMITH||||CANARY|(01)0088^^^^||||||Plum A+\r";

fn framed(message: &str) -> Vec<u8> {
    [b"\x0b", message.as_bytes(), b"\x1c\r"].concat()
}

fn read(bytes: &[u8]) -> Vec<Observation> {
    let found = stream(&Hl7, bytes, bytes.len());
    for step in [1, 7, 100] {
        assert_eq!(stream(&Hl7, bytes, step), found, "in pieces of {step}");
    }
    no_canary(&found);
    found
}

#[test]
fn a_device_message_names_devices_and_no_patient() {
    let found = read(&framed(DEVICE));
    assert_eq!(found.len(), 1);
    let cases: [(&str, &[&str]); 14] = [
        ("hl7.sending_application", &["PUMP"]),
        ("hl7.sending_application_id", &["0012211839000001^EUI-64"]),
        ("hl7.sending_facility", &["WARD&1"]),
        ("hl7.receiving_application", &["EHR"]),
        ("hl7.receiving_facility", &["CLINIC"]),
        ("hl7.message_type", &["ORU^R01^ORU_R01"]),
        ("hl7.control_id", &["77"]),
        ("hl7.version", &["2.6"]),
        ("hl7.profile", &["IHE_PCD_001"]),
        ("hl7.equipment_id", &["00A0^^00A0^EUI-64", "P52"]),
        ("hl7.udi", &["(01)0088"]),
        ("hl7.device_id", &["Plum A+"]),
        ("hl7.model", &["Pump & rack"]),
        ("hl7.system_id", &["3107c7c4"]),
    ];
    for (key, expect) in cases {
        assert_eq!(values(&found[0], key), expect, "{key}");
    }
    assert_eq!(found[0].attributes.len(), cases.len());
}

#[test]
fn a_model_code_outside_device_messages_is_not_read() {
    for (from, to) in [("IHE_PCD_001", "OTHER"), ("ORU^R01^ORU_R01", "ADT^A01")] {
        let found = read(&framed(&DEVICE.replace(from, to).replace("Pump ", "CANARY ")));
        assert!(values(&found[0], "hl7.model").is_empty());
    }
}

#[test]
fn messages_follow_one_another_in_whatever_frame() {
    let ack = "MSH|^~\\&|A|B|C|D|2026||ACK|5|P|2.3\rMSA|AA|CANARY\r";
    let adt = "MSH|^~\\&|E|F|C|D|2026||ADT^A01|6|P|2.3\nPID|1||CANARY\n";
    let dollar = "MSH$%~\\&$G$F$C$D$2026$$ADT%A04$7$P$2.5\rPID$1$$CANARY";
    let bytes = [framed(ack), framed(adt), framed(dollar)].concat();
    let types = |bytes: &[u8]| {
        let found = read(bytes);
        let kinds = found.iter().flat_map(|seen| values(seen, "hl7.message_type"));
        kinds.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(types(&bytes), ["ACK", "ADT^A01", "ADT%A04"]);
    let unclosed = format!("\x0b{ack}\x0b{adt}\x1c\r");
    assert_eq!(types(unclosed.as_bytes()), ["ACK", "ADT^A01"]);
    assert_eq!(types(ack.replace('\r', "\r\r").as_bytes()), ["ACK"]);
    assert_eq!(types(format!("{ack}{ack}").as_bytes()), ["ACK", "ACK"]);
    let batch = format!("\x0bFHS|^~\\&|X\rBHS|^~\\&|X\r{ack}{dollar}\rBTS|2\rFTS|1\r\x1c\r");
    assert_eq!(types(batch.as_bytes()), ["ACK", "ADT%A04"]);
}

#[test]
fn knows_hl7_by_its_header() {
    let cases: [(&[u8], Probe); 12] = [
        (b"", Probe::Unsure),
        (b"\x0b", Probe::Unsure),
        (b"\x0bMS", Probe::Unsure),
        (b"\x0bMSH|^~\\&", Probe::Unsure),
        (b"\x0bMSH|^~\\&|", Probe::Yes),
        (b"MSH|^~\\&|", Probe::Yes),
        (b"\x0bMSH|^~\\&#|", Probe::Yes),
        (b"\r\nBHS|^~\\&|", Probe::Yes),
        (b"MSH|ABC|", Probe::No),
        (b"MSHELL", Probe::No),
        (b"\x0bPID|", Probe::No),
        (b"GET / HTTP/1.1", Probe::No),
    ];
    for (bytes, expect) in cases {
        assert_eq!(Hl7.probe(&tcp(bytes, false)), expect, "{bytes:?}");
    }
}

#[test]
fn a_message_beyond_the_limit_still_says_who_sends() {
    let mut long = framed("MSH|^~\\&|A|B|C|D|2026||ORU^R01|5|P|2.3\rOBX|1|ED|x||");
    long.truncate(long.len() - 2);
    long.resize(2 * MESSAGE_BYTES_MAX, b'A');
    long.extend_from_slice(b"\x1c\r");
    long.extend_from_slice(&framed("MSH|^~\\&|A|B|C|D|2026||ACK|6|P|2.3\r"));
    assert_eq!(stream(&Hl7, &long, 60_000).len(), 2);
}

#[test]
fn hostile_bytes_do_no_harm() {
    torture(&Hl7, &framed(DEVICE), MESSAGE_BYTES_MAX + 1);
}
