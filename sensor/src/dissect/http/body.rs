//! How long a message's body is (RFC 9112 section 6.3), so that it can be passed over unread.
//!
//! The dissector keeps no state between messages: it cannot know which request an answer belongs
//! to, so the answers to HEAD and CONNECT are told by their looks or taken for what they declare.

use super::head::{Head, number};

/// Bytes of a chunk's first line with its extensions.
const CHUNK_LINE_BYTES_MAX: usize = 256;

/// Hexadecimal digits of a chunk's size.
const CHUNK_DIGITS_MAX: usize = 8;

/// How a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none.
    None,
    /// So many bytes.
    Length(usize),
    /// In chunks, which say their own length (RFC 9112 section 7.1).
    Chunked,
    /// Until the stream ends, or what follows is another protocol.
    RestOfStream,
}

/// What follows this header block.
pub(super) fn framing(head: &Head<'_>) -> Framing {
    let is_tunnel = head.method == Some(b"CONNECT") || head.status == 101;
    if is_tunnel {
        return Framing::RestOfStream;
    }
    if head.method.is_none() && matches!(head.status, 100..=199 | 204 | 304) {
        return Framing::None;
    }
    if head.raw("transfer-encoding").any(is_chunked) {
        return Framing::Chunked;
    }
    // Repeated equal lengths come as `42, 42` too (RFC 9112 section 6.3, rule 5).
    let mut lengths =
        head.raw("content-length").flat_map(|value| value.split(|byte| *byte == b','));
    match lengths.next().and_then(|first| number(first.trim_ascii())) {
        Some(0) => Framing::None,
        Some(length) => Framing::Length(length),
        None if head.method.is_some() => Framing::None,
        None => Framing::RestOfStream,
    }
}

fn is_chunked(value: &[u8]) -> bool {
    let last = value.split(|byte| *byte == b',').next_back().unwrap_or_default();
    last.trim_ascii().eq_ignore_ascii_case(b"chunked")
}

/// What stands at the start of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// A chunk of this length, its size line and line end included.
    Whole(usize),
    /// Perhaps a chunk: its size line is not whole.
    CutShort,
    /// No chunk.
    None,
}

/// The chunk that begins here: hexadecimal size, extensions, line end, content, line end.
pub(super) fn chunk(bytes: &[u8]) -> Chunk {
    let window = bytes.get(..CHUNK_LINE_BYTES_MAX).unwrap_or(bytes);
    let digits = window.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    if !(1..=CHUNK_DIGITS_MAX).contains(&digits) {
        return Chunk::None;
    }
    if !matches!(window.get(digits), None | Some(b';' | b' ' | b'\r' | b'\n')) {
        return Chunk::None;
    }
    let Some(end) = window.iter().position(|byte| *byte == b'\n') else {
        let is_open = window.len() < CHUNK_LINE_BYTES_MAX;
        return if is_open { Chunk::CutShort } else { Chunk::None };
    };
    let digits = window.get(..digits).and_then(|digits| std::str::from_utf8(digits).ok());
    match digits.and_then(|digits| usize::from_str_radix(digits, 16).ok()) {
        // The last chunk's trailer and empty line are passed over as lines are.
        Some(0) => Chunk::Whole(end + 1),
        Some(size) => Chunk::Whole(size.saturating_add(end + 3)),
        None => Chunk::None,
    }
}
