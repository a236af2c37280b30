//! The message format of RFC 1035 section 4, which DNS and multicast DNS share.
//!
//! It reads what is there in order; what a question or a record means is its callers' matter.

use super::name::Name;
use crate::dissect::Progress;
use crate::dissect::reader::Reader;

/// Values of one key that one message may yield: more than any device announces; pointers let a
/// hostile message of 64 KiB name megabytes.
pub(in crate::dissect) const VALUES_MAX: usize = 64;

/// Where a message breaks, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dissect) struct Fault {
    /// Offset in the message.
    pub(super) at: usize,
    /// Snake case.
    pub(super) reason: &'static str,
}

impl Fault {
    /// The progress of a payload in which the message begins at `offset`.
    pub(in crate::dissect) fn after(self, offset: usize) -> Progress {
        Progress::Malformed { at: offset + self.at, reason: self.reason }
    }
}

/// RFC 1035 section 4.1.1.
#[derive(Clone, Copy, Debug)]
pub(in crate::dissect) struct Header {
    flags: u16,
    questions: u16,
    answers: u16,
    authorities: u16,
    additionals: u16,
}

impl Header {
    /// Length on the wire.
    pub(in crate::dissect) const BYTES: usize = 12;
    /// The shortest question: root, type and class.
    const QUESTION_BYTES: usize = 5;
    /// The shortest record: root, type, class, time to live and length.
    const RECORD_BYTES: usize = 11;
    /// Opcodes that IANA assigns: query, inverse query, status, notify, update, stateful
    /// operations.
    const OPCODES: [u16; 6] = [0, 1, 2, 4, 5, 6];

    /// `None` where there are fewer than [`Self::BYTES`].
    pub(in crate::dissect) fn read(message: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(message);
        reader.skip(2)?;
        Some(Self {
            flags: reader.u16()?,
            questions: reader.u16()?,
            answers: reader.u16()?,
            authorities: reader.u16()?,
            additionals: reader.u16()?,
        })
    }

    /// QR is set.
    pub(in crate::dissect) fn is_response(&self) -> bool {
        self.flags & 0x8000 != 0
    }

    /// A standard query: neither a response nor an operation on a zone.
    pub(in crate::dissect) fn is_query(&self) -> bool {
        !self.is_response() && self.opcode() == 0
    }

    /// Number of records that answer the question.
    pub(in crate::dissect) fn answers(&self) -> usize {
        self.answers.into()
    }

    /// Number of records of all three sections.
    pub(in crate::dissect) fn records(&self) -> usize {
        self.answers() + usize::from(self.authorities) + usize::from(self.additionals)
    }

    /// Whether a message of `length` bytes could have this header: a known opcode, a reserved bit
    /// that is clear, something in it, and room for what it counts.
    pub(in crate::dissect) fn is_plausible(&self, length: usize) -> bool {
        let questions = usize::from(self.questions);
        let least =
            Self::BYTES + questions * Self::QUESTION_BYTES + self.records() * Self::RECORD_BYTES;
        self.has_known_opcode()
            && self.flags & 0x0040 == 0
            && questions + self.records() > 0
            && least <= length
    }

    /// Whether the opcode is one of [`Self::OPCODES`].
    pub(super) fn has_known_opcode(&self) -> bool {
        Self::OPCODES.contains(&self.opcode())
    }

    /// One question; and a query has no answer and no error.
    pub(super) fn is_ordinary(&self) -> bool {
        let is_clean = self.is_response() || (self.answers == 0 && self.flags & 0x000f == 0);
        self.questions == 1 && is_clean
    }

    fn opcode(&self) -> u16 {
        self.flags >> 11 & 0xf
    }
}

/// RFC 1035 section 4.1.2.
#[derive(Clone, Debug)]
pub(in crate::dissect) struct Question<'a> {
    /// What is asked for.
    pub(in crate::dissect) name: Name<'a>,
    class: u16,
}

impl Question<'_> {
    /// IN, CH, HS, NONE or ANY (IANA).
    pub(super) fn has_known_class(&self) -> bool {
        matches!(self.class, 1 | 3 | 4 | 254 | 255)
    }
}

/// RFC 1035 section 4.1.3, without its time to live.
#[derive(Clone, Debug)]
pub(in crate::dissect) struct Record<'a> {
    /// Whose record it is.
    pub(in crate::dissect) owner: Name<'a>,
    /// Its type: 12 is PTR.
    pub(in crate::dissect) kind: u16,
    /// Its value.
    pub(in crate::dissect) value: &'a [u8],
    /// Offset of its value in the message.
    at: usize,
}

/// Reads a message's sections in order.
#[derive(Clone, Copy, Debug)]
pub(in crate::dissect) struct Cursor<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Starts at the first question.
    pub(in crate::dissect) const fn after_header(message: &'a [u8]) -> Self {
        Self { message, at: Header::BYTES }
    }

    /// Whether nothing is left.
    pub(super) const fn is_at_end(&self) -> bool {
        self.at >= self.message.len()
    }

    /// Reads the question section and shows each question.
    pub(in crate::dissect) fn questions(
        &mut self,
        header: &Header,
        mut see: impl FnMut(Question<'a>),
    ) -> Result<(), Fault> {
        for _ in 0..header.questions {
            see(self.question()?);
        }
        Ok(())
    }

    /// Reads one question.
    pub(super) fn question(&mut self) -> Result<Question<'a>, Fault> {
        let name = self.name()?;
        let mut reader = self.reader();
        let cut_short = Fault { at: self.at, reason: "question_cut_short" };
        reader.skip(2).ok_or(cut_short)?;
        let class = reader.u16().ok_or(cut_short)?;
        self.at += reader.at();
        Ok(Question { name, class })
    }

    /// Reads one record.
    pub(in crate::dissect) fn record(&mut self) -> Result<Record<'a>, Fault> {
        let owner = self.name()?;
        let mut reader = self.reader();
        let cut_short = Fault { at: self.at, reason: "record_cut_short" };
        let kind = reader.u16().ok_or(cut_short)?;
        reader.skip(6).ok_or(cut_short)?;
        let value = reader.prefixed_u16().ok_or(cut_short)?;
        self.at += reader.at();
        Ok(Record { owner, kind, value, at: self.at - value.len() })
    }

    /// The name in a record's value, `skip` bytes into it.
    pub(in crate::dissect) fn name_in(
        &self,
        record: &Record<'a>,
        skip: usize,
    ) -> Result<Name<'a>, Fault> {
        let (name, end) = Name::read(self.message, record.at + skip)?;
        if end > record.at + record.value.len() {
            return Err(Fault { at: record.at, reason: "name_beyond_record" });
        }
        Ok(name)
    }

    fn name(&mut self) -> Result<Name<'a>, Fault> {
        let (name, end) = Name::read(self.message, self.at)?;
        self.at = end;
        Ok(name)
    }

    fn reader(&self) -> Reader<'a> {
        Reader::new(self.message.get(self.at..).unwrap_or_default())
    }
}
