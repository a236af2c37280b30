//! DICOM over TCP: the association PDUs of PS3.8 section 9.3, and no others.
//!
//! A-ASSOCIATE-RQ, -AC and -RJ become one observation each. P-DATA-TF carries patients' data: it is
//! passed over by its length, never looked into beyond the headers that recognise it.

use super::reader::Reader;
use super::{Carrier, Dissector, Observation, Observations, Payload, Probe, Progress};
use association::{APPLICATION_CONTEXT, Association, FIXED_BYTES};

mod association;
mod rejection;
#[cfg(test)]
mod tests;

/// Bytes of one association PDU after its header, within the 256 KiB that a stream holds: 128
/// presentation contexts with a dozen transfer syntaxes each take 64 KiB, and user identity (a Kerberos
/// ticket, a SAML assertion) at most as much again.
pub(super) const ASSOCIATION_BYTES_MAX: usize = 192 * 1024;

/// Type, a reserved byte and a 32-bit length (PS3.8 section 9.3.1).
const HEADER_BYTES: usize = 6;

/// Length of A-ASSOCIATE-RJ, A-RELEASE-RQ, A-RELEASE-RP and A-ABORT after the header.
const SHORT_BYTES: usize = 4;

/// Offset of the called AE title; the calling one follows it, 16 bytes each (PS3.8 table 9-11).
const TITLES_AT: usize = 10;

const ASSOCIATE_RQ: u8 = 1;
const ASSOCIATE_AC: u8 = 2;
const ASSOCIATE_RJ: u8 = 3;
const P_DATA_TF: u8 = 4;
const ABORT: u8 = 7;

/// Reads the DICOM upper layer.
pub(super) struct Dicom;

impl Dissector for Dicom {
    fn protocol(&self) -> &'static str {
        "dicom"
    }

    /// The release PDUs are not probed for: ten bytes of mostly zeros are no grammar.
    fn probe(&self, payload: &Payload<'_>) -> Probe {
        if payload.carrier != Carrier::Tcp {
            return Probe::No;
        }
        match *payload.bytes {
            [] => Probe::Unsure,
            [ASSOCIATE_RQ | ASSOCIATE_AC, ..] => probe_association(payload.bytes),
            [ASSOCIATE_RJ | ABORT, ..] => probe_ending(payload.bytes),
            [P_DATA_TF, ..] => probe_values(payload.bytes),
            _ => Probe::No,
        }
    }

    fn dissect(&self, payload: &Payload<'_>, found: &mut Observations) -> Progress {
        let mut reader = Reader::new(payload.bytes);
        let Some(kind) = reader.u8() else { return Progress::NeedMore(HEADER_BYTES) };
        if !(ASSOCIATE_RQ..=ABORT).contains(&kind) {
            return malformed(0, "unknown_pdu_type");
        }
        let Some(length) = reader.skip(1).and_then(|()| reader.u32()) else {
            return Progress::NeedMore(HEADER_BYTES);
        };
        let length = length as usize;
        match kind {
            P_DATA_TF => Progress::Consumed(HEADER_BYTES.saturating_add(length)),
            ASSOCIATE_RQ | ASSOCIATE_AC if length > ASSOCIATION_BYTES_MAX => {
                malformed(2, "length_beyond_limit")
            }
            ASSOCIATE_RQ | ASSOCIATE_AC => match reader.take(length) {
                Some(body) => read_association(kind, body, found),
                None => Progress::NeedMore(HEADER_BYTES + length),
            },
            _ if length != SHORT_BYTES => malformed(2, "unexpected_length"),
            ASSOCIATE_RJ => match reader.array() {
                Some([_, result, source, reason]) => {
                    let seen = rejection::describe(result, source, reason);
                    found.0.extend(seen);
                    Progress::Consumed(HEADER_BYTES + SHORT_BYTES)
                }
                None => Progress::NeedMore(HEADER_BYTES + SHORT_BYTES),
            },
            _ => Progress::Consumed(HEADER_BYTES + SHORT_BYTES),
        }
    }
}

fn malformed(at: usize, reason: &'static str) -> Progress {
    Progress::Malformed { at, reason }
}

fn read_association(kind: u8, body: &[u8], found: &mut Observations) -> Progress {
    let Some(association) = Association::read(body) else {
        return malformed(HEADER_BYTES, "association_cut_short");
    };
    found.0.push(describe(kind, association));
    Progress::Consumed(HEADER_BYTES + body.len())
}

/// The acceptor's PDU repeats the requestor's titles in reserved fields (PS3.8 table 9-17), so both
/// ends of an accepted association can be told from either direction.
fn describe(kind: u8, association: Association) -> Observation {
    let mut seen = Observation::default();
    seen.say("dicom.role", if kind == ASSOCIATE_RQ { "scu" } else { "scp" });
    seen.say("dicom.calling_ae", association.calling);
    seen.say("dicom.called_ae", association.called);
    seen.say("dicom.implementation_class_uid", association.class_uid);
    seen.say("dicom.implementation_version_name", association.version_name);
    if kind == ASSOCIATE_RQ {
        seen.say_all("dicom.abstract_syntax", association.abstract_syntaxes);
    } else {
        seen.say("dicom.result", "accepted");
    }
    seen
}

/// Length, protocol version, titles and the first item, as far as they are there.
fn probe_association(bytes: &[u8]) -> Probe {
    let mut reader = Reader::new(bytes);
    if reader.skip(2).is_none() {
        return Probe::Unsure;
    }
    let Some(length) = reader.u32() else { return Probe::Unsure };
    if !(FIXED_BYTES..=ASSOCIATION_BYTES_MAX).contains(&(length as usize)) {
        return Probe::No;
    }
    let Some(version) = reader.u16() else { return Probe::Unsure };
    let mut titles = bytes.iter().skip(TITLES_AT).take(32);
    if version & 1 == 0 || !titles.all(|byte| matches!(byte, b' '..=b'~' | 0)) {
        return Probe::No;
    }
    match bytes.get(HEADER_BYTES + FIXED_BYTES) {
        Some(&APPLICATION_CONTEXT) => Probe::Yes,
        None => Probe::Unsure,
        Some(_) => Probe::No,
    }
}

/// A-ASSOCIATE-RJ or A-ABORT: what a server may answer first.
fn probe_ending(bytes: &[u8]) -> Probe {
    const LENGTH: [u8; 4] = [0, 0, 0, SHORT_BYTES as u8];
    let Some((&[kind, _], rest)) = bytes.split_first_chunk() else { return Probe::Unsure };
    let (length, body) = rest.split_at(rest.len().min(LENGTH.len()));
    if !LENGTH.starts_with(length) {
        return Probe::No;
    }
    match *body {
        [_, 1..=2, 1..=3, ..] if kind == ASSOCIATE_RJ => Probe::Yes,
        [_, _, 0..=2, ..] if kind == ABORT => Probe::Yes,
        [_, _, _, ..] => Probe::No,
        _ => Probe::Unsure,
    }
}

/// P-DATA-TF, for streams that are seen from their middle: the first presentation data value fits in
/// the PDU, its context id is odd and its message control header has only its two lowest bits
/// (PS3.8 sections 9.3.5 and E.2).
fn probe_values(bytes: &[u8]) -> Probe {
    let mut reader = Reader::new(bytes);
    let head = reader.skip(2).and_then(|()| reader.u32().zip(reader.u32()));
    let Some(((length, value), [context, control])) = head.zip(reader.array()) else {
        let is_plausible = bytes.get(1).is_none_or(|reserved| *reserved == 0);
        return if is_plausible { Probe::Unsure } else { Probe::No };
    };
    let fits = value >= 2 && value.checked_add(4).is_some_and(|whole| whole <= length);
    if fits && context % 2 == 1 && control <= 3 && bytes.get(1) == Some(&0) {
        Probe::Yes
    } else {
        Probe::No
    }
}
