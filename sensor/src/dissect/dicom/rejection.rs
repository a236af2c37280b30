//! A-ASSOCIATE-RJ in words (PS3.8 table 9-21).

use crate::dissect::Observation;

/// What a rejection says; `None` where the result is none that the standard knows.
pub(super) fn describe(result: u8, source: u8, reason: u8) -> Option<Observation> {
    let result = match result {
        1 => "rejected-permanent",
        2 => "rejected-transient",
        _ => return None,
    };
    let mut seen = Observation::default();
    seen.say("dicom.role", "scp");
    seen.say("dicom.result", result);
    seen.say("dicom.reason", reason_name(source, reason));
    Some(seen)
}

/// The reason by its source: 1 the service user, 2 the provider's ACSE, 3 its presentation layer.
fn reason_name(source: u8, reason: u8) -> &'static str {
    match (source, reason) {
        (1 | 2, 1) => "no-reason-given",
        (1, 2) => "application-context-name-not-supported",
        (1, 3) => "calling-ae-title-not-recognized",
        (1, 7) => "called-ae-title-not-recognized",
        (2, 2) => "protocol-version-not-supported",
        (3, 1) => "temporary-congestion",
        (3, 2) => "local-limit-exceeded",
        _ => "reserved",
    }
}
