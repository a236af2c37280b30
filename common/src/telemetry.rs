//! Logs: one subscriber for every binary, on standard error, as text or as JSON lines.
//!
//! Spans and events carry site, sensor and seq; never payload bytes.

use std::io::IsTerminal;

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

/// What is logged where nothing else is asked for: the libraries below speak up only in need.
pub const DEFAULT_FILTER: &str = "info,openraft=warn,quinn=warn,sled=warn";

/// How to log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// A filter such as `info` or `wardmesh_sensor=debug,info`.
    pub filter: String,
    /// Text for people or JSON lines for machines.
    pub format: LogFormat,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: DEFAULT_FILTER.to_owned(), format: LogFormat::Text }
    }
}

impl LogConfig {
    /// That the filter can be read.
    ///
    /// # Errors
    /// [`NotAFilter`].
    pub fn check(&self) -> Result<(), NotAFilter> {
        self.parsed().map(drop)
    }

    fn parsed(&self) -> Result<EnvFilter, NotAFilter> {
        EnvFilter::try_new(&self.filter)
            .map_err(|cause| NotAFilter { filter: self.filter.clone(), cause })
    }
}

/// A filter that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("'{filter}' is no log filter: {cause}")]
pub struct NotAFilter {
    filter: String,
    cause: tracing_subscriber::filter::ParseError,
}

/// Starts logging; a second call in one process changes nothing.
///
/// # Errors
/// [`NotAFilter`].
pub fn init(config: &LogConfig) -> Result<(), NotAFilter> {
    let filter = config.parsed()?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // An error only says that a subscriber is there already, as in tests.
    let _ = match config.format {
        LogFormat::Text => subscriber.try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
    Ok(())
}
