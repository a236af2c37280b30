//! A checked big-endian cursor over bytes from the wire, and how their text is rendered.
//!
//! Every read may fail and none can panic: a dissector writes `reader.u16()?` and cannot index past
//! an end. It knows no protocol.

use std::fmt::Write;

/// Bytes of one text kept from the wire: twice the longest field that a protocol here allows (LLDP
/// and DNS 255), and short enough that no event can swell.
pub const TEXT_BYTES_MAX: usize = 1024;

/// Reads numbers in network byte order from the start of a slice.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far: the offset of the next one.
    #[must_use]
    pub const fn at(&self) -> usize {
        self.at
    }

    /// What is not read yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Number of bytes that are not read yet.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.rest().len()
    }

    /// Whether all is read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest().is_empty()
    }

    /// The next `count` bytes; `None`, and nothing read, where there are fewer.
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.rest().get(..count)?;
        self.at += count;
        Some(taken)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let array = *self.rest().first_chunk()?;
        self.at += N;
        Some(array)
    }

    /// Passes over `count` bytes.
    pub fn skip(&mut self, count: usize) -> Option<()> {
        self.take(count).map(|_| ())
    }

    /// The next byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// The next two bytes.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// The next three bytes, as TLS handshakes and OUIs have them.
    pub fn u24(&mut self) -> Option<u32> {
        self.array().map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
    }

    /// The next four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// What follows a one-byte length.
    pub fn prefixed_u8(&mut self) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let length = ahead.u8()?;
        let taken = ahead.take(length.into())?;
        *self = ahead;
        Some(taken)
    }

    /// What follows a two-byte length.
    pub fn prefixed_u16(&mut self) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let length = ahead.u16()?;
        let taken = ahead.take(length.into())?;
        *self = ahead;
        Some(taken)
    }
}

/// Text from the wire: UTF-8 with replacement characters, without NULs at either end and without
/// white space at its end, at most [`TEXT_BYTES_MAX`] bytes long. Control characters stay as they
/// are: whoever renders it escapes.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    let bytes = bytes.get(..TEXT_BYTES_MAX).unwrap_or(bytes);
    let text = String::from_utf8_lossy(bytes);
    let trimmed =
        text.trim_start_matches('\0').trim_end_matches(|c: char| c == '\0' || c.is_whitespace());
    let mut kept = trimmed.to_owned();
    kept.truncate(kept.floor_char_boundary(TEXT_BYTES_MAX));
    kept
}

/// Lower-case hexadecimal with colons, of at most [`TEXT_BYTES_MAX`] characters: `ff:00:1a`.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(3 * bytes.len().min(TEXT_BYTES_MAX / 3));
    for (index, byte) in bytes.iter().take(TEXT_BYTES_MAX / 3).enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{}{byte:02x}", if index == 0 { "" } else { ":" });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_in_network_order_and_stops_at_the_end() {
        let mut reader = Reader::new(&[1, 0, 2, 0, 0, 3, 0, 0, 0, 4, 2, 9, 8, 0, 1, 7]);
        assert_eq!((reader.u8(), reader.u16(), reader.u24()), (Some(1), Some(2), Some(3)));
        assert_eq!((reader.u32(), reader.at()), (Some(4), 10));
        assert_eq!(reader.prefixed_u8(), Some(&[9, 8][..]));
        assert_eq!(reader.prefixed_u16(), Some(&[7][..]));
        assert_eq!((reader.u8(), reader.is_empty(), reader.at()), (None, true, 16));
    }

    #[test]
    fn a_failed_read_consumes_nothing() {
        let mut reader = Reader::new(&[3, 1]);
        assert_eq!((reader.prefixed_u8(), reader.u32(), reader.take(3)), (None, None, None));
        assert_eq!((reader.skip(usize::MAX), reader.at(), reader.remaining()), (None, 0, 2));
    }

    #[test]
    fn text_is_trimmed_lossy_and_bounded() {
        assert_eq!(text(b"\0CT-1 \r\n\0\0"), "CT-1");
        assert_eq!(text(b"a\0b\x1b"), "a\0b\u{1b}");
        assert_eq!(text(&[b'x', 0xff]), "x\u{fffd}");
        assert!(text(&[0xff; 4000]).len() <= TEXT_BYTES_MAX);
        assert!(hex(&[0; 4000]).len() <= TEXT_BYTES_MAX);
        assert_eq!(hex(&[0xff, 0, 0x1a]), "ff:00:1a");
    }
}
