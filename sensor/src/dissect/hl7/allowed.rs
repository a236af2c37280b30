//! The allow-list: which fields of a message become attributes, and nothing else does.
//!
//! MSH, OBX-18, PRT-10 and PRT-16; of OBX-5 only a device's model and system id, in device messages
//! of IHE PCD-01. No other segment may ever be named here.

use super::message::{Field, Message, Segment};
use crate::dissect::Observation;

/// Distinct values kept of a field that each OBX or PRT repeats: modules of one monitor.
const VALUES_MAX: usize = 32;

/// What an OBX-3 of ISO/IEEE 11073-10101 must be called for its value to name a model.
const MODELS: [&str; 2] = ["MDC_ATTR_ID_MODEL", "MDC_ID_MODEL_NUMBER"];

/// What it must be called for its value to identify a system.
const SYSTEMS: [&str; 1] = ["MDC_ATTR_SYS_ID"];

/// Names of coding systems that OBX-3 gives for ISO/IEEE 11073-10101; empty where it gives none.
const CODINGS: [&str; 3] = ["MDC", "ISO11073", ""];

/// Value types (OBX-2) that a model's name or a system id can have: texts and codes.
const TYPES: [&str; 6] = ["ST", "CWE", "CE", "CNE", "EI", "TX"];

/// What MSH-21 of a device message of IHE PCD-01 begins with, in either of its spellings.
const DEVICE_PROFILES: [&str; 2] = ["IHE_PCD_001", "IHE PCD-01"];

/// What one message says of the devices and interfaces that it passed.
pub(super) fn describe(message: &Message<'_>) -> Observation {
    let header = message.header();
    let mut seen = Observation::default();
    let sender = header.first(3);
    seen.say("hl7.sending_application", sender.name());
    seen.say("hl7.sending_application_id", universal_id(sender));
    seen.say("hl7.sending_facility", header.first(4).name());
    seen.say("hl7.receiving_application", header.first(5).name());
    seen.say("hl7.receiving_facility", header.first(6).name());
    seen.say("hl7.message_type", header.first(9).whole());
    seen.say("hl7.control_id", header.first(10).whole());
    seen.say("hl7.version", header.first(12).name());
    seen.say_all("hl7.profile", distinct(header.field(21).map(Field::name)));
    let equipment = message.segments(b"OBX").flat_map(|obx| obx.field(18));
    seen.say_all("hl7.equipment_id", distinct(equipment.map(Field::whole)));
    let udi = message.segments(b"PRT").flat_map(|prt| prt.field(10));
    seen.say_all("hl7.udi", distinct(udi.map(Field::whole)));
    let device = message.segments(b"PRT").flat_map(|prt| prt.field(16));
    seen.say_all("hl7.device_id", distinct(device.map(Field::whole)));
    if is_device_message(header) {
        seen.say_all("hl7.model", coded_values(message, &MODELS));
        seen.say_all("hl7.system_id", coded_values(message, &SYSTEMS));
    }
    seen
}

/// The universal id and its type of a hierarchic designator (HL7 2.x section 2A, HD) that has a
/// name too: `0012211839000001^EUI-64`.
fn universal_id(field: Field<'_>) -> String {
    let (name, id, kind) = (field.component(1), field.component(2), field.component(3));
    match (name.is_empty() || id.is_empty(), kind.is_empty()) {
        (true, _) => String::new(),
        (false, true) => id,
        (false, false) => format!("{id}^{kind}"),
    }
}

/// An unsolicited observation report under the device-observation profile of IHE PCD-01.
fn is_device_message(header: Segment<'_>) -> bool {
    let profile = header.field(21).map(Field::name);
    let mut devices = profile.filter(|p| DEVICE_PROFILES.iter().any(|known| p.starts_with(known)));
    header.first(9).component(1) == "ORU" && devices.next().is_some()
}

/// OBX-5 of the segments whose OBX-3 has one of these reference names.
fn coded_values(message: &Message<'_>, names: &[&str]) -> Vec<String> {
    let allowed = message.segments(b"OBX").filter(|obx| {
        let code = obx.first(3);
        names.contains(&code.component(2).as_str())
            && CODINGS.contains(&code.component(3).as_str())
            && TYPES.contains(&obx.first(2).whole().as_str())
    });
    distinct(allowed.map(|obx| obx.first(5).whole()))
}

/// The values that say something, each once, in wire order.
fn distinct(values: impl Iterator<Item = String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for value in values {
        if kept.len() == VALUES_MAX {
            break;
        }
        if !value.is_empty() && !kept.contains(&value) {
            kept.push(value);
        }
    }
    kept
}
