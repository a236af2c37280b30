//! Layers that win, errors that say where, values as they are written.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

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
    let (_folder, mut layers) = layers("name = 'file'\n[uplink]\naddresses = ['a']\nwindow = 1");
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
    assert_eq!(layer("uplink.addresses"), "WARDMESH__UPLINK__ADDRESSES");
    assert_eq!(layer("uplink.window"), "flag");
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Strict {
    #[serde(rename = "identity")]
    _identity: Inner,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inner {
    #[serde(rename = "key")]
    _key: String,
}

/// The message without the temporary folder's path.
fn message<T: DeserializeOwned + std::fmt::Debug>(layers: &Layers) -> String {
    let text = layers.load::<T>().unwrap_err().to_string();
    let folder = layers.file.as_ref().unwrap().parent().unwrap();
    text.replace(&format!("{}/", folder.display()), "")
}

#[test]
fn errors_name_the_file_the_whole_key_and_the_nearest() {
    let cases = [
        (
            "[uplink]\nadresses = ['a']",
            "sample.toml: unknown key 'uplink.adresses'; did you mean 'addresses'?",
        ),
        ("nam = 'x'", "sample.toml: unknown key 'nam'; did you mean 'name'?"),
        ("[colours]\nred = 1", "sample.toml: unknown key 'colours'"),
    ];
    for (toml, expected) in cases {
        let (_folder, layers) = layers(toml);
        assert_eq!(message::<Sample>(&layers), expected);
    }
    for (toml, key) in [("", "identity"), ("[identity]", "identity.key")] {
        let (_folder, layers) = layers(toml);
        assert_eq!(message::<Strict>(&layers), format!("sample.toml: missing key '{key}'"));
    }
    let (_folder, layers) = layers("[uplink]\nwindow = 'many'");
    let text = message::<Sample>(&layers);
    assert!(
        text.starts_with("sample.toml: key 'uplink.window': ") && text.contains("many"),
        "{text}"
    );
}

#[test]
fn errors_name_the_variable_that_a_key_came_from() {
    for (variable, value) in
        [("WARDMESH__UPLINK__WINDOW", "many"), ("WARDMESH__UPLINK__WINDOWS", "1")]
    {
        let (_folder, mut layers) = layers("[uplink]\nwindow = 1");
        layers.environment.insert(variable.to_owned(), value.to_owned());
        let text = message::<Sample>(&layers);
        assert!(text.starts_with(&format!("{variable}: ")), "{text}");
    }
}

#[test]
fn what_is_refused_later_names_its_layer_too() {
    let (_folder, mut layers) = layers("[uplink]\nwindow = 1");
    let text = layers.refuse("uplink.window", "too narrow").to_string();
    assert!(text.ends_with("sample.toml: key 'uplink.window': too narrow"), "{text}");
    layers.flags.push(("uplink.window".into(), "2".into()));
    assert_eq!(
        layers.refuse("uplink.window", "too narrow").to_string(),
        "flag: key 'uplink.window': too narrow"
    );
}

#[test]
fn values_are_shown_as_toml() {
    let (_folder, layers) =
        layers("name = 'a \"b\"'\n[uplink]\naddresses = ['a:1', 'b:2']\nwindow = 7");
    let text = layers.show(false).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let addresses = "uplink.addresses = [\"a:1\", \"b:2\"]";
    assert_eq!(lines[1..], [addresses, "uplink.window = 7"]);
    let shown: toml::Table = text.parse().unwrap();
    assert_eq!(shown["name"].as_str(), Some("a \"b\""));
}

#[test]
fn says_what_cannot_be_read() {
    let missing = Layers { file: Some("no-such.toml".into()), ..Layers::default() };
    assert!(matches!(missing.load::<Sample>(), Err(ConfigError::Unreadable { .. })));
    let (_folder, broken) = layers("name = ");
    let error = broken.load::<Sample>().unwrap_err();
    assert!(matches!(error, ConfigError::Broken { .. }), "{error:?}");
    assert_eq!(error.to_string().matches("sample.toml").count(), 1, "{error}");
}

#[test]
fn addresses_have_a_host_and_a_port() {
    for good in ["agg-1.example.org:4433", "127.0.0.1:1", "[::1]:4433"] {
        assert_eq!(check_address(good), Ok(()), "{good}");
    }
    for bad in ["", "agg-1", "agg-1:", ":4433", "a:0", "a:65536", "::1:4433", "http://a:1", "a b:1"]
    {
        assert!(check_address(bad).is_err(), "{bad}");
    }
}
