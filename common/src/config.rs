//! Configuration in layers: flags over `WARDMESH__…` variables over the file over defaults.
//!
//! Each component owns its struct; this only brings the layers together. A key that nobody reads is
//! an error with the nearest known key, never silence. The environment is an argument, for tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use config::{Config, ConfigError as Cause, Environment, File, FileFormat, Value, ValueKind};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The prefix of environment variables: `WARDMESH__UPLINK__ADDRESSES`.
pub const ENVIRONMENT_PREFIX: &str = "WARDMESH";

/// Where values come from.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// The TOML file, where one was named.
    pub file: Option<PathBuf>,
    /// The environment's variables.
    pub environment: BTreeMap<String, String>,
    /// Flags as dotted keys, strongest.
    pub flags: Vec<(String, String)>,
}

mod error;
#[cfg(test)]
mod tests;

pub use error::{ConfigError, EXIT_CODE};

/// One value and the layer that it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The dotted key.
    pub key: String,
    /// The value as TOML has it.
    pub value: String,
    /// The layer: a file's path, a variable's name or `flag`.
    pub layer: String,
}

impl Layers {
    /// The layers of this process: the given file, its environment, these flags.
    #[must_use]
    pub fn of_process(file: Option<&Path>, flags: Vec<(String, String)>) -> Self {
        let environment = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { file: file.map(Path::to_owned), environment, flags }
    }

    /// The typed configuration.
    ///
    /// # Errors
    /// [`ConfigError`], which names the key, its layer and the way out.
    pub fn load<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        self.merge()?.try_deserialize().map_err(|cause| self.explain(&cause))
    }

    /// An error about the value of a key that was read: names its layer.
    #[must_use]
    pub fn refuse(&self, key: &str, fault: impl std::fmt::Display) -> ConfigError {
        let layer = self.layer(key);
        ConfigError::Value { layer, key: key.to_owned(), fault: fault.to_string() }
    }

    /// Every value that is not a default, with the layer that won; in the order of keys.
    ///
    /// # Errors
    /// [`ConfigError`] where a layer cannot be read.
    pub fn origins(&self) -> Result<Vec<Origin>, ConfigError> {
        let mut origins = Vec::new();
        let root = self.merge()?.cache;
        flatten("", &root, &mut origins);
        for origin in &mut origins {
            origin.layer = self.layer(&origin.key);
        }
        origins.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(origins)
    }

    /// Every value that is not a default, a line each; with the layer where `origin` asks.
    ///
    /// # Errors
    /// [`ConfigError`] where a layer cannot be read.
    pub fn show(&self, origin: bool) -> Result<String, ConfigError> {
        let line = |Origin { key, value, layer }| {
            let layer = if origin { format!("  ({layer})") } else { String::new() };
            format!("{key} = {value}{layer}\n")
        };
        Ok(self.origins()?.into_iter().map(line).collect())
    }

    fn merge(&self) -> Result<Config, ConfigError> {
        let mut builder = Config::builder();
        if let Some(path) = &self.file {
            std::fs::metadata(path).map_err(|cause| ConfigError::Unreadable {
                path: path.clone(),
                cause: cause.to_string(),
            })?;
            builder = builder.add_source(File::from(path.as_path()).format(FileFormat::Toml));
        }
        let environment = Environment::with_prefix(ENVIRONMENT_PREFIX)
            .separator("__")
            .try_parsing(true)
            .source(Some(self.environment.clone().into_iter().collect()));
        builder = builder.add_source(environment);
        for (key, value) in &self.flags {
            builder =
                builder.set_override(key, value.as_str()).map_err(|cause| self.broken(&cause))?;
        }
        builder.build().map_err(|cause| self.broken(&cause))
    }

    /// A layer that could not even be read into keys and values: the file is no TOML.
    fn broken(&self, cause: &Cause) -> ConfigError {
        let cause = match cause {
            // Its own text would name the file a second time.
            Cause::FileParse { cause, .. } => cause.to_string(),
            other => other.to_string(),
        };
        ConfigError::Broken { layer: self.base(), cause: cause.trim().to_owned() }
    }

    /// Where a key that no layer holds would stand: the file.
    fn base(&self) -> String {
        let file = self.file.as_ref();
        file.map_or_else(|| "configuration".to_owned(), |file| file.display().to_string())
    }

    /// The layer that a dotted key's value comes from, or would come from.
    fn layer(&self, key: &str) -> String {
        let key = key.split('[').next().unwrap_or(key);
        if self.flags.iter().any(|(flag, _)| flag == key) {
            return "flag".to_owned();
        }
        let variable = format!("{ENVIRONMENT_PREFIX}__{}", key.replace('.', "__"));
        let set = self.environment.keys().find(|name| name.eq_ignore_ascii_case(&variable));
        set.cloned().unwrap_or_else(|| self.base())
    }

    /// What serde did not take, by the key's whole path and its layer.
    fn explain(&self, cause: &Cause) -> ConfigError {
        let (key, fault) = match cause {
            Cause::NotFound(key) => {
                return ConfigError::MissingKey { layer: self.base(), key: key.clone() };
            }
            Cause::Type { key: Some(key), unexpected, expected, .. } => {
                (key.as_str(), format!("{unexpected} where {expected} is expected"))
            }
            Cause::At { key: Some(key), error, .. } => (key.as_str(), error.to_string()),
            other => ("", other.to_string()),
        };
        if let Some((unknown, nearest)) = error::unknown_field(&fault) {
            let dot = if key.is_empty() { "" } else { "." };
            let key = format!("{key}{dot}{unknown}");
            return ConfigError::UnknownKey { layer: self.layer(&key), key, nearest };
        }
        ConfigError::Value { layer: self.layer(key), key: key.to_owned(), fault }
    }
}

fn flatten(prefix: &str, value: &Value, origins: &mut Vec<Origin>) {
    match &value.kind {
        ValueKind::Table(table) => {
            for (key, value) in table {
                let dot = if prefix.is_empty() { "" } else { "." };
                flatten(&format!("{prefix}{dot}{key}"), value, origins);
            }
        }
        kind => origins.push(Origin {
            key: prefix.to_owned(),
            value: written(kind).to_string(),
            layer: String::new(),
        }),
    }
}

/// A value as TOML writes it.
fn written(kind: &ValueKind) -> toml::Value {
    match kind {
        ValueKind::Boolean(value) => (*value).into(),
        ValueKind::I64(value) => (*value).into(),
        ValueKind::Float(value) => (*value).into(),
        ValueKind::Array(items) => {
            items.iter().map(|item| written(&item.kind)).collect::<Vec<_>>().into()
        }
        ValueKind::Table(table) => {
            let entries = table.iter().map(|(key, value)| (key.clone(), written(&value.kind)));
            toml::Value::Table(entries.collect())
        }
        other => other.to_string().into(),
    }
}

/// A list that a variable or flag may also give as one text with commas.
///
/// # Errors
/// Where the value is neither a text nor a list of texts.
pub fn list<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        List(Vec<String>),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::List(list) => list,
        Written::Text(text) => {
            text.split(',').map(|item| item.trim().to_owned()).filter(|i| !i.is_empty()).collect()
        }
    })
}

/// That a text is `host:port`, with an IPv6 address in brackets (RFC 3986 section 3.2.2).
///
/// # Errors
/// What is wrong with it, in words.
pub fn check_address(text: &str) -> Result<(), String> {
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    let bracketed = host.starts_with('[') && host.ends_with(']');
    let host_fits = !host.is_empty() && (bracketed || !host.contains([':', '/', ' ']));
    match port.parse::<u16>() {
        Ok(1..) if host_fits => Ok(()),
        _ => Err(format!("'{text}' is no host:port, such as agg-1.example.org:4433")),
    }
}
