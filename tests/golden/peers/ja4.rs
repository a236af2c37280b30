//! FoxIO's expected outputs: JSON of its Python program, YAML snapshots of its Rust program.
//!
//! Only JA4 of TLS over TCP is compared: the rest of the family has another licence, and QUIC
//! differs between their own two programs.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::claim::{Claims, Peer, outputs};

pub(super) const PEER: Peer = Peer { folder: "ja4", claims };

const ALL_OF: &[&str] = &["tls.sni", "tls.ja4"];

fn claims(folder: &Path) -> Vec<Claims> {
    let expected = folder.join("expected");
    let python = outputs(&expected, ".json");
    let rust = outputs(&expected, ".snap");
    let rust = rust.iter().map(|(stem, text)| {
        snapshot(stem.strip_prefix("ja4__insta@").expect("insta's prefix"), text)
    });
    python.iter().map(|(stem, text)| json(stem, text)).chain(rust).collect()
}

fn json(file: &str, text: &str) -> Claims {
    let mut claims = Claims::of(file, ALL_OF);
    let streams: Vec<BTreeMap<String, Value>> = serde_json::from_str(text).unwrap();
    for stream in &streams {
        let text = |key: &str| stream.get(key).and_then(Value::as_str).unwrap_or_default();
        let asked = format!("{}>{}", text("src"), text("dst"));
        for hello in ["JA4.1", "JA4.2", "JA4.3"].map(text).iter().filter(|ja4| is_tcp(ja4)) {
            claims.add(&asked, "tls.ja4", hello);
        }
        if is_tcp(text("JA4.1")) {
            claims.add(&asked, "tls.sni", text("domain"));
        }
    }
    claims
}

/// The snapshots are flat: `- stream: N` begins one, two spaces before each field.
fn snapshot(file: &str, text: &str) -> Claims {
    let mut claims = Claims::of(file, ALL_OF);
    for stream in text.split("\n- ").skip(1) {
        let lines = stream.lines().filter_map(|line| line.trim_start().split_once(": "));
        let fields: BTreeMap<&str, &str> = lines.collect();
        let text = |key: &str| fields.get(key).copied().unwrap_or_default();
        let asked = format!("{}>{}", text("src"), text("dst"));
        if is_tcp(text("ja4")) {
            claims.add(&asked, "tls.ja4", text("ja4"));
            claims.add(&asked, "tls.sni", text("tls_server_name"));
        }
    }
    claims
}

fn is_tcp(ja4: &str) -> bool {
    ja4.starts_with('t')
}
