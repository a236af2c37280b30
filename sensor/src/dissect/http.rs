//! HTTP/1.x over TCP (RFC 9112): who asks whom with what software.
//!
//! Method, Host, User-Agent and Server are copied and nothing else: no path, query, cookie or body.
//! A body is passed over by its framing (`body.rs`). Where bytes are neither a message nor a chunk (a
//! body after a lost segment) the next line that begins a message is looked for.

use super::reader::text;
use super::{Carrier, Dissector, Observation, Observations, Payload, Probe, Progress};
use body::Framing;
use head::Head;

mod body;
mod head;
#[cfg(test)]
mod tests;

/// Bytes of one header block: servers refuse requests at 8 to 64 KiB.
pub(super) const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a start line: RFC 9112 section 3 asks for 8000 at least.
pub(super) const START_LINE_BYTES_MAX: usize = 16 * 1024;

/// A skip that no stream outlives: what follows is no longer HTTP, or ends with the stream.
const REST_OF_DIRECTION: usize = usize::MAX;

/// Reads HTTP/1.x streams.
pub(super) struct Http;

impl Dissector for Http {
    fn protocol(&self) -> &'static str {
        "http"
    }

    fn probe(&self, payload: &Payload<'_>) -> Probe {
        if payload.carrier != Carrier::Tcp {
            return Probe::No;
        }
        head::probe(without_blank_lines(payload.bytes))
    }

    fn dissect(&self, payload: &Payload<'_>, found: &mut Observations) -> Progress {
        let bytes = payload.bytes;
        let blank = bytes.len() - without_blank_lines(bytes).len();
        if blank > 0 {
            return Progress::Consumed(blank);
        }
        match head::probe(bytes) {
            Probe::Yes => read_message(bytes, found),
            Probe::Unsure => Progress::NeedMore(bytes.len() + 1),
            Probe::No => pass_over(bytes),
        }
    }
}

/// Servers ignore empty lines before a request (RFC 9112 section 2.2).
fn without_blank_lines(bytes: &[u8]) -> &[u8] {
    let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    bytes.get(blank..).unwrap_or_default()
}

fn read_message(bytes: &[u8], found: &mut Observations) -> Progress {
    let window = bytes.get(..HEAD_BYTES_MAX).unwrap_or(bytes);
    let Some(length) = head::length(window) else {
        if window.len() == HEAD_BYTES_MAX {
            return Progress::Malformed { at: HEAD_BYTES_MAX, reason: "header_beyond_limit" };
        }
        return Progress::NeedMore(bytes.len() + 1);
    };
    let (head, rest) = bytes.split_at(length);
    let head = Head::read(head);
    let seen = describe(&head);
    if !seen.attributes.is_empty() {
        found.0.push(seen);
    }
    match body::framing(&head) {
        // The answer to a HEAD request declares a body that never comes (RFC 9110 section 9.3.2).
        Framing::Length(_) if rest.starts_with(b"HTTP/1.") => Progress::Consumed(length),
        Framing::Length(body) => Progress::Consumed(length.saturating_add(body)),
        Framing::None | Framing::Chunked => Progress::Consumed(length),
        Framing::RestOfStream if rest.starts_with(b"HTTP/1.") => Progress::Consumed(length),
        Framing::RestOfStream => Progress::Consumed(REST_OF_DIRECTION),
    }
}

fn describe(head: &Head<'_>) -> Observation {
    let mut seen = Observation::default();
    if let Some(method) = head.method {
        seen.say("http.method", text(method));
        let hosts = head.values("host");
        seen.say_all("http.host", hosts.iter().map(|host| without_port(host).to_owned()).collect());
        seen.say_all("http.user_agent", head.values("user-agent"));
    } else {
        seen.say_all("http.server", head.values("server"));
    }
    seen
}

/// The host alone (RFC 9110 section 7.2): the port is the peer's, and names of all protocols compare.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            // The colons of a bare IPv6 address are no port's.
            if name.contains(':') && !name.ends_with(']') { host } else { name }
        }
        _ => host,
    }
}

/// Passes over a chunk, or over lines up to one that begins a message or may yet do so.
fn pass_over(bytes: &[u8]) -> Progress {
    match body::chunk(bytes) {
        body::Chunk::Whole(length) => return Progress::Consumed(length),
        body::Chunk::CutShort => return Progress::NeedMore(bytes.len() + 1),
        body::Chunk::None => {}
    }
    let lines = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    let mut starts = lines.filter(|at| {
        let line = bytes.get(*at..).unwrap_or_default();
        line.is_empty() || head::probe(line) != Probe::No
    });
    match starts.next().unwrap_or_else(|| kept_of_line(bytes)) {
        0 => Progress::NeedMore(bytes.len() + 1),
        passed => Progress::Consumed(passed),
    }
}

/// Where to cut a line whose end is not there yet: before its last byte that can begin neither a
/// message nor a chunk, so that its remainder is not taken for the begin of a line.
fn kept_of_line(bytes: &[u8]) -> usize {
    let may_begin = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_hexdigit();
    let marker = bytes.iter().rposition(|byte| !may_begin(byte)).unwrap_or(0);
    // More of such bytes than a method or a chunk's size has serve as well.
    marker.max(bytes.len().saturating_sub(head::METHOD_BYTES_MAX + 1))
}
