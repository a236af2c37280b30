//! The sensor's configuration: the sum of its parts' structs.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wardmesh_common::telemetry::LogConfig;
use wardmesh_common::tls::IdentityFiles;

use crate::uplink::UplinkConfig;

/// Everything that can be configured. Who the sensor is stands in its certificate.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The certificate that names the sensor, its key, and the ingest authority.
    pub identity: IdentityFiles,
    /// Where to send.
    pub uplink: UplinkConfig,
    /// Where to keep what is not acknowledged yet.
    pub spool: SpoolConfig,
    /// What to read.
    #[serde(default)]
    pub capture: CaptureConfig,
    /// How to log.
    #[serde(default)]
    pub log: LogConfig,
}

/// Where to keep what is not acknowledged yet.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SpoolConfig {
    /// The spool's folder; made where it is missing.
    pub folder: PathBuf,
    /// The most bytes of unacknowledged batches: at 200 bytes an event, 1 GiB is five million events
    /// before compression. When it is used up, the oldest stays and reading waits for room.
    #[serde(default = "SpoolConfig::default_budget")]
    pub budget_bytes: u64,
}

impl SpoolConfig {
    fn default_budget() -> u64 {
        1024 * 1024 * 1024
    }
}

/// What to read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct CaptureConfig {
    /// Capture files, read in this order at every start, as events of a new epoch.
    pub files: Vec<PathBuf>,
    /// How fast: `max`, or a multiple of the captures' own time such as `1x` or `10x`.
    pub speed: Speed,
}

/// How fast a capture is replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Speed {
    /// As fast as the spool takes it.
    #[default]
    Max,
    /// A multiple of the capture's own time, at least 1.
    Times(u32),
}

/// A text that is no speed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a speed: write max, or a whole multiple such as 1x or 10x")]
pub struct NotASpeed(String);

impl FromStr for Speed {
    type Err = NotASpeed;

    fn from_str(text: &str) -> Result<Self, NotASpeed> {
        if text == "max" {
            return Ok(Self::Max);
        }
        let times = text.strip_suffix('x').and_then(|times| times.parse().ok());
        times.filter(|times| *times > 0).map(Self::Times).ok_or_else(|| NotASpeed(text.to_owned()))
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Max => f.write_str("max"),
            Self::Times(times) => write!(f, "{times}x"),
        }
    }
}

impl<'de> Deserialize<'de> for Speed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Speed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_max_or_a_multiple() {
        assert_eq!("max".parse(), Ok(Speed::Max));
        assert_eq!("10x".parse(), Ok(Speed::Times(10)));
        for text in ["", "x", "0x", "-1x", "1.5x", "10", "fast"] {
            assert!(text.parse::<Speed>().is_err(), "{text}");
        }
    }
}
