//! TLS over TCP (RFC 8446, RFC 5246): what a ClientHello says of the client.
//!
//! A direction's ClientHellos are read: one, or two after a HelloRetryRequest. What follows them, and
//! all that a server sends, is dropped unread. It must not keep session ids, randoms, tickets or key
//! shares.

use super::reader::{Reader, text};
use super::{Carrier, Dissector, Observation, Observations, Payload, Probe, Progress};
use hello::ClientHello;

mod hello;
mod ja4;
#[cfg(test)]
mod tests;

/// Bytes of one ClientHello: hellos with post-quantum key shares stay under 4 KiB and the longest
/// extension block is 64 KiB.
pub(super) const HELLO_BYTES_MAX: usize = 64 * 1024;

/// Records that one ClientHello may be spread over: sixteen full ones hold twice its limit, and more
/// only make small records costly to join.
pub(super) const HELLO_RECORDS_MAX: usize = 64;

/// A skip that no stream outlives: the direction has nothing more to say.
const REST_OF_DIRECTION: usize = usize::MAX;

/// Bytes of one record's content: 2^14, and 2048 for the expansion that RFC 5246 section 6.2.3 allows.
const RECORD_BYTES_MAX: usize = 16_384 + 2048;

/// Content type, version and length (RFC 8446 section 5.1).
const RECORD_HEADER_BYTES: usize = 5;

/// Message type and 24-bit length (RFC 8446 section 4).
const HANDSHAKE_HEADER_BYTES: usize = 4;

/// The content type `alert`: all that is left of some connections that are seen from their end.
const ALERT: u8 = 21;

/// Bytes of one alert record: level and description, encrypted with the longest padding, tag and
/// initialisation vector of TLS 1.2 at most.
const ALERT_BYTES_MAX: u8 = 64;

/// The content type `handshake`.
const HANDSHAKE: u8 = 22;

/// The content type `change_cipher_spec`.
const CHANGE_CIPHER_SPEC: u8 = 20;

/// The content type `application_data`.
const APPLICATION_DATA: u8 = 23;

/// The handshake type `client_hello`.
const CLIENT_HELLO: u8 = 1;

/// The handshake type `server_hello`.
const SERVER_HELLO: u8 = 2;

/// Reads TLS streams.
pub(super) struct Tls;

impl Dissector for Tls {
    fn protocol(&self) -> &'static str {
        "tls"
    }

    fn probe(&self, payload: &Payload<'_>) -> Probe {
        if payload.carrier != Carrier::Tcp {
            return Probe::No;
        }
        match payload.bytes {
            [APPLICATION_DATA, 3, 1..=3, high, low, ..] if is_length(*high, *low) => Probe::Yes,
            [ALERT, 3, 1..=3, 0, 2..=ALERT_BYTES_MAX, _, ..] => Probe::Yes,
            [HANDSHAKE, 3, 0..=4, high, low, CLIENT_HELLO | SERVER_HELLO, ..]
                if is_length(*high, *low) =>
            {
                Probe::Yes
            }
            [HANDSHAKE, 3, 0..=4, high, low] if is_length(*high, *low) => Probe::Unsure,
            [ALERT, 3, 1..=3, 0, 2..=ALERT_BYTES_MAX] => Probe::Unsure,
            [ALERT | HANDSHAKE | APPLICATION_DATA, rest @ ..] if rest.len() < 4 => match rest {
                [] | [3] | [3, 0..=4] | [3, 0..=4, 0..=0x48] => Probe::Unsure,
                _ => Probe::No,
            },
            [] => Probe::Unsure,
            _ => Probe::No,
        }
    }

    fn dissect(&self, payload: &Payload<'_>, found: &mut Observations) -> Progress {
        match payload.bytes {
            [CHANGE_CIPHER_SPEC, 3, _, 0, 1, _, next @ ..] => return after_change(next, payload),
            [CHANGE_CIPHER_SPEC, 3, _, 0, 1] => {
                return Progress::NeedMore(RECORD_HEADER_BYTES + 1);
            }
            [ALERT | APPLICATION_DATA, 3, ..] => return Progress::Consumed(REST_OF_DIRECTION),
            [HANDSHAKE, 3, _, _, _, kind, ..] if *kind != CLIENT_HELLO => {
                return Progress::Consumed(REST_OF_DIRECTION);
            }
            _ => {}
        }
        let (message, length) = match join(payload.bytes) {
            Ok(joined) => joined,
            Err(progress) => return progress,
        };
        let Some(hello) = message.get(HANDSHAKE_HEADER_BYTES..).and_then(ClientHello::read) else {
            return malformed(0, "client_hello_cut_short");
        };
        found.0.push(describe(&hello));
        Progress::Consumed(length)
    }
}

/// What follows a ChangeCipherSpec: a second hello, for whose sake middleboxes were sent it (RFC 8446
/// appendix D.4), or what is encrypted from here on. A Finished of TLS 1.2 may look like any message
/// by its first byte, so the hello's version (3, 3) must be there as well.
fn after_change(next: &[u8], payload: &Payload<'_>) -> Progress {
    const CHANGE_BYTES: usize = RECORD_HEADER_BYTES + 1;
    match next {
        [HANDSHAKE, 3, _, _, _, CLIENT_HELLO, 0, _, _, 3, 3, ..] => {
            Progress::Consumed(CHANGE_BYTES)
        }
        [HANDSHAKE, ..] | [] if next.len() < 11 && !payload.ended => {
            Progress::NeedMore(CHANGE_BYTES + 11)
        }
        _ => Progress::Consumed(REST_OF_DIRECTION),
    }
}

/// Whether a record may have this length; handshake records are never empty.
fn is_length(high: u8, low: u8) -> bool {
    (1..=RECORD_BYTES_MAX).contains(&usize::from(u16::from_be_bytes([high, low])))
}

/// The first handshake message, its header included, out of as many records as it takes, and their
/// length.
fn join(bytes: &[u8]) -> Result<(Vec<u8>, usize), Progress> {
    let mut reader = Reader::new(bytes);
    let mut message = Vec::new();
    for _ in 0..HELLO_RECORDS_MAX {
        let start = reader.at();
        let Some([kind, major, _, high, low]) = reader.array() else {
            return Err(Progress::NeedMore(start + RECORD_HEADER_BYTES));
        };
        if kind != HANDSHAKE || major != 3 || !is_length(high, low) {
            return Err(malformed(start, "not_a_handshake_record"));
        }
        let length = usize::from(u16::from_be_bytes([high, low]));
        let Some(fragment) = reader.take(length) else {
            return Err(Progress::NeedMore(start + RECORD_HEADER_BYTES + length));
        };
        message.extend_from_slice(fragment);
        if let Some(length) = message_length(&message)?
            && message.len() >= length
        {
            message.truncate(length);
            return Ok((message, reader.at()));
        }
    }
    Err(malformed(reader.at(), "records_beyond_limit"))
}

/// Length of the handshake message with its header, once that is whole.
fn message_length(message: &[u8]) -> Result<Option<usize>, Progress> {
    match *message {
        [CLIENT_HELLO, a, b, c, ..] => {
            let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
            if length > HELLO_BYTES_MAX {
                return Err(malformed(RECORD_HEADER_BYTES, "length_beyond_limit"));
            }
            Ok(Some(HANDSHAKE_HEADER_BYTES + length))
        }
        [] | [CLIENT_HELLO, ..] => Ok(None),
        _ => Err(malformed(RECORD_HEADER_BYTES, "not_a_client_hello")),
    }
}

fn malformed(at: usize, reason: &'static str) -> Progress {
    Progress::Malformed { at, reason }
}

fn describe(hello: &ClientHello<'_>) -> Observation {
    let mut seen = Observation::default();
    seen.say("tls.sni", hello.server_name.map(text).unwrap_or_default());
    let protocols = hello.protocols.iter().map(|name| text(name));
    seen.say_all("tls.alpn", protocols.filter(|name| !name.is_empty()).collect());
    seen.say("tls.version", version_name(hello).unwrap_or_default());
    seen.say("tls.ja4", ja4::fingerprint(hello));
    seen
}

/// The highest version that the hello offers, as people write it; `None` where we know none of them.
fn version_name(hello: &ClientHello<'_>) -> Option<&'static str> {
    let named = |version: u16| match version {
        0x0304 => Some((5, "1.3")),
        // The drafts of RFC 8446 (its drafts' section 4.2.1.1).
        0x7f00..=0x7fff => Some((5, "1.3")),
        0x0303 => Some((4, "1.2")),
        0x0302 => Some((3, "1.1")),
        0x0301 => Some((2, "1.0")),
        0x0300 => Some((1, "ssl3")),
        _ => None,
    };
    let offered = hello.versions.iter().copied().filter_map(named).max();
    offered.or_else(|| named(hello.version)).map(|(_, name)| name)
}
