//! The header block of a message: start line and fields (RFC 9112 sections 2 to 5).
//!
//! Tolerant as receivers are: bare line feeds, folded lines, any case of names.

use super::START_LINE_BYTES_MAX;
use crate::dissect::Probe;
use crate::dissect::reader::text;

/// Bytes of a method: the longest registered one is `UPDATEREDIRECTREF`.
pub(super) const METHOD_BYTES_MAX: usize = 24;

/// Values kept of one repeated field.
const VALUES_MAX: usize = 8;

/// Field lines that are looked at; servers refuse more than about a hundred.
const FIELDS_MAX: usize = 512;

/// What every version of HTTP/1 begins its name with.
const VERSION: &[u8] = b"HTTP/1.";

/// A message's start line and fields.
#[derive(Debug)]
pub(super) struct Head<'a> {
    /// The request's method; `None` in a response.
    pub(super) method: Option<&'a [u8]>,
    /// The response's status code, 0 in a request.
    pub(super) status: u16,
    /// Names in lower case, and values with folded lines joined, in wire order.
    fields: Vec<(String, Vec<u8>)>,
}

/// Whether a message begins here: `HTTP/1.x SP status`, or a request line that ends in `HTTP/1.x`.
pub(super) fn probe(bytes: &[u8]) -> Probe {
    if bytes.starts_with(VERSION) {
        return probe_status_line(bytes);
    }
    if VERSION.starts_with(bytes) {
        return Probe::Unsure;
    }
    let window = bytes.get(..START_LINE_BYTES_MAX).unwrap_or(bytes);
    let method = window.iter().take(METHOD_BYTES_MAX + 1).take_while(|b| is_method(**b)).count();
    if method > METHOD_BYTES_MAX || !window.first().is_some_and(u8::is_ascii_uppercase) {
        return Probe::No;
    }
    match window.get(method) {
        None => return Probe::Unsure,
        Some(b' ') if method >= 2 => {}
        Some(_) => return Probe::No,
    }
    let Some(line) = first_line(window) else {
        let is_text =
            window.iter().skip(method).all(|byte| !byte.is_ascii_control() || *byte == b'\r');
        let is_open = window.len() < START_LINE_BYTES_MAX;
        return if is_text && is_open { Probe::Unsure } else { Probe::No };
    };
    match line.split(|byte| *byte == b' ').next_back() {
        Some(version) if is_version(version) => Probe::Yes,
        _ => Probe::No,
    }
}

fn probe_status_line(bytes: &[u8]) -> Probe {
    match bytes.get(VERSION.len()..).unwrap_or_default() {
        [digit, b' ', a, b, c, ..] if [digit, a, b, c].iter().all(|d| d.is_ascii_digit()) => {
            Probe::Yes
        }
        [digit, b' ', rest @ ..] if rest.len() < 3 && digit.is_ascii_digit() => Probe::Unsure,
        [digit] if digit.is_ascii_digit() => Probe::Unsure,
        [] => Probe::Unsure,
        _ => Probe::No,
    }
}

/// Methods are tokens; all that are registered or seen are capitals with `-` and `_`.
fn is_method(byte: u8) -> bool {
    byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_')
}

fn is_version(bytes: &[u8]) -> bool {
    bytes.strip_prefix(VERSION).is_some_and(|minor| matches!(minor, [b'0'..=b'9']))
}

/// The first line without its end, where that is there.
fn first_line(bytes: &[u8]) -> Option<&[u8]> {
    // `contains` is a vectorised search; most calls on a line cut short end here.
    if !bytes.contains(&b'\n') {
        return None;
    }
    let line = bytes.split(|byte| *byte == b'\n').next()?;
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

/// Length of the header block with the empty line that ends it, where that is there.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        at += line.len();
        if matches!(line, b"\n" | b"\r\n") {
            return Some(at);
        }
    }
    None
}

impl<'a> Head<'a> {
    /// Reads a header block that is whole and begins with a start line.
    pub(super) fn read(bytes: &'a [u8]) -> Self {
        let mut lines =
            bytes.split(|byte| *byte == b'\n').map(|l| l.strip_suffix(b"\r").unwrap_or(l));
        let start = lines.next().unwrap_or_default();
        let mut words = start.split(|byte| *byte == b' ');
        let first = words.next().unwrap_or_default();
        let method = (!first.starts_with(VERSION)).then_some(first);
        let status = words.next().filter(|_| method.is_none()).and_then(number).unwrap_or(0);
        let mut head = Self { method, status: status.try_into().unwrap_or(0), fields: Vec::new() };
        for line in lines.take(FIELDS_MAX) {
            head.push(line);
        }
        head
    }

    /// A field line, or the continuation of the one before (obs-fold, RFC 9112 section 5.2).
    fn push(&mut self, line: &[u8]) {
        if let [b' ' | b'\t', ..] = line {
            if let Some((_, value)) = self.fields.last_mut() {
                value.push(b' ');
                value.extend_from_slice(line.trim_ascii());
            }
            return;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        self.fields.push((text(name).to_ascii_lowercase(), value.to_vec()));
    }

    /// The values of a field by its name in lower case.
    pub(super) fn values(&self, name: &str) -> Vec<String> {
        let values = self.raw(name).map(text).filter(|value| !value.is_empty());
        values.take(VALUES_MAX).collect()
    }

    /// The bytes of a field's values.
    pub(super) fn raw(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let named = self.fields.iter().filter(move |(known, _)| known == name);
        named.map(|(_, value)| value.as_slice())
    }
}

/// A decimal number of at most 18 digits.
pub(super) fn number(digits: &[u8]) -> Option<usize> {
    let is_number = (1..=18).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| digits.iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0')))
}
