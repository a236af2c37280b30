//! The bytes of a capture, plain or gzip, through one buffer of bounded size.
//!
//! The buffer is filled up to what a caller asks for and never more than [`BUFFER_BYTES_MAX`];
//! what was consumed stays readable by its range until the next fill.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::ops::Range;
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

/// One packet block of the largest frame with half a megabyte of options; larger ones are refused
/// before anything is allocated for them.
pub(super) const BUFFER_BYTES_MAX: usize = 1 << 20;

/// Few system calls for a stream of small frames, and small enough to stay in cache.
const READ_BYTES: usize = 128 << 10;

/// The two bytes that begin a gzip member (RFC 1952 section 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A stream of bytes with a window that can be parsed in place.
pub(super) struct Source {
    reader: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    held: Range<usize>,
    ended: bool,
}

impl Source {
    /// Opens a file; gzip (RFC 1952) is expanded as it is read.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = BufReader::with_capacity(READ_BYTES, File::open(path)?);
        let gzip = file.fill_buf()?.starts_with(&GZIP_MAGIC);
        Ok(match gzip {
            true => Self::new(Box::new(MultiGzDecoder::new(file))),
            // What was looked at, then the file itself: two buffers would copy each byte twice.
            false => {
                let begin = Cursor::new(file.buffer().to_vec());
                Self::new(Box::new(begin.chain(file.into_inner())))
            }
        })
    }

    pub(super) fn new(reader: Box<dyn Read + Send>) -> Self {
        Self { reader, buffer: vec![0; READ_BYTES], held: 0..0, ended: false }
    }

    /// Reads until `wanted` bytes are held; false where the stream ends before.
    ///
    /// # Errors
    /// What the reader answered; `InvalidInput` for more than [`BUFFER_BYTES_MAX`].
    pub(super) fn fill(&mut self, wanted: usize) -> io::Result<bool> {
        if self.held.len() >= wanted {
            return Ok(true);
        }
        if wanted > BUFFER_BYTES_MAX {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        self.make_room(wanted);
        while self.held.len() < wanted && !self.ended {
            let room = self.buffer.get_mut(self.held.end..).unwrap_or_default();
            match self.reader.read(room) {
                Ok(0) => self.ended = true,
                Ok(count) => self.held.end += count.min(room.len()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.held.len() >= wanted)
    }

    fn make_room(&mut self, wanted: usize) {
        self.buffer.copy_within(self.held.clone(), 0);
        self.held = 0..self.held.len();
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
    }

    /// What is held and not consumed.
    pub(super) fn ahead(&self) -> &[u8] {
        self.bytes(self.held.clone())
    }

    /// Consumes up to `count` held bytes; they stay readable by the range until the next fill.
    pub(super) fn consume(&mut self, count: usize) -> Range<usize> {
        let from = self.held.start;
        self.held.start += count.min(self.held.len());
        from..self.held.start
    }

    /// Passes over `count` bytes of the stream without holding them; false where it ends before.
    pub(super) fn skip(&mut self, mut count: usize) -> io::Result<bool> {
        while count > 0 {
            if !self.fill(1)? {
                return Ok(false);
            }
            count -= self.consume(count).len();
        }
        Ok(true)
    }

    /// The bytes of a range that [`Source::consume`] gave; empty where it is out of date.
    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.buffer.get(range).unwrap_or_default()
    }
}

/// The 32-bit number at an offset, in the byte order that the file (or section) has.
pub(super) fn word(bytes: &[u8], at: usize, big_endian: bool) -> Option<u32> {
    let field = *bytes.get(at..)?.first_chunk()?;
    Some(if big_endian { u32::from_be_bytes(field) } else { u32::from_le_bytes(field) })
}
