//! Capture files: pcap and pcapng, plain or gzip, read as a stream in bounded memory.
//!
//! A damaged tail is no error: all frames before it are given, then one [`Truncated`] says so.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use wardmesh_common::time::Timestamp;

use super::pcap::{FILE_HEADER_BYTES, Pcap};
use super::pcapng::PcapNg;
use super::source::Source;
use super::{Frame, LinkType};

/// The largest snap length that capture tools write (libpcap's MAXIMUM_SNAPLEN); a record that
/// claims more is a broken one.
pub const FRAME_BYTES_MAX: usize = 262_144;

/// How many bytes of a file that is none an error message shows.
const SHOWN_BYTES: usize = 4;

/// A file that cannot be read as a capture at all.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The file cannot be opened, or its first bytes not be read.
    #[error("{}: cannot be read: {cause}; check the path and its permissions", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the operating system answered; the message has it, so it is no source beside.
        cause: io::Error,
    },
    /// The file holds something else.
    #[error("{}: not a capture: {cause}; expected pcap, pcapng or gzip of one", path.display())]
    NotACapture {
        /// Which file.
        path: PathBuf,
        /// What it holds instead.
        cause: String,
    },
}

impl CaptureError {
    /// Tells what the operating system refused from what the gzip stream (RFC 1952) lacks.
    fn at_open(path: &Path, error: io::Error) -> Self {
        let path = path.to_owned();
        let cause = match error.kind() {
            io::ErrorKind::UnexpectedEof => "its gzip stream is cut short".to_owned(),
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                format!("its gzip stream is damaged: {error}")
            }
            _ => return Self::Unreadable { path, cause: error },
        };
        Self::NotACapture { path, cause }
    }
}

/// A capture whose tail is cut short or damaged. A warning: the frames before it are good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: ends early after {frames} frames: {reason}; what was read is kept", path.display())]
pub struct Truncated {
    /// Which file.
    pub path: PathBuf,
    /// How many frames were read before.
    pub frames: u64,
    /// What is wrong with the rest.
    pub reason: String,
}

/// What ends a capture before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Defect {
    #[error("the file ends inside {0}")]
    EndsInside(&'static str),
    #[error("{what} claims {bytes} bytes, more than any capture tool writes")]
    TooLong { what: &'static str, bytes: usize },
    #[error("{0}")]
    Broken(&'static str),
    #[error("{0}")]
    Read(#[from] io::Error),
}

/// A frame by where it lies in the source's buffer.
#[derive(Debug)]
pub(super) struct Located {
    pub(super) at: Timestamp,
    pub(super) interface: u16,
    pub(super) link: LinkType,
    pub(super) bytes: Range<usize>,
    pub(super) wire_length: u32,
}

enum Format {
    Pcap(Pcap),
    PcapNg(PcapNg),
}

/// An open capture; memory stays below two megabytes whatever the file holds.
pub struct CaptureFile {
    path: PathBuf,
    source: Source,
    format: Format,
    frames: u64,
    ended: bool,
}

impl CaptureFile {
    /// Opens a capture and reads its first header.
    ///
    /// # Errors
    /// [`CaptureError`] where the file cannot be read or is no capture.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let opened = Source::open(path).and_then(|mut source| {
            let format = Format::of(&mut source)?;
            Ok((source, format))
        });
        match opened {
            Ok((source, Some(format))) => {
                Ok(Self { path: path.to_owned(), source, format, frames: 0, ended: false })
            }
            Ok((source, None)) => {
                let cause = describe(source.ahead());
                Err(CaptureError::NotACapture { path: path.to_owned(), cause })
            }
            Err(cause) => Err(CaptureError::at_open(path, cause)),
        }
    }

    /// The next frame, borrowed until the one after is asked for; `None` at the end.
    ///
    /// # Errors
    /// [`Truncated`], once, where the rest of the file is missing or damaged; `None` after that.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, Truncated> {
        if self.ended {
            return Ok(None);
        }
        let found = match &mut self.format {
            Format::Pcap(pcap) => pcap.next(&mut self.source),
            Format::PcapNg(pcapng) => pcapng.next(&mut self.source),
        };
        match found {
            Ok(Some(found)) => {
                self.frames += 1;
                Ok(Some(found.in_source(&self.source)))
            }
            Ok(None) => {
                self.ended = true;
                Ok(None)
            }
            Err(defect) => {
                self.ended = true;
                let (path, reason) = (self.path.clone(), defect.to_string());
                Err(Truncated { path, frames: self.frames, reason })
            }
        }
    }

    /// How many frames were read so far.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }
}

impl Format {
    fn of(source: &mut Source) -> io::Result<Option<Self>> {
        if let Some(pcapng) = PcapNg::open(source)? {
            return Ok(Some(Self::PcapNg(pcapng)));
        }
        Ok(Pcap::open(source)?.map(Self::Pcap))
    }
}

impl Located {
    fn in_source(self, source: &Source) -> Frame<'_> {
        let Self { at, interface, link, bytes, wire_length } = self;
        Frame { at, interface, link, bytes: source.bytes(bytes), wire_length }
    }
}

fn describe(begin: &[u8]) -> String {
    if begin.is_empty() {
        return "it is empty".to_owned();
    }
    let shown: Vec<_> = begin.iter().take(SHOWN_BYTES).map(|byte| format!("{byte:02x}")).collect();
    let shown = shown.join(" ");
    match begin.len() {
        length @ ..FILE_HEADER_BYTES => {
            format!("it begins with {shown} and ends after {length} bytes")
        }
        _ => format!("it begins with {shown}"),
    }
}
