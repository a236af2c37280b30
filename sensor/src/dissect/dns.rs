//! DNS (RFC 1035) over UDP and TCP: who asks for which name.
//!
//! An answer says nothing of the device that sends it, so answers are checked and passed over.
//! Protocols that borrow the format (multicast DNS, LLMNR, NetBIOS names) are not DNS: they own
//! their ports.

use super::reader::Reader;
use super::{Carrier, Dissector, Observation, Observations, Payload, Probe, Progress};
use message::{Cursor, Header, VALUES_MAX};

pub(super) mod message;
pub(super) mod name;

#[cfg(test)]
mod tests;

/// RFC 1035 section 4.2.
const PORT: u16 = 53;
/// What precedes a message in a stream (RFC 1035 section 4.2.2).
const LENGTH_BYTES: usize = 2;
/// NetBIOS names (RFC 1002), multicast DNS (RFC 6762), LLMNR (RFC 4795).
const PORTS_OF_OTHERS: [u16; 3] = [137, super::mdns::PORT, 5355];

/// Reports `dns.query`: the names of a query in lower case, since DNS compares without case
/// (RFC 4343), with unprintable bytes as `\DDD` (RFC 1035 section 5.1).
#[derive(Debug)]
pub(super) struct Dns;

impl Dissector for Dns {
    fn protocol(&self) -> &'static str {
        "dns"
    }

    fn probe(&self, payload: &Payload<'_>) -> Probe {
        let on = |port: u16| [payload.source.port, payload.destination.port].contains(&Some(port));
        if PORTS_OF_OTHERS.into_iter().any(on) {
            return Probe::No;
        }
        match payload.carrier {
            Carrier::Link(_) => Probe::No,
            Carrier::Udp => probe_message(payload.bytes, payload.bytes.len(), on(PORT)),
            Carrier::Tcp => probe_stream(payload, on(PORT)),
        }
    }

    fn dissect(&self, payload: &Payload<'_>, found: &mut Observations) -> Progress {
        match payload.carrier {
            Carrier::Tcp => read_stream(payload.bytes, found),
            Carrier::Udp | Carrier::Link(_) => read(payload.bytes, 0, found),
        }
    }
}

/// On DNS's own port a plausible header suffices, or a first question where its counts are wrong;
/// elsewhere the whole message must parse.
fn probe_message(message: &[u8], length: usize, is_own_port: bool) -> Probe {
    let Some(header) = Header::read(message) else { return Probe::No };
    let is_plausible = header.is_plausible(length);
    if is_own_port && (is_plausible || begins_with_question(message, &header)) {
        return Probe::Yes;
    }
    if is_own_port || !is_plausible || !header.is_ordinary() {
        return Probe::No;
    }
    if message.len() < length {
        return Probe::Unsure;
    }
    if is_whole(message, &header) { Probe::Yes } else { Probe::No }
}

fn begins_with_question(message: &[u8], header: &Header) -> bool {
    let question = Cursor::after_header(message).question();
    header.has_known_opcode() && question.is_ok_and(|question| question.has_known_class())
}

fn probe_stream(payload: &Payload<'_>, is_own_port: bool) -> Probe {
    let mut reader = Reader::new(payload.bytes);
    let length = reader.u16().map(usize::from);
    if length.is_some_and(|length| length < Header::BYTES) {
        return Probe::No;
    }
    match length {
        Some(length) if reader.remaining() >= Header::BYTES => {
            let message = reader.rest().get(..length).unwrap_or(reader.rest());
            probe_message(message, length, is_own_port)
        }
        _ if payload.ended => Probe::No,
        _ => Probe::Unsure,
    }
}

/// One well-known question, records as many as said, and nothing left over.
fn is_whole(message: &[u8], header: &Header) -> bool {
    let mut cursor = Cursor::after_header(message);
    let Ok(question) = cursor.question() else { return false };
    if !question.has_known_class() {
        return false;
    }
    (0..header.records()).all(|_| cursor.record().is_ok()) && cursor.is_at_end()
}

/// Reads one message after its length (RFC 1035 section 4.2.2); an answer is not waited for.
fn read_stream(bytes: &[u8], found: &mut Observations) -> Progress {
    let mut reader = Reader::new(bytes);
    let Some(length) = reader.u16().map(usize::from) else {
        return Progress::NeedMore(LENGTH_BYTES);
    };
    if length < Header::BYTES {
        return Progress::Malformed { at: 0, reason: "length_below_header" };
    }
    match (Header::read(reader.rest()), reader.take(length)) {
        (None, _) => Progress::NeedMore(LENGTH_BYTES + Header::BYTES),
        (Some(header), None) if header.is_response() => Progress::Consumed(LENGTH_BYTES + length),
        (Some(_), None) => Progress::NeedMore(LENGTH_BYTES + length),
        (Some(_), Some(message)) => read(message, LENGTH_BYTES, found),
    }
}

/// Reads a message that begins at `offset` of the payload.
fn read(message: &[u8], offset: usize, found: &mut Observations) -> Progress {
    let Some(header) = Header::read(message) else {
        return Progress::Malformed { at: offset, reason: "header_cut_short" };
    };
    let mut cursor = Cursor::after_header(message);
    let mut names = Vec::new();
    let outcome = cursor
        .questions(&header, |question| {
            if names.len() < VALUES_MAX {
                names.push(question.name.to_ascii_lower());
            }
        })
        .and_then(|()| (0..header.records()).try_for_each(|_| cursor.record().map(|_| ())));
    if header.is_query() && !names.is_empty() {
        let mut observation = Observation::default();
        observation.say_all("dns.query", names);
        found.0.push(observation);
    }
    match outcome {
        Ok(()) => Progress::Consumed(offset + message.len()),
        Err(fault) => fault.after(offset),
    }
}
