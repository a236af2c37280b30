//! Messages, segments, fields, repetitions and components (HL7 2.x section 2.3) as slices.
//!
//! It knows no field's meaning and copies nothing: what may leave is decided in `allowed.rs`.

use crate::dissect::reader::{TEXT_BYTES_MAX, text};

/// One message: its delimiters and its segments.
#[derive(Debug)]
pub(super) struct Message<'a> {
    delimiters: Delimiters,
    segments: Vec<&'a [u8]>,
}

/// The five of MSH-1 and MSH-2; a missing one is the recommended one (HL7 2.x table 2-1).
#[derive(Clone, Copy, Debug)]
pub(super) struct Delimiters {
    field: u8,
    component: u8,
    repetition: u8,
    escape: u8,
    subcomponent: u8,
}

/// One segment with the delimiters of its message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    bytes: &'a [u8],
    delimiters: Delimiters,
}

/// One repetition of a field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    bytes: &'a [u8],
    delimiters: Delimiters,
}

/// The messages of a frame: one, or those of a batch.
///
/// Segments end with a carriage return; where the first one ends with a line feed, all do, so that a
/// line feed within a text cannot start a segment of its own.
pub(super) fn split(frame: &[u8]) -> Vec<Message<'_>> {
    let first = frame.iter().copied().find(|byte| matches!(byte, b'\r' | b'\n'));
    let end = first.unwrap_or(b'\r');
    let mut messages: Vec<Message<'_>> = Vec::new();
    for segment in frame.split(|byte| *byte == end) {
        let segment = segment.trim_ascii_start();
        if segment.starts_with(b"MSH") {
            messages.push(Message { delimiters: Delimiters::of(segment), segments: vec![segment] });
        } else if let Some(message) = messages.last_mut()
            && !segment.is_empty()
        {
            message.segments.push(segment);
        }
    }
    messages
}

impl Delimiters {
    fn of(header: &[u8]) -> Self {
        let at = |index: usize, usual: u8| match header.get(index) {
            Some(byte) if byte.is_ascii_punctuation() => *byte,
            _ => usual,
        };
        let field = at(3, b'|');
        let mut encoding = header.iter().skip(4).copied().take_while(|byte| *byte != field);
        let mut next = |usual: u8| encoding.next().unwrap_or(usual);
        Self {
            field,
            component: next(b'^'),
            repetition: next(b'~'),
            escape: next(b'\\'),
            subcomponent: next(b'&'),
        }
    }

    /// What an escape sequence stands for (HL7 2.x section 2.7.1); `None` for formatting.
    fn unescape(self, sequence: &[u8]) -> Option<Vec<u8>> {
        match sequence {
            b"F" => Some(vec![self.field]),
            b"S" => Some(vec![self.component]),
            b"T" => Some(vec![self.subcomponent]),
            b"R" => Some(vec![self.repetition]),
            b"E" => Some(vec![self.escape]),
            [b'X', digits @ ..] => digits
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
                .collect(),
            _ => None,
        }
    }
}

impl<'a> Message<'a> {
    /// The message header.
    pub(super) fn header(&self) -> Segment<'a> {
        let bytes = self.segments.first().copied().unwrap_or_default();
        Segment { bytes, delimiters: self.delimiters }
    }

    /// The segments of this name, such as `OBX`, in wire order.
    pub(super) fn segments<'m>(
        &'m self,
        name: &'static [u8; 3],
    ) -> impl Iterator<Item = Segment<'a>> + use<'a, 'm> {
        let field = self.delimiters.field;
        let named = move |bytes: &&&[u8]| bytes.starts_with(name) && bytes.get(3) == Some(&field);
        let delimiters = self.delimiters;
        self.segments.iter().filter(named).map(move |bytes| Segment { bytes, delimiters })
    }
}

impl<'a> Segment<'a> {
    /// The repetitions of field `number`, counted as the standard does; in a header, whose field
    /// separator is field 1 itself, one further.
    pub(super) fn field(self, number: usize) -> impl Iterator<Item = Field<'a>> {
        let index = if self.bytes.starts_with(b"MSH") { number.wrapping_sub(1) } else { number };
        let Self { bytes, delimiters } = self;
        let whole = bytes.split(move |byte| *byte == delimiters.field).nth(index);
        let whole = whole.unwrap_or_default();
        let repeated = whole.split(move |byte| *byte == delimiters.repetition);
        repeated.map(move |bytes| Field { bytes, delimiters })
    }

    /// The first repetition of field `number`.
    pub(super) fn first(self, number: usize) -> Field<'a> {
        let empty = Field { bytes: &[], delimiters: self.delimiters };
        self.field(number).next().unwrap_or(empty)
    }
}

impl Field<'_> {
    /// The whole field with its component separators, escapes resolved, empty ones at its end cut.
    pub(super) fn whole(self) -> String {
        let end = self.bytes.iter().rposition(|byte| *byte != self.delimiters.component);
        self.render(self.bytes.get(..end.map_or(0, |at| at + 1)).unwrap_or_default())
    }

    /// Component `number`, from 1; empty where there is none.
    pub(super) fn component(self, number: usize) -> String {
        let mut components = self.bytes.split(|byte| *byte == self.delimiters.component);
        components.nth(number.saturating_sub(1)).map(|bytes| self.render(bytes)).unwrap_or_default()
    }

    /// The first component that says something.
    pub(super) fn name(self) -> String {
        let components = self.bytes.split(|byte| *byte == self.delimiters.component);
        let mut rendered = components.map(|bytes| self.render(bytes));
        rendered.find(|text| !text.is_empty()).unwrap_or_default()
    }

    /// Text with escapes resolved; `""` is HL7's way to say that a field is to be emptied.
    fn render(self, bytes: &[u8]) -> String {
        let bytes = bytes.trim_ascii();
        let bytes = bytes.get(..TEXT_BYTES_MAX).unwrap_or(bytes);
        if bytes == b"\"\"" {
            return String::new();
        }
        if !bytes.contains(&self.delimiters.escape) {
            return text(bytes);
        }
        let mut resolved = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| *byte == self.delimiters.escape) {
            let (plain, escaped) = rest.split_at(at);
            resolved.extend_from_slice(plain);
            let body = escaped.get(1..).unwrap_or_default();
            let end = body.iter().position(|byte| *byte == self.delimiters.escape);
            let sequence = end.and_then(|end| body.get(..end));
            if let Some((sequence, meaning)) =
                sequence.and_then(|s| Some((s, self.delimiters.unescape(s)?)))
            {
                resolved.extend(meaning);
                rest = body.get(sequence.len() + 1..).unwrap_or_default();
            } else {
                resolved.push(self.delimiters.escape);
                rest = body;
            }
        }
        resolved.extend_from_slice(rest);
        text(&resolved)
    }
}
