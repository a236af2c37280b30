//! A registry is a folder plus a slice: a file that nobody registered would be dead and unnoticed.

use crate::source::{Source, body_length, places};

/// A folder whose every file stands in a slice of its `mod.rs`.
struct Registry {
    folder: &'static str,
    slice: &'static str,
    /// Files that serve the others.
    shared: &'static [&'static str],
}

const REGISTRIES: &[Registry] = &[
    Registry { folder: "sensor/src/dissect/", slice: "DISSECTORS", shared: &["mod", "reader"] },
    Registry { folder: "aggregator/src/correlate/rules/", slice: "RULES", shared: &["mod"] },
    // Probes stand beside the API, not below it, and on the metrics port.
    Registry {
        folder: "aggregator/src/http/routes/",
        slice: "RESOURCES",
        shared: &["mod", "probes"],
    },
];

/// Files that are in no slice.
pub(crate) fn faults(sources: &[Source]) -> Vec<String> {
    REGISTRIES.iter().flat_map(|registry| unregistered(registry, sources)).collect()
}

/// The files directly in a folder, by module name.
fn members<'a>(
    folder: &'a str,
    sources: &'a [Source],
) -> impl Iterator<Item = (&'a str, &'a Source)> {
    sources.iter().filter(|source| !source.is_test()).filter_map(move |source| {
        let name = source.path.strip_prefix(folder)?.strip_suffix(".rs")?;
        (!name.contains('/')).then_some((name, source))
    })
}

fn unregistered(registry: &Registry, sources: &[Source]) -> Vec<String> {
    let Registry { folder, slice, shared } = registry;
    let Some((_, index)) = members(folder, sources).find(|(name, _)| *name == "mod") else {
        return Vec::new();
    };
    let code = index.product();
    let Some(entries) = entries(&code, slice) else {
        return vec![index.fault(0, &format!("there is no slice {slice}"))];
    };
    members(folder, sources)
        .filter(|(name, _)| !shared.contains(name))
        .filter(|(name, _)| places(entries, &format!("{name}::")).is_empty())
        .map(|(name, source)| source.fault(0, &format!("'{name}' is not in {slice}")))
        .collect()
}

/// What stands between the brackets of `SLICE: … = &[…]`.
fn entries<'a>(code: &'a str, slice: &str) -> Option<&'a str> {
    let at = *places(code, &format!("{slice}:")).first()?;
    let open = at + code[at..].find("= &[")?;
    let length = code[open..].find("];")?;
    Some(&code[open..open + length])
}

#[test]
fn an_unregistered_file_is_a_fault() {
    let index = "pub static DISSECTORS: &[&dyn Dissector] = &[\n    &arp::Arp,\n];";
    let file = |path, text| Source::of(path, text);
    let mut sources = vec![
        file("sensor/src/dissect/mod.rs", index),
        file("sensor/src/dissect/arp.rs", ""),
        file("sensor/src/dissect/arp/value.rs", ""),
        file("sensor/src/dissect/reader.rs", ""),
    ];
    assert_eq!(faults(&sources), Vec::<String>::new());
    sources.push(file("sensor/src/dissect/rp.rs", ""));
    assert_eq!(faults(&sources), ["sensor/src/dissect/rp.rs:1: 'rp' is not in DISSECTORS"]);
    sources.remove(0);
    sources.push(file("sensor/src/dissect/mod.rs", "mod arp;"));
    assert_eq!(faults(&sources).len(), 1, "no slice");
}

#[test]
fn bodies_end_where_their_brace_does() {
    assert_eq!(body_length("{ a { b } } c"), 11);
}
