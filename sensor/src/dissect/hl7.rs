//! HL7 version 2 over the minimal lower layer protocol (HL7 2.x chapter 2, MLLP release 1).
//!
//! Frames are `0x0b … 0x1c 0x0d`; a message without them, and a frame that was never closed, are
//! read too. One observation a message, acknowledgements included. What is kept of a message is
//! decided in `allowed.rs` alone; PID, PV1 and NK1 are never looked at.

use super::{Carrier, Dissector, Observations, Payload, Probe, Progress};

mod allowed;
mod message;
#[cfg(test)]
mod tests;

/// Bytes of one message that are read: half of what a stream holds. Only those with embedded documents
/// are longer, and the header at their front is reported all the same.
pub(super) const MESSAGE_BYTES_MAX: usize = 128 * 1024;

/// Observations of one frame: a batch file may hold thousands of messages, all of one sender.
const MESSAGES_PER_FRAME_MAX: usize = 256;

/// Starts an MLLP frame.
const START: u8 = 0x0b;

/// Ends an MLLP frame, followed by a carriage return.
const END: u8 = 0x1c;

/// What a message or batch begins with: its header, a file header, a batch header.
const HEADERS: [&[u8; 3]; 3] = [b"MSH", b"FHS", b"BHS"];

/// Reads HL7 version 2 streams.
pub(super) struct Hl7;

impl Dissector for Hl7 {
    fn protocol(&self) -> &'static str {
        "hl7"
    }

    fn probe(&self, payload: &Payload<'_>) -> Probe {
        if payload.carrier != Carrier::Tcp {
            return Probe::No;
        }
        probe_header(trim(payload.bytes))
    }

    fn dissect(&self, payload: &Payload<'_>, found: &mut Observations) -> Progress {
        let bytes = payload.bytes;
        let blank = bytes.len() - trim(bytes).len();
        if blank > 0 {
            return Progress::Consumed(blank);
        }
        match probe_header(bytes) {
            Probe::Yes => read_frame(payload, found),
            Probe::Unsure => Progress::NeedMore(bytes.len() + 1),
            Probe::No => Progress::Consumed(next_start(bytes, 1)),
        }
    }
}

/// Whether a header begins here: its name, a field separator and encoding characters, all of
/// punctuation (HL7 2.x section 2.5.4), after the frame's first byte or without it.
fn probe_header(bytes: &[u8]) -> Probe {
    let header = bytes.strip_prefix(&[START]).unwrap_or(bytes);
    let (name, rest) = header.split_at(header.len().min(3));
    if !HEADERS.iter().any(|known| known.starts_with(name)) {
        return Probe::No;
    }
    let Some((&separator, rest)) = rest.split_first() else { return Probe::Unsure };
    if !separator.is_ascii_punctuation() {
        return Probe::No;
    }
    let encoding = rest.iter().take(6).take_while(|byte| **byte != separator);
    let count = encoding.clone().count();
    if !encoding.clone().all(u8::is_ascii_punctuation) {
        return Probe::No;
    }
    match rest.get(count) {
        None if count <= 5 => Probe::Unsure,
        Some(_) if (1..=5).contains(&count) => Probe::Yes,
        _ => Probe::No,
    }
}

/// Reads the frame or bare message that begins the payload, once its end is there.
fn read_frame(payload: &Payload<'_>, found: &mut Observations) -> Progress {
    let bytes = payload.bytes;
    let window = bytes.get(..MESSAGE_BYTES_MAX).unwrap_or(bytes);
    let Some(end) = frame_end(window) else {
        if window.len() == MESSAGE_BYTES_MAX {
            // The header is at the front: it says who sends, whatever the rest is.
            report(window, found);
            return Progress::Consumed(MESSAGE_BYTES_MAX);
        }
        if payload.ended {
            report(window, found);
            return Progress::Consumed(window.len());
        }
        return Progress::NeedMore(bytes.len() + 1);
    };
    report(window.get(..end).unwrap_or_default(), found);
    Progress::Consumed(end)
}

/// Where the frame ends: at its end byte, or before the next start byte where that is missing, or
/// before the next header where the message came without a frame.
fn frame_end(bytes: &[u8]) -> Option<usize> {
    let framed = bytes.first() == Some(&START);
    let body = bytes.get(1..).unwrap_or_default();
    // `contains` is a vectorised search and answers most calls: segments of a long message.
    if body.contains(&END) || body.contains(&START) {
        let end = body.iter().position(|byte| matches!(*byte, START | END))?;
        let is_end = body.get(end) == Some(&END);
        return Some(1 + end + usize::from(is_end));
    }
    if framed {
        return None;
    }
    let next = body.windows(5).position(|w| matches!(w, [b'\r' | b'\n', b'M', b'S', b'H', _]));
    next.map(|at| 2 + at)
}

/// Offset of the next frame's start byte at or after `from`, else the end of the bytes.
fn next_start(bytes: &[u8], from: usize) -> usize {
    let ahead = bytes.iter().skip(from).position(|byte| *byte == START);
    ahead.map_or(bytes.len(), |at| from + at)
}

/// Line ends, frame ends and white space between frames say nothing.
fn trim(bytes: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(*byte, END | b'\r' | b'\n' | b' ' | 0);
    let blank = bytes.iter().take_while(|byte| is_blank(byte)).count();
    bytes.get(blank..).unwrap_or_default()
}

fn report(frame: &[u8], found: &mut Observations) {
    let frame = frame.strip_prefix(&[START]).unwrap_or(frame);
    let frame = frame.strip_suffix(&[END]).unwrap_or(frame);
    let seen = message::split(frame).into_iter().take(MESSAGES_PER_FRAME_MAX);
    found.0.extend(seen.map(|message| allowed::describe(&message)));
}
