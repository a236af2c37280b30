//! The variable fields of A-ASSOCIATE-RQ and -AC (PS3.8 tables 9-11 to 9-18, annex D): allow-listed
//! items, everything else passed over. User identity (item 58) is never read.

use crate::dissect::reader::{Reader, text};

/// Protocol version, titles and reserved bytes that come before the items.
pub(super) const FIXED_BYTES: usize = 68;

/// The item that comes first: the application context (PS3.8 section 9.3.2.1).
pub(super) const APPLICATION_CONTEXT: u8 = 0x10;

/// Abstract syntaxes kept of one association: context ids are odd bytes, so there cannot be more.
const CONTEXTS_MAX: usize = 128;

/// Bytes of a UID (PS3.5 section 9).
const UID_BYTES_MAX: usize = 64;

const PRESENTATION_CONTEXT_RQ: u8 = 0x20;
const ABSTRACT_SYNTAX: u8 = 0x30;
const USER_INFORMATION: u8 = 0x50;
const IMPLEMENTATION_CLASS_UID: u8 = 0x52;
const IMPLEMENTATION_VERSION_NAME: u8 = 0x55;

/// What an association PDU says of the two ends; a text that is absent is empty.
#[derive(Debug, Default)]
pub(super) struct Association {
    /// Calling AE title, without its padding.
    pub(super) calling: String,
    /// Called AE title, without its padding.
    pub(super) called: String,
    /// Abstract syntaxes in wire order; none in an acceptance.
    pub(super) abstract_syntaxes: Vec<String>,
    /// Implementation class UID of the sender.
    pub(super) class_uid: String,
    /// Implementation version name of the sender.
    pub(super) version_name: String,
}

impl Association {
    /// Reads what follows the PDU's header; `None` where it is shorter than its lengths say.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        reader.skip(4)?;
        let called = title(reader.take(16)?);
        let calling = title(reader.take(16)?);
        reader.skip(32)?;
        let mut association = Self { calling, called, ..Self::default() };
        while !reader.is_empty() {
            let (kind, item) = next_item(&mut reader)?;
            match kind {
                PRESENTATION_CONTEXT_RQ => association.read_context(item)?,
                USER_INFORMATION => association.read_user(item)?,
                _ => {}
            }
        }
        Some(association)
    }

    fn read_context(&mut self, item: &[u8]) -> Option<()> {
        let mut reader = Reader::new(item);
        reader.skip(4)?;
        while !reader.is_empty() {
            let (kind, value) = next_item(&mut reader)?;
            if kind == ABSTRACT_SYNTAX && self.abstract_syntaxes.len() < CONTEXTS_MAX {
                self.abstract_syntaxes.extend(uid(value));
            }
        }
        Some(())
    }

    fn read_user(&mut self, item: &[u8]) -> Option<()> {
        let mut reader = Reader::new(item);
        while !reader.is_empty() {
            let (kind, value) = next_item(&mut reader)?;
            match kind {
                IMPLEMENTATION_CLASS_UID => self.class_uid = uid(value).unwrap_or_default(),
                IMPLEMENTATION_VERSION_NAME => self.version_name = title(value),
                _ => {}
            }
        }
        Some(())
    }
}

/// An item's type and body: type, a reserved byte, a 16-bit length.
fn next_item<'a>(reader: &mut Reader<'a>) -> Option<(u8, &'a [u8])> {
    let kind = reader.u8()?;
    reader.skip(1)?;
    Some((kind, reader.prefixed_u16()?))
}

/// Leading and trailing spaces of a title do not count (PS3.8 table 9-11); some pad with NUL.
fn title(bytes: &[u8]) -> String {
    text(bytes).trim_matches([' ', '\0']).to_owned()
}

/// A UID without its padding; `None` where it is none.
fn uid(bytes: &[u8]) -> Option<String> {
    let uid = text(bytes);
    let is_uid = uid.len() <= UID_BYTES_MAX
        && !uid.is_empty()
        && uid.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit());
    is_uid.then_some(uid)
}
