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
    /// The file is no TOML, or a value is of another type than its key wants.
    #[error("configuration: {0}")]
    Invalid(String),
    /// Nobody reads this key.
    #[error("configuration: unknown key '{key}'{}", suggestion(.nearest.as_deref()))]
    UnknownKey {
        /// The key as written.
        key: String,
        /// The nearest known one.
        nearest: Option<String>,
    },
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; did you mean '{nearest}'?"))
}

/// One value and the layer that it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The dotted key.
    pub key: String,
    /// The value as text.
    pub value: String,
    /// The layer: a file's path, `environment` or `flag`.
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
    /// [`ConfigError`], which names the key and the way out.
    pub fn load<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        self.merge()?.try_deserialize().map_err(|cause| explain(&cause))
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
            if self.flags.iter().any(|(key, _)| *key == origin.key) {
                "flag".clone_into(&mut origin.layer);
            }
        }
        origins.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(origins)
    }

    /// Prints every value that is not a default, a line each; with the layer where `origin` asks.
    ///
    /// # Errors
    /// Where a layer cannot be read, or `out` cannot be written.
    pub fn show(&self, origin: bool, out: &mut dyn std::io::Write) -> std::io::Result<()> {
        for Origin { key, value, layer } in self.origins().map_err(std::io::Error::other)? {
            let layer = if origin { format!("  ({layer})") } else { String::new() };
            writeln!(out, "{key} = {value}{layer}")?;
        }
        Ok(())
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
            builder = builder.set_override(key, value.as_str()).map_err(|cause| explain(&cause))?;
        }
        builder.build().map_err(|cause| explain(&cause))
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
        _ => origins.push(Origin {
            key: prefix.to_owned(),
            value: value.to_string(),
            layer: value.origin().map_or_else(|| "environment".to_owned(), str::to_owned),
        }),
    }
}

/// Turns serde's "unknown field" into an error that names the nearest key.
fn explain(cause: &Cause) -> ConfigError {
    let text = cause.to_string();
    let unknown = || {
        let rest = text.split_once("unknown field `")?.1;
        let (key, rest) = rest.split_once('`')?;
        let known = rest.split('`').skip(1).step_by(2);
        let nearest = known.min_by_key(|known| distance(key, known))?;
        let close = distance(key, nearest) <= key.len().max(3) / 2;
        let nearest = close.then(|| nearest.to_owned());
        Some(ConfigError::UnknownKey { key: key.to_owned(), nearest })
    };
    unknown().unwrap_or(ConfigError::Invalid(text.clone()))
}

/// Levenshtein's distance over bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Sample {
        name: String,
        uplink: Uplink,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Uplink {
        #[serde(deserialize_with = "list")]
        addresses: Vec<String>,
        window: u16,
    }

    fn layers(toml: &str) -> (tempfile::TempDir, Layers) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sample.toml");
        std::fs::write(&file, toml).unwrap();
        (folder, Layers { file: Some(file), ..Layers::default() })
    }

    #[test]
    fn flags_win_over_the_environment_over_the_file() {
        let (_folder, mut layers) =
            layers("name = 'file'\n[uplink]\naddresses = ['a']\nwindow = 1");
        assert_eq!(layers.load::<Sample>().unwrap().uplink.addresses, ["a"]);
        layers.environment.insert("WARDMESH__UPLINK__ADDRESSES".into(), "b:1, c:2".into());
        layers.environment.insert("WARDMESH__UPLINK__WINDOW".into(), "2".into());
        layers.flags.push(("uplink.window".into(), "3".into()));
        let sample: Sample = layers.load().unwrap();
        assert_eq!((sample.name.as_str(), sample.uplink.window), ("file", 3));
        assert_eq!(sample.uplink.addresses, ["b:1", "c:2"]);
        let origins = layers.origins().unwrap();
        let layer = |key| origins.iter().find(|o| o.key == key).unwrap().layer.clone();
        assert!(layer("name").ends_with("sample.toml"));
        assert!(layer("uplink.addresses").contains("environment"), "{}", layer("uplink.addresses"));
        assert_eq!(layer("uplink.window"), "flag");
    }

    #[test]
    fn names_the_nearest_key() {
        let (_folder, layers) = layers("[uplink]\nadresses = ['a']");
        let error = layers.load::<Sample>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "configuration: unknown key 'adresses'; did you mean 'addresses'?"
        );
    }

    #[test]
    fn says_what_is_wrong() {
        let (_folder, bad) = layers("[uplink]\nwindow = 'many'");
        assert!(bad.load::<Sample>().unwrap_err().to_string().contains("window"));
        let missing = Layers { file: Some("no-such.toml".into()), ..Layers::default() };
        assert!(matches!(missing.load::<Sample>(), Err(ConfigError::Unreadable { .. })));
        let (_folder, broken) = layers("name = ");
        assert!(matches!(broken.load::<Sample>(), Err(ConfigError::Invalid(_))));
    }
}
