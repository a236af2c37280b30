//! Commands from their line to what they print, against a cluster of prepared answers.

#![allow(clippy::unwrap_used, clippy::panic)]

use clap::Parser;
use serde_json::{Value, json};

use crate::cli::{Arguments, Command};
use crate::failure::{Exit, Failure};
use crate::testing::{Answer, Fake};

fn list(items: Value) -> Answer {
    (200, json!({"data": items, "page": {"next": null}, "meta": {"partial_sites": []}}).to_string())
}

fn cluster(line: &str, _: &str) -> Answer {
    let path = line.split(['?', ' ']).nth(1).unwrap_or_default();
    match path.strip_prefix("/api/v1/").unwrap_or(path) {
        "cluster" => {
            (200, json!({"node_id": 2, "leader": 1, "term": 3, "applied": 812}).to_string())
        }
        "cluster/members" => list(json!([
            {"id": 1, "name": "agg-1", "role": "leader", "matched": 812, "lag": 0, "last_contact_ms": 0},
            {"id": 2, "name": "agg-2", "role": "follower", "matched": 810, "lag": 2, "last_contact_ms": 40}])),
        "sites" => {
            list(json!([{"id": "a", "health": "ok", "sensors": 1, "devices": 3, "events": 90,
            "last_event": "2026-01-05T08:05:00.000Z"}]))
        }
        "sensors" => {
            list(json!([{"id": "5f0c1c3e", "site": "a", "name": "span\u{1b}[2J", "state": "online",
            "events": 90, "last_received": "2026-01-05T08:05:01.000Z"}]))
        }
        "devices" => {
            list(json!([{"class": "ct-scanner"}, {"class": null}, {"class": "ct-scanner"}]))
        }
        "findings" => list(json!([{"severity": "medium"}])),
        "cluster/init" => (201, json!({"cluster": "c-1", "admin_token": "wm_secret"}).to_string()),
        _ => (404, json!({"title": "It does not exist"}).to_string()),
    }
}

fn run(server: &Fake, line: &str) -> (Result<(), Failure>, String) {
    let line = format!("wardmesh {line} --server {}", server.url);
    let parsed = Arguments::try_parse_from(line.split(' ')).unwrap();
    let Command::Ask(ask) = parsed.command else { panic!("{line} asks nothing") };
    let mut out = Vec::new();
    let done = ask.run(&mut out);
    (done, String::from_utf8(out).unwrap())
}

#[test]
fn one_screen_says_how_all_stands() {
    let (done, screen) = run(&Fake::serve(cluster), "status --wait 5");
    done.unwrap();
    let expected = "\
cluster        leader 1, term 3, applied 812, members 2 (asked node 2)
devices        3: 2 ct-scanner, 1 unknown
findings open  1: 1 medium
sensors        1: 1 online

NODE  NAME   ROLE      MATCHED  LAG  LAST CONTACT MS
1     agg-1  leader    812      0    0
2     agg-2  follower  810      2    40

SITE  HEALTH  SENSORS  DEVICES  EVENTS  LAST EVENT
a     ok      1        3        90      2026-01-05T08:05:00.000Z

SENSOR    SITE  NAME           STATE   EVENTS  LAST RECEIVED
5f0c1c3e  a     span\\u{1b}[2J  online  90      2026-01-05T08:05:01.000Z
";
    assert_eq!(screen, expected);
    let (done, text) = run(&Fake::serve(cluster), "status -o json");
    done.unwrap();
    let status: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(status["devices"]["by_class"], json!({"ct-scanner": 2, "unknown": 1}));
}

#[test]
fn what_is_not_known_is_named_and_the_rest_is_shown() {
    let no_leader = Fake::serve(|line, body| match line.contains("/cluster") {
        true => cluster(line, body),
        false => (503, json!({"title": "The cluster has no leader right now"}).to_string()),
    });
    let (done, screen) = run(&no_leader, "status");
    let failure = done.unwrap_err();
    assert_eq!(failure.exit(), Exit::Partial, "{failure}");
    assert!(failure.to_string().contains("sites, sensors, devices, findings_open"), "{failure}");
    assert!(screen.contains("devices        unknown\n"), "{screen}");
    let nothing = Fake::serve(|_, _| (401, json!({"title": "Who asks is not known"}).to_string()));
    let (done, screen) = run(&nothing, "status");
    assert_eq!((done.unwrap_err().exit(), screen.as_str()), (Exit::Auth, ""));
}

#[test]
fn waiting_for_a_leader_ends() {
    let leaderless = Fake::serve(|_, _| (200, json!({"leader": null}).to_string()));
    let (done, _) = run(&leaderless, "status --wait 1");
    assert_eq!(done.unwrap_err().exit(), Exit::Unavailable);
    assert!(leaderless.requests().len() > 1);
}

#[test]
fn each_command_asks_its_route() {
    let cases = [
        (
            "devices list --site a --site b --class ct --seen-since -24h --consistency linearizable",
            "GET /api/v1/devices?seen_since=-24h&site=a&site=b&class=ct&limit=1000&consistency=linearizable ",
        ),
        (
            "devices get dev_01JGZ8K3M5N7P9Q1R3S5T7V9WX",
            "GET /api/v1/devices/dev_01JGZ8K3M5N7P9Q1R3S5T7V9WX ",
        ),
        (
            "devices evidence dev_01JGZ8K3M5N7P9Q1R3S5T7V9WX",
            "GET /api/v1/devices/dev_01JGZ8K3M5N7P9Q1R3S5T7V9WX/evidence ",
        ),
        ("findings list --status open -n 7", "GET /api/v1/findings?status=open&limit=7 "),
        (
            "findings get fnd_01JGZ8K3M5N7P9Q1R3S5T7V9WX",
            "GET /api/v1/findings/fnd_01JGZ8K3M5N7P9Q1R3S5T7V9WX ",
        ),
        ("events list --sensor s --since -1h", "GET /api/v1/events?sensor=s&since=-1h&limit=1000 "),
        ("sites list", "GET /api/v1/sites?limit=1000 "),
        (
            "sensors list --site a --state silent",
            "GET /api/v1/sensors?site=a&state=silent&limit=1000 ",
        ),
        ("cluster members", "GET /api/v1/cluster/members "),
        ("cluster status --digest-at latest", "GET /api/v1/cluster?digest_at=latest "),
        ("sites add stj", "POST /api/v1/sites "),
        ("sensors enrol --site a --name n", "POST /api/v1/sensors "),
        (
            "sensors revoke 5f0c1c3e-8f5b-4d0e-9a53-0d5f5c0a7e11 --yes",
            "POST /api/v1/sensors/5f0c1c3e-8f5b-4d0e-9a53-0d5f5c0a7e11/revoke ",
        ),
    ];
    for (line, request) in cases {
        let server = Fake::serve(cluster);
        let (_, out) = run(&server, line);
        let requests = server.requests();
        assert!(
            requests.len() == 1 && requests.iter().all(|sent| sent.starts_with(request)),
            "{line}: {requests:?}\n{out}"
        );
    }
}

#[test]
fn founding_sends_its_terms_and_prints_the_token_once() {
    let server = Fake::serve(cluster);
    let (done, out) = run(&server, "cluster init --expect 3 --seeds a:4434,b:4434 -o json");
    done.unwrap();
    assert_eq!(out.matches("wm_secret").count(), 1, "{out}");
    let sent = server.requests().pop().unwrap();
    assert!(sent.ends_with("{\"seeds\":[\"a:4434\",\"b:4434\"],\"expect\":3}"), "{sent}");
    let (done, out) = run(&server, "devices get dev_01JGZ8K3M5N7P9Q1R3S5T7V9WX");
    assert_eq!((done.unwrap_err().exit(), out.as_str()), (Exit::NotFound, ""));
}
