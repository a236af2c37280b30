//! Tables and hostile bytes: header blocks, bodies that must be passed over, and that no canary leaves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::dissect::stream_testing::{no_canary, stream, tcp, torture, values};

const REQUEST: &str = "GET /CANARY/a?name=CANARY HTTP/1.1\r\nhOSt: pump-7.example\r\n\
Cookie: id=CANARY\r\nUser-Agent: Alaris/1\r\n\tPCU\r\nAuthorization: Basic CANARY\r\n\r\n";

/// What a stream says, one line a message: method, host, user agent and server.
fn lines(bytes: &[u8]) -> Vec<String> {
    let found = stream(&Http, bytes, bytes.len());
    for step in [1, 2, 33] {
        assert_eq!(stream(&Http, bytes, step), found, "in pieces of {step}");
    }
    no_canary(&found);
    let keys = ["http.method", "http.host", "http.user_agent", "http.server"];
    let line = |seen: &Observation| {
        keys.iter().map(|key| values(seen, key).join("+")).collect::<Vec<_>>().join("|")
    };
    found.iter().map(line).collect()
}

#[test]
fn a_request_names_the_host_and_the_software() {
    assert_eq!(lines(REQUEST.as_bytes()), ["GET|pump-7.example|Alaris/1 PCU|"]);
    assert_eq!(lines(REQUEST.replace("\r\n", "\n").as_bytes()).len(), 1);
    let twice = REQUEST.repeat(3);
    assert_eq!(lines(twice.as_bytes()).len(), 3);
    assert_eq!(
        lines(b"\r\nHEAD / HTTP/1.0\r\nHost: a\r\nHost: b\r\nHost:\r\n\r\n"),
        ["HEAD|a+b||"]
    );
}

#[test]
fn bodies_are_passed_over_by_their_framing() {
    let trap = "\r\nGET /x HTTP/1.1\r\nHost: CANARY\r\n\r\n";
    let post =
        format!("POST /CANARY HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{trap}", trap.len());
    assert_eq!(lines(format!("{post}{REQUEST}").as_bytes()).len(), 2);
    let chunked = format!(
        "HTTP/1.1 200 OK\r\nServer: s/1\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n\
         {:x};x=CANARY\r\n{trap}\r\n2\r\nab\r\n0\r\nTrailer: CANARY\r\n\r\nHTTP/1.1 304 N\r\nServer: s/2\r\n\r\n",
        trap.len()
    );
    assert_eq!(lines(chunked.as_bytes()), ["|||s/1", "|||s/2"]);
    let open = format!("HTTP/1.0 200 OK\r\nServer: s\r\n\r\n{trap}");
    assert_eq!(lines(open.as_bytes()), ["|||s"]);
    let tunnel = format!("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n{trap}");
    assert_eq!(lines(tunnel.as_bytes()), ["CONNECT|h||"]);
    let upgrade = format!("HTTP/1.1 101 Switching\r\nServer: s\r\n\r\n{trap}");
    assert_eq!(lines(upgrade.as_bytes()), ["|||s"]);
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 OK\r\nServer: s\r\n\r\n";
    assert_eq!(lines(interim.as_bytes()), ["|||s"]);
}

#[test]
fn finds_the_next_message_after_bytes_that_are_none() {
    let bytes = format!("{REQUEST}\x01\x02junk CANARY\nmore GET / HTTP/1.1\n\x00\n{REQUEST}");
    assert_eq!(lines(bytes.as_bytes()).len(), 2);
}

#[test]
fn knows_http_by_its_start_line() {
    let cases: [(&[u8], Probe); 18] = [
        (b"", Probe::Unsure),
        (b"HT", Probe::Unsure),
        (b"HTTP/1.1 2", Probe::Unsure),
        (b"HTTP/1.1 200", Probe::Yes),
        (b"HTTP/2.0 200", Probe::No),
        (b"GE", Probe::Unsure),
        (b"GET /a", Probe::Unsure),
        (b"GET /a b HTTP/1.1\n", Probe::Yes),
        (b"M-SEARCH * HTTP/1.1\r\n", Probe::Yes),
        (b"GET /a\r\n", Probe::No),
        (b"PRI * HTTP/2.0\r\n", Probe::No),
        (b"OPTIONS rtsp://a/ RTSP/1.0\r\n", Probe::No),
        (b"RTSP/1.0 200 OK\r\n", Probe::No),
        (b"INVITE sip:a@b SIP/2.0\r\n", Probe::No),
        (b"SIP/2.0 200 OK\r\n", Probe::No),
        (b"EHLO mail\r\n", Probe::No),
        (b"SSH-2.0-x\r\n", Probe::No),
        (b"\x16\x03\x01", Probe::No),
    ];
    for (bytes, expect) in cases {
        assert_eq!(Http.probe(&tcp(bytes, false)), expect, "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_host_is_named_without_its_port() {
    let cases = [("a:8080", "a"), ("a", "a"), ("[::1]:80", "[::1]"), ("::1", "::1"), (":1", ":1")];
    for (host, expect) in cases {
        assert_eq!(without_port(host), expect);
    }
}

#[test]
fn limits_hold() {
    let long_line = [b"GET /".to_vec(), vec![b'a'; START_LINE_BYTES_MAX]].concat();
    assert_eq!(Http.probe(&tcp(&long_line, false)), Probe::No);
    let mut long_head = b"GET / HTTP/1.1\r\n".to_vec();
    long_head.resize(HEAD_BYTES_MAX, b'a');
    let progress = Http.dissect(&tcp(&long_head, false), &mut Observations::default());
    let reason = "header_beyond_limit";
    assert_eq!(progress, Progress::Malformed { at: HEAD_BYTES_MAX, reason });
    let huge = b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999999999\r\n\r\n";
    let progress = Http.dissect(&tcp(huge, false), &mut Observations::default());
    assert_eq!(progress, Progress::Consumed(huge.len() + 999_999_999_999_999_999));
}

#[test]
fn hostile_bytes_do_no_harm() {
    let response =
        "HTTP/1.1 200 OK\r\nServer: s\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    torture(&Http, format!("{REQUEST}{response}").as_bytes(), HEAD_BYTES_MAX);
}
