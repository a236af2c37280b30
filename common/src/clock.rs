//! The one place that reads the machine's clocks; everything pure is handed what it returns.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::time::Timestamp;

/// The wall clock now; 1970 where the clock stands before it.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "this is the one place")]
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_parts(since_epoch.as_secs(), since_epoch.subsec_nanos())
}
