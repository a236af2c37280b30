//! The client against servers that page, refuse, break and are not there.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::TcpListener;

use serde_json::json;

use super::*;
use crate::failure::Exit;
use crate::testing::Fake;

fn client(urls: &[&str]) -> Client {
    let servers = urls.iter().map(|url| url.parse().unwrap()).collect();
    let token = Some("secret".to_owned());
    Client::new(servers, token, Some(Consistency::Local), Duration::from_secs(5))
}

/// A URL where nobody listens.
fn nobody() -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("http://127.0.0.1:{port}")
}

/// Five items in pages of two; the third page is empty and not the last.
fn paged() -> Fake {
    Fake::serve(|line, _| {
        let (items, next) = match line.split("cursor=").nth(1).unwrap_or_default() {
            cursor if cursor.starts_with("c_2") => (json!([3, 4]), json!("c_4")),
            cursor if cursor.starts_with("c_4") => (json!([]), json!("c_5")),
            cursor if cursor.starts_with("c_5") => (json!([5]), json!(null)),
            _ => (json!([1, 2]), json!("c_2")),
        };
        let meta = json!({"partial_sites": ["b"]});
        (200, json!({"data": items, "page": {"next": next}, "meta": meta}).to_string())
    })
}

#[test]
fn pages_are_followed_to_the_end_or_the_limit() {
    let server = paged();
    let client = client(&[&server.url]);
    for (limit, given, more) in
        [(100, 5, false), (5, 5, false), (4, 4, true), (3, 3, true), (1, 1, true)]
    {
        let mut pages = client.pages("/api/v1/things", vec![("site", "a+b".to_owned())], limit);
        let all = pages.collect_items().unwrap();
        assert_eq!(all.items, (1..=given).map(Value::from).collect::<Vec<_>>(), "{limit}");
        assert_eq!((pages.more(), &all.meta["partial_sites"]), (more, &json!(["b"])), "{limit}");
    }
    let requests = server.requests();
    let first = requests.first().unwrap().to_ascii_lowercase();
    assert!(
        first.starts_with("get /api/v1/things?site=a%2bb&limit=100&consistency=local http"),
        "{first}"
    );
    assert!(first.contains("authorization: bearer secret"), "{first}");
    assert!(
        requests.iter().any(|request| request.contains("limit=98&cursor=c_2&")),
        "{requests:?}"
    );
}

#[test]
fn a_problem_is_told_with_its_hint_and_has_its_code() {
    let body = json!({"type": "/docs/errors/not-found", "title": "It does not exist", "status": 404,
        "code": "not-found", "detail": "There is no device 'dev_1'.", "hint": "look elsewhere"});
    let server = Fake::serve(move |_, _| (404, body.to_string()));
    let failure = client(&[&server.url]).get("/api/v1/devices/dev_1", &[]).unwrap_err();
    assert_eq!(failure.exit(), Exit::NotFound);
    let expected = "It does not exist: There is no device 'dev_1'. (look elsewhere)";
    assert_eq!(failure.to_string(), expected);
    for (status, exit) in
        [(400, Exit::Usage), (401, Exit::Auth), (409, Exit::Conflict), (503, Exit::Unavailable)]
    {
        let body = json!({"title": "no"}).to_string();
        let server = Fake::serve(move |_, _| (status, body.clone()));
        let failure = client(&[&server.url]).post("/x", &json!({})).unwrap_err();
        assert_eq!(failure.exit(), exit, "{status}");
    }
}

#[test]
fn what_is_no_api_is_named_as_such() {
    for (status, body) in [(200, "<html>"), (502, "Bad Gateway"), (404, "{}"), (302, "")] {
        let server = Fake::serve(move |_, _| (status, body.to_owned()));
        let failure = client(&[&server.url]).get("/api/v1/sites", &[]).unwrap_err();
        assert!(
            matches!(&failure, Failure::Foreign { status: was, .. } if *was == status),
            "{failure}"
        );
        assert_eq!(failure.exit(), Exit::Error);
    }
    let server = Fake::serve(|_, _| (200, "{\"data\":{}}".to_owned()));
    assert!(client(&[&server.url]).whole("/api/v1/sites").is_err());
}

#[test]
fn the_next_server_is_asked_where_one_is_not_there_or_cut_off() {
    let good = Fake::serve(|_, body| (200, json!({"got": body}).to_string()));
    let cut_off = Fake::serve(|_, _| (503, json!({"title": "no leader"}).to_string()));
    let gone = nobody();
    let asked = client(&[&gone, &good.url]);
    assert_eq!(asked.get("/x", &[]).unwrap()["got"], "");
    assert_eq!(asked.post("/x", &json!({"a": 1})).unwrap()["got"], "{\"a\":1}");
    let posted = good.requests().pop().unwrap();
    assert!(posted.starts_with("POST /x HTTP"), "writes take no parameters: {posted}");
    assert!(asked.delete("/x", &[("force", "true".to_owned())]).is_ok());
    let deleted = good.requests().pop().unwrap();
    assert!(deleted.starts_with("DELETE /x?force=true HTTP"), "{deleted}");
    assert!(client(&[&cut_off.url, &good.url]).get("/x", &[]).is_ok());
    let failure = client(&[&cut_off.url, &good.url]).post("/x", &json!({})).unwrap_err();
    assert!(matches!(failure, Failure::Problem(_)), "a refused write is not repeated: {failure}");
    let failure = client(&[&cut_off.url, &good.url]).patch("/x", "*", &json!({})).unwrap_err();
    assert!(matches!(failure, Failure::Problem(_)), "nor is a change: {failure}");
    let failure = client(&[&cut_off.url, &gone]).get("/x", &[]).unwrap_err();
    assert!(matches!(failure, Failure::Problem(_)), "the answer counts: {failure}");
    let failure = client(&[&gone]).get("/x", &[]).unwrap_err();
    assert!(failure.to_string().contains(&gone), "{failure}");
    assert_eq!(failure.exit(), Exit::Unavailable);
}

#[test]
fn a_write_that_was_sent_is_not_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let breaks = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let good = Fake::serve(|_, _| (200, "{}".to_owned()));
    let failure = client(&[&breaks, &good.url]).post("/x", &json!({})).unwrap_err();
    assert!(failure.to_string().contains("may still take effect"), "{failure}");
    assert_eq!((failure.exit(), good.requests().len()), (Exit::Unavailable, 0));
    assert!(client(&[&breaks, &good.url]).get("/x", &[]).is_ok(), "a read is");
}

#[test]
fn a_server_that_is_silent_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = url.parse().unwrap();
    let client = Client::new(vec![server], None, None, Duration::from_millis(200));
    let failure = client.get("/x", &[]).unwrap_err();
    assert_eq!(failure.exit(), Exit::Unavailable, "{failure}");
    drop(listener);
}

#[test]
fn a_name_without_an_address_is_named_and_nothing_was_sent() {
    let good = Fake::serve(|_, _| (200, "{}".to_owned()));
    // RFC 6761 section 6.4: this domain never resolves.
    let unknown = "http://no-such-host.invalid:8443";
    let failure = client(&[unknown]).post("/x", &json!({})).unwrap_err();
    assert!(matches!(failure, Failure::Unreachable { .. }), "{failure}");
    let text = failure.to_string();
    assert!(text.contains(&format!("{unknown}: the name has no address")), "{text}");
    assert!(client(&[unknown, &good.url]).post("/x", &json!({})).is_ok(), "the next is asked");
}
