//! A peer's expected output as data: who said what how often in one capture.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Another tool and how its expected outputs are read.
pub(super) struct Peer {
    /// Where its captures are, below the folder of all.
    pub(super) folder: &'static str,
    /// Reads all that it expects of the captures in its folder.
    pub(super) claims: fn(&Path) -> Vec<Claims>,
}

/// One value that was said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Said {
    /// By whom: `10.0.0.1>10.0.0.2` for what one end of a conversation tells the other, `a~b` for
    /// what both speak, a device, [`Said::ANYONE`], or empty where the value says it.
    pub(super) by: String,
    /// What: one of our attribute keys, or a key of `ours.rs`.
    pub(super) key: &'static str,
    /// The value as we write it.
    pub(super) value: String,
}

impl Said {
    /// Where a peer does not tell who said it.
    pub(super) const ANYONE: &'static str = "*";

    /// What people call that which the value is of.
    pub(super) fn protocol(&self) -> String {
        match (self.key, self.key.split_once('.')) {
            ("tls.sni", _) => "TLS SNI".to_owned(),
            ("tls.ja4", _) => "JA4".to_owned(),
            (_, Some((protocol, _))) => protocol.to_uppercase(),
            // The protocol of a flow.
            _ => self.value.to_uppercase(),
        }
    }
}

/// What a peer expects of one capture.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// The capture, below the peer's folder.
    pub(super) file: String,
    /// How often each value was said.
    pub(super) said: BTreeMap<Said, usize>,
    /// The keys of which the peer lists each value: none of ours may be beyond them.
    pub(super) all_of: Vec<&'static str>,
    /// The peer does not tell who said it: all its claims are of [`Said::ANYONE`].
    pub(super) is_anonymous: bool,
}

impl Claims {
    /// No claim yet.
    pub(super) fn of(file: &str, all_of: &[&'static str]) -> Self {
        Self { file: file.to_owned(), all_of: all_of.to_vec(), ..Self::default() }
    }

    /// Whether a value of ours that the peer does not have contradicts it.
    pub(super) fn excludes(&self, said: &Said) -> bool {
        let is_comparable = said.by.is_empty() || (said.by == Said::ANYONE) == self.is_anonymous;
        is_comparable && self.all_of.contains(&said.key)
    }

    /// One more of this value; an empty one is none.
    pub(super) fn add(&mut self, by: &str, key: &'static str, value: &str) {
        if !value.is_empty() {
            let said = Said { by: by.to_owned(), key, value: value.to_owned() };
            *self.said.entry(said).or_default() += 1;
        }
    }

    /// The value was said, however often.
    pub(super) fn once(&mut self, by: &str, key: &'static str, value: &str) {
        if !value.is_empty() {
            let said = Said { by: by.to_owned(), key, value: value.to_owned() };
            self.said.insert(said, 1);
        }
    }

    /// That both ends of a conversation speak a protocol.
    pub(super) fn speak(&mut self, a: &str, b: &str, protocol: &str) {
        self.once(&pair(a, b), "protocol", protocol);
    }
}

/// Two ends in either order; what asks for its address by DHCP has none.
fn pair(a: &str, b: &str) -> String {
    let [a, b] = [a, b].map(|end| if end == "0.0.0.0" { "" } else { end });
    let (first, second) = if a <= b { (a, b) } else { (b, a) };
    format!("{first}~{second}")
}

/// The files of a folder whose names end so, with what they hold, in the order of their names.
pub(super) fn outputs(folder: &Path, ending: &str) -> Vec<(String, String)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.filter(|path| path.is_file()).collect();
    paths.sort();
    let named = paths.iter().filter_map(|path| {
        let stem = path.file_name()?.to_str()?.strip_suffix(ending)?;
        let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        Some((stem.to_owned(), text))
    });
    named.collect()
}
