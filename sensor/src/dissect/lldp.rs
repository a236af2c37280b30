//! LLDP (IEEE 802.1AB-2016) with LLDP-MED inventory (TIA-1057) and MUD URLs (RFC 8520 section 11).
//!
//! A device describes itself to its neighbour on the link. What precedes a broken TLV is reported;
//! TLVs that are not named here are passed over.

use super::reader::{Reader, text};
use super::{Carrier, Dissector, Observation, Observations, Payload, Probe, Progress};

mod value;

#[cfg(test)]
mod tests;

/// EtherType of LLDP (IEEE 802.1AB clause 8).
const ETHERTYPE: u16 = 0x88cc;
/// The organisation of LLDP-MED, TIA TR-41.
const TIA: [u8; 3] = [0x00, 0x12, 0xbb];
/// The organisation of MUD, IANA.
const IANA: [u8; 3] = [0x00, 0x00, 0x5e];

/// TLV types (IEEE 802.1AB table 8-1).
const END: u8 = 0;
const CHASSIS_ID: u8 = 1;
const PORT_ID: u8 = 2;
const PORT_DESCRIPTION: u8 = 4;
const SYSTEM_NAME: u8 = 5;
const SYSTEM_DESCRIPTION: u8 = 6;
const CAPABILITIES: u8 = 7;
const MANAGEMENT_ADDRESS: u8 = 8;
const ORGANISATION: u8 = 127;

/// Reports the `lldp.*` keys of the frame's sender.
#[derive(Debug)]
pub(super) struct Lldp;

impl Dissector for Lldp {
    fn protocol(&self) -> &'static str {
        "lldp"
    }

    fn probe(&self, payload: &Payload<'_>) -> Probe {
        if payload.carrier == Carrier::Link(ETHERTYPE) { Probe::Yes } else { Probe::No }
    }

    fn dissect(&self, payload: &Payload<'_>, found: &mut Observations) -> Progress {
        let mut observation = Observation::default();
        let outcome = read(payload.bytes, &mut observation);
        if !observation.attributes.is_empty() {
            found.0.push(observation);
        }
        match outcome {
            Ok(()) => Progress::Consumed(payload.bytes.len()),
            Err(Fault { at, reason }) => Progress::Malformed { at, reason },
        }
    }
}

/// Where a data unit breaks, and how.
struct Fault {
    at: usize,
    reason: &'static str,
}

/// Reads TLVs up to the end TLV, or to the end of the frame where a sender leaves that out.
fn read(bytes: &[u8], observation: &mut Observation) -> Result<(), Fault> {
    let mut reader = Reader::new(bytes);
    for position in 0.. {
        let at = reader.at();
        if reader.is_empty() && position > 1 {
            return Ok(());
        }
        let cut_short = Fault { at, reason: "tlv_cut_short" };
        let (kind, value) = tlv(&mut reader).ok_or(cut_short)?;
        match (position, kind) {
            (0, CHASSIS_ID) | (1, PORT_ID) => {}
            (0, _) => return Err(Fault { at, reason: "chassis_id_missing" }),
            (1, _) => return Err(Fault { at, reason: "port_id_missing" }),
            (_, END) => return Ok(()),
            _ => {}
        }
        say(kind, value, observation).ok_or(Fault { at, reason: "tlv_length" })?;
    }
    Ok(())
}

/// A type of 7 bits, a length of 9 bits, and the value (IEEE 802.1AB 8.4).
fn tlv<'a>(reader: &mut Reader<'a>) -> Option<(u8, &'a [u8])> {
    let head = reader.u16()?;
    Some(((head >> 9) as u8, reader.take(usize::from(head & 0x1ff))?))
}

/// Reports one TLV; `None` where its value is shorter than its type demands.
fn say(kind: u8, value: &[u8], observation: &mut Observation) -> Option<()> {
    match kind {
        CHASSIS_ID => say_once(observation, "lldp.chassis_id", value::chassis_id(value)?),
        PORT_ID => say_once(observation, "lldp.port_id", value::port_id(value)?),
        PORT_DESCRIPTION => say_once(observation, "lldp.port_description", text(value)),
        SYSTEM_NAME => say_once(observation, "lldp.system_name", text(value)),
        SYSTEM_DESCRIPTION => say_once(observation, "lldp.system_description", text(value)),
        CAPABILITIES => observation.say_all("lldp.capabilities", value::capabilities(value)?),
        MANAGEMENT_ADDRESS => {
            let address = value::management_address(value)?;
            match observation.attributes.iter_mut().find(|a| a.key == "lldp.management_address") {
                Some(attribute) => attribute.values.push(address),
                None => observation.say("lldp.management_address", address),
            }
        }
        ORGANISATION => {
            let mut reader = Reader::new(value);
            let key = organisation_key(reader.array()?, reader.u8()?);
            if let Some(key) = key {
                say_once(observation, key, text(reader.rest()));
            }
        }
        _ => {}
    }
    Some(())
}

/// A TLV that may appear once (IEEE 802.1AB 8.5) and comes again does not overrule the first.
fn say_once(observation: &mut Observation, key: &'static str, value: String) {
    if observation.attributes.iter().all(|attribute| attribute.key != key) {
        observation.say(key, value);
    }
}

/// The key of an organisation's TLV: TIA-1057 table 7, RFC 8520 section 11.
fn organisation_key(organisation: [u8; 3], subtype: u8) -> Option<&'static str> {
    match (organisation, subtype) {
        (TIA, 5) => Some("lldp.inventory_hardware"),
        (TIA, 6) => Some("lldp.inventory_firmware"),
        (TIA, 7) => Some("lldp.inventory_software"),
        (TIA, 8) => Some("lldp.inventory_serial"),
        (TIA, 9) => Some("lldp.inventory_manufacturer"),
        (TIA, 10) => Some("lldp.inventory_model"),
        (TIA, 11) => Some("lldp.inventory_asset"),
        (IANA, 1) => Some("lldp.mud_url"),
        _ => None,
    }
}
