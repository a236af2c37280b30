//! The sensor's configuration: the sum of its parts' structs.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wardmesh_common::config::{ConfigError, Layers, check_address};
use wardmesh_common::telemetry::LogConfig;
use wardmesh_common::tls::{Identity, IdentityFiles, Principal};

use crate::uplink::UplinkConfig;

/// The smallest spool, bytes: below, it holds hardly more than one batch as the wire allows it, and
/// the sensor could never get ahead of its uplink.
pub const BUDGET_BYTES_MIN: u64 = 1024 * 1024;

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

/// The key of a value that cannot be used, and why.
type Fault = (&'static str, String);

impl Config {
    /// Reads the layers and refuses what could not run, so that `config check` and `run` agree.
    ///
    /// # Errors
    /// [`ConfigError`], which names the key and the layer.
    pub fn load(layers: &Layers) -> Result<Self, ConfigError> {
        let config: Self = layers.load()?;
        config.check().map_err(|(key, fault)| layers.refuse(key, fault))?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Fault> {
        let identity = Identity::load(&self.identity).map_err(|e| ("identity", e.to_string()))?;
        match identity.principal() {
            Ok(Principal::Sensor { .. }) => {}
            Ok(other) => {
                return Err(("identity.certificate", format!("{other} is no sensor's name")));
            }
            Err(cause) => return Err(("identity.certificate", cause.to_string())),
        }
        if self.uplink.addresses.is_empty() {
            let fault = "name at least one aggregator, as host:port";
            return Err(("uplink.addresses", fault.to_owned()));
        }
        for address in &self.uplink.addresses {
            check_address(address).map_err(|fault| ("uplink.addresses", fault))?;
        }
        if self.spool.budget_bytes < BUDGET_BYTES_MIN {
            let fault = format!("{} is below {BUDGET_BYTES_MIN}", self.spool.budget_bytes);
            return Err(("spool.budget_bytes", fault));
        }
        self.log.check().map_err(|cause| ("log.filter", cause.to_string()))
    }
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
    /// Below so many free bytes on the volume nothing more is spooled: what is unacknowledged stays and
    /// goes on being sent, reading waits, and so does a start. The default is some segments of the
    /// store, 8 MiB each, and the files that grow while batches leave it.
    #[serde(default = "SpoolConfig::default_reserve")]
    pub reserve_bytes: u64,
}

impl SpoolConfig {
    fn default_budget() -> u64 {
        1024 * 1024 * 1024
    }

    fn default_reserve() -> u64 {
        64 * 1024 * 1024
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
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use wardmesh_common::id::{SensorId, TenantId};
    use wardmesh_common::tls::authority::Authority;

    use super::*;

    #[test]
    fn speeds_are_max_or_a_multiple() {
        assert_eq!("max".parse(), Ok(Speed::Max));
        assert_eq!("10x".parse(), Ok(Speed::Times(10)));
        for text in ["", "x", "0x", "-1x", "1.5x", "10", "fast"] {
            assert!(text.parse::<Speed>().is_err(), "{text}");
        }
    }

    fn write_identity(folder: &Path, principal: &Principal) {
        let issued = Authority::new("test").unwrap().issue(principal).unwrap();
        std::fs::write(folder.join("certificate.pem"), issued.certificate).unwrap();
        std::fs::write(folder.join("key.pem"), issued.key).unwrap();
        std::fs::write(folder.join("authority.pem"), issued.authority).unwrap();
    }

    /// Loads a configuration in which one text is replaced.
    fn load(folder: &Path, (from, to): (&str, &str)) -> Result<Config, String> {
        let at = |name: &str| folder.join(name).display().to_string();
        let toml = format!(
            "[identity]\ncertificate = '{}'\nkey = '{}'\nauthority = '{}'\n\
            [uplink]\naddresses = ['agg-1:4433']\n\
            [spool]\nfolder = '/spool'\nbudget_bytes = 1048576\n[log]\nfilter = 'info'\n",
            at("certificate.pem"),
            at("key.pem"),
            at("authority.pem"),
        );
        let file = folder.join("sensor.toml");
        std::fs::write(&file, toml.replace(from, to)).unwrap();
        let layers = Layers { file: Some(file), ..Layers::default() };
        Config::load(&layers).map_err(|error| error.to_string())
    }

    #[test]
    fn what_could_not_run_is_refused_with_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let (cluster, sensor) = ("c".to_owned(), SensorId::from_random([7; 16]));
        let tenant = TenantId::default_tenant();
        write_identity(folder.path(), &Principal::Sensor { cluster, tenant, sensor });
        assert!(load(folder.path(), ("", "")).is_ok());
        for (change, key) in [
            (("['agg-1:4433']", "[]"), "uplink.addresses"),
            (("agg-1:4433", "agg-1"), "uplink.addresses"),
            (("1048576", "1048575"), "spool.budget_bytes"),
            (("/key.pem", "/none.pem"), "identity"),
            (("'info'", "'a=b=c'"), "log.filter"),
        ] {
            let error = load(folder.path(), change).unwrap_err();
            assert!(error.contains(&format!("sensor.toml: key '{key}': ")), "{error}");
        }
        write_identity(folder.path(), &Principal::Node { cluster: "c".to_owned(), node: 1 });
        let error = load(folder.path(), ("", "")).unwrap_err();
        assert!(
            error.contains("'identity.certificate': spiffe://c/node/1 is no sensor"),
            "{error}"
        );
    }
}
