//! Why there is no configuration: each message names the layer, the key and the way out.

use std::path::PathBuf;

use crate::text::distance;

/// What a process ends with where its configuration is wrong; README.md lists all codes.
pub const EXIT_CODE: u8 = 3;

/// Why there is no configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: cannot be read: {cause}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// The file is no TOML.
    #[error("{layer}: {cause}")]
    Broken {
        /// The file.
        layer: String,
        /// Where and why.
        cause: String,
    },
    /// A key's value cannot be used.
    #[error("{layer}: {}{fault}", if .key.is_empty() { String::new() } else { format!("key '{key}': ") })]
    Value {
        /// The file, the variable or `flag`.
        layer: String,
        /// The dotted key.
        key: String,
        /// What is wrong with its value.
        fault: String,
    },
    /// Nobody reads this key.
    #[error("{layer}: unknown key '{key}'{}", suggestion(.nearest.as_deref()))]
    UnknownKey {
        /// The file, the variable or `flag`.
        layer: String,
        /// The dotted key as written.
        key: String,
        /// The nearest known one in its section.
        nearest: Option<String>,
    },
    /// A key without a default is in no layer.
    #[error("{layer}: missing key '{key}'")]
    MissingKey {
        /// The file.
        layer: String,
        /// The dotted key.
        key: String,
    },
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; did you mean '{nearest}'?"))
}

/// The key of serde's "unknown field" message, and the nearest of those that it lists.
pub(super) fn unknown_field(text: &str) -> Option<(String, Option<String>)> {
    let rest = text.split_once("unknown field `")?.1;
    let (key, rest) = rest.split_once('`')?;
    let known = rest.split('`').skip(1).step_by(2);
    let nearest = known.min_by_key(|known| distance(key, known));
    let close = nearest.filter(|nearest| distance(key, nearest) <= key.len().max(3) / 2);
    Some((key.to_owned(), close.map(str::to_owned)))
}
