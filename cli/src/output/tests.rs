//! Golden outputs in each form, with names that mean harm.

#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;

const COLUMNS: &[Column] = &[
    Column { heading: "ID", cell: |item| at(item, "/id") },
    Column { heading: "NAME", cell: |item| at(item, "/names") },
    Column { heading: "SEEN", cell: |item| at(item, "/seen") },
];

fn listed(format: Format, pages: &[Value]) -> String {
    let mut out = Vec::new();
    let mut lister = Lister::new(format, COLUMNS, &mut out);
    for page in pages {
        lister.page(page.as_array().unwrap().clone()).unwrap();
    }
    lister.finish().unwrap();
    String::from_utf8(out).unwrap()
}

fn pages() -> [Value; 2] {
    [
        json!([{"id": "dev_1", "names": ["ct-01", "CT"], "seen": 12}]),
        json!([{"id": "dev_22", "names": [], "seen": null},
            {"id": "dev_3", "names": ["\u{1b}[2J\u{202e}\n"], "seen": "now"}]),
    ]
}

#[test]
fn columns_are_aligned_over_pages_and_names_are_harmless() {
    let expected = "\
ID      NAME                 SEEN
dev_1   ct-01, CT            12
dev_22  -                    -
dev_3   \\u{1b}[2J\\u{202e}\\n  now
";
    assert_eq!(listed(Format::Table, &pages()), expected);
}

#[test]
fn json_is_one_array_and_lines_are_objects() {
    let all: Vec<Value> =
        pages().iter().flat_map(|page| page.as_array().unwrap().clone()).collect();
    let text = listed(Format::Json, &pages());
    assert!(text.starts_with("[\n  {\n    \"id\": \"dev_1\",\n"), "{text}");
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    assert_eq!(serde_json::from_str::<Vec<Value>>(&text).unwrap(), all);
    let lines = listed(Format::Ndjson, &pages());
    assert!(!lines.contains(['\u{1b}', '\u{202e}']), "{lines}");
    let read: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, all);
}

#[test]
fn an_empty_list_is_still_well_formed() {
    assert_eq!(listed(Format::Table, &[]), "ID  NAME  SEEN\n");
    assert_eq!(listed(Format::Json, &[]), "[]\n");
    assert_eq!(listed(Format::Ndjson, &[]), "");
}

#[test]
fn one_thing_is_a_line_a_member() {
    let device = json!({"id": "dev_1", "model": null, "router": false, "ips": ["10.0.0.1", "10.0.0.2"],
        "services": [{"transport": "tcp", "port": 104}, {"transport": "udp", "port": null}]});
    let mut out = Vec::new();
    thing(&device, Format::Table, &mut out).unwrap();
    let expected = "\
id        dev_1
model     -
router    no
ips       10.0.0.1, 10.0.0.2
services  transport=tcp port=104
          transport=udp
";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}
