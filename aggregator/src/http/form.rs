//! How values look in answers: the same everywhere.

use std::time::Duration;

use wardmesh_common::time::Timestamp;

/// RFC 3339 UTC with milliseconds.
pub(crate) fn time(at: Timestamp) -> String {
    at.to_rfc3339_millis()
}

/// The same for a time that may be missing.
pub(crate) fn time_of(at: Option<Timestamp>) -> Option<String> {
    at.map(time)
}

/// Whole milliseconds.
pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A 64-bit number of which readers of JSON would round the last digits: 16 hexadecimal digits.
pub(crate) fn hex(number: u64) -> String {
    format!("{number:016x}")
}
