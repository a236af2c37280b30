//! Domain names on the wire (RFC 1035 sections 3.1 and 4.1.4) and how they are written down.
//!
//! A pointer must point before the labels that it ends, so that reading always ends; hostile names
//! are faults, not loops.

use std::fmt::Write;

use super::message::Fault;
use crate::dissect::reader::Reader;

/// Octets of a name with its lengths and its root (RFC 1035 section 2.3.4).
const OCTETS_MAX: usize = 255;
/// Pointers followed in one name: a name has no more labels (127), so no writer needs more.
const POINTERS_MAX: usize = 127;

/// A domain name: its labels without the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::dissect) struct Name<'a> {
    /// As on the wire, at most 63 octets each.
    pub(in crate::dissect) labels: Vec<&'a [u8]>,
}

impl<'a> Name<'a> {
    /// Reads a name at `at`, following pointers into `message`; returns it with the offset after
    /// it.
    pub(super) fn read(message: &'a [u8], at: usize) -> Result<(Self, usize), Fault> {
        let mut name = Self::default();
        let mut octets = 1;
        let mut end = None;
        let mut start = at;
        for _ in 0..=POINTERS_MAX {
            let (next, pointer) = name.read_labels(message, start, &mut octets)?;
            let end = *end.get_or_insert(next);
            match pointer {
                None => return Ok((name, end)),
                Some(target) if target < start => start = target,
                Some(_) => return Err(Fault { at: next - 2, reason: "pointer_forward" }),
            }
        }
        Err(Fault { at, reason: "pointers_beyond_limit" })
    }

    /// A name without pointers that fills `bytes`, its root left out or not (RFC 4702 section 2.3).
    pub(in crate::dissect) fn uncompressed(bytes: &'a [u8]) -> Option<Self> {
        let mut name = Self::default();
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            match reader.prefixed_u8()? {
                [] => break,
                label if label.len() < 64 => name.labels.push(label),
                _ => return None,
            }
        }
        (reader.at() <= OCTETS_MAX).then_some(name)
    }

    /// Reads labels up to the root or a pointer; returns the offset after it and where it points.
    fn read_labels(
        &mut self,
        message: &'a [u8],
        start: usize,
        octets: &mut usize,
    ) -> Result<(usize, Option<usize>), Fault> {
        let mut reader = Reader::new(message.get(start..).unwrap_or_default());
        loop {
            let at = start + reader.at();
            let cut_short = Fault { at, reason: "name_cut_short" };
            match reader.u8().ok_or(cut_short)? {
                0 => return Ok((start + reader.at(), None)),
                length @ 1..=63 => {
                    let length = usize::from(length);
                    *octets += 1 + length;
                    if *octets > OCTETS_MAX {
                        return Err(Fault { at, reason: "name_too_long" });
                    }
                    self.labels.push(reader.take(length).ok_or(cut_short)?);
                }
                high @ 0xc0.. => {
                    let low = reader.u8().ok_or(cut_short)?;
                    let target = usize::from(u16::from_be_bytes([high & 0x3f, low]));
                    return Ok((start + reader.at(), Some(target)));
                }
                _ => return Err(Fault { at, reason: "label_type" }),
            }
        }
    }

    /// Lower-case labels with dots, unprintable octets and spaces as `\DDD`, dots and backslashes
    /// within labels after a backslash; the root is `.`.
    pub(in crate::dissect) fn to_ascii_lower(&self) -> String {
        self.render(|text, label| escape_octets(text, &label.to_ascii_lowercase()))
    }

    /// Labels that are UTF-8 as they are (RFC 6763 section 4.1.1), others as
    /// [`Self::to_ascii_lower`] but for case.
    pub(in crate::dissect) fn to_utf8(&self) -> String {
        self.render(|text, label| match std::str::from_utf8(label) {
            Ok(label) => escape_characters(text, label),
            Err(_) => escape_octets(text, label),
        })
    }

    /// Whether the name ends in these labels, in lower case; compared without case.
    pub(in crate::dissect) fn ends_with(&self, labels: &[&str]) -> bool {
        let Some(skipped) = self.labels.len().checked_sub(labels.len()) else { return false };
        let tail = self.labels.iter().skip(skipped);
        tail.zip(labels).all(|(label, wanted)| label.eq_ignore_ascii_case(wanted.as_bytes()))
    }

    /// The name without its first `count` labels.
    pub(in crate::dissect) fn without_first(&self, count: usize) -> Self {
        Self { labels: self.labels.iter().skip(count).copied().collect() }
    }

    fn render(&self, mut label: impl FnMut(&mut String, &[u8])) -> String {
        if self.labels.is_empty() {
            return ".".to_owned();
        }
        let mut text = String::new();
        for (position, bytes) in self.labels.iter().enumerate() {
            if position > 0 {
                text.push('.');
            }
            label(&mut text, bytes);
        }
        text
    }
}

fn escape_octets(text: &mut String, label: &[u8]) {
    for &octet in label {
        match octet {
            b'.' | b'\\' => text.extend(['\\', octet.into()]),
            b'!'..=b'~' => text.push(octet.into()),
            _ => escape_number(text, octet.into()),
        }
    }
}

fn escape_characters(text: &mut String, label: &str) {
    for character in label.chars() {
        match character {
            '.' | '\\' => text.extend(['\\', character]),
            '\0'..='\x1f' | '\x7f' => escape_number(text, character.into()),
            _ => text.push(character),
        }
    }
}

fn escape_number(text: &mut String, number: u32) {
    // Writing to a string cannot fail.
    let _ = write!(text, "\\{number:03}");
}
