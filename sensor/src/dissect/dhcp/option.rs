//! DHCP options: found in up to three fields and joined where they are split.
//!
//! It knows the options' framing and lengths, not what they mean.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::ops::Range;

use crate::dissect::reader::Reader;

/// RFC 2132 section 3.14.
pub(super) const HOST_NAME: u8 = 12;
/// RFC 2132 section 9.1.
pub(super) const REQUESTED_IP: u8 = 50;
/// RFC 2132 section 9.3: options continue in `file` (1), `sname` (2) or both (3).
const OVERLOAD: u8 = 52;
/// RFC 2132 section 9.6.
pub(super) const MESSAGE_TYPE: u8 = 53;
/// RFC 2132 section 9.7.
pub(super) const SERVER_ID: u8 = 54;
/// RFC 2132 section 9.8.
pub(super) const PARAMETERS: u8 = 55;
/// RFC 2132 section 9.13.
pub(super) const VENDOR_CLASS: u8 = 60;
/// RFC 2132 section 9.14.
pub(super) const CLIENT_ID: u8 = 61;
/// RFC 3004.
pub(super) const USER_CLASS: u8 = 77;
/// RFC 4702.
pub(super) const FQDN: u8 = 81;
/// RFC 8520 section 10.
pub(super) const MUD_URL: u8 = 161;

const PAD: u8 = 0;
const END: u8 = 255;

/// Where `sname` lies in the message (RFC 2131 figure 1).
const SNAME: Range<usize> = 44..108;
/// Where `file` lies.
const FILE: Range<usize> = 108..236;
/// Where the options field begins, after the cookie.
const FIELD_AT: usize = 240;

/// Options whose value has one length only, with that length and what to call a breach.
const LENGTHS: [(u8, usize, &str); 4] = [
    (MESSAGE_TYPE, 1, "message_type_length"),
    (OVERLOAD, 1, "overload_length"),
    (SERVER_ID, 4, "server_id_length"),
    (REQUESTED_IP, 4, "requested_ip_length"),
];

/// Where a message's options break, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Offset in the message.
    pub(super) at: usize,
    /// Snake case.
    pub(super) reason: &'static str,
}

/// The options of a message by code; parts of one option are joined (RFC 3396).
#[derive(Debug, Default)]
pub(super) struct Options(BTreeMap<u8, Vec<u8>>);

impl Options {
    /// All options up to the first fault, in the order of RFC 3396 section 5: the options field,
    /// then `file`, then `sname`.
    pub(super) fn read(message: &[u8]) -> (Self, Option<Fault>) {
        let mut options = Self::default();
        let fault = options.read_fields(message).err();
        (options, fault)
    }

    /// The value of an option that has one byte.
    pub(super) fn byte(&self, code: u8) -> Option<u8> {
        self.bytes(code)?.first().copied()
    }

    /// The value of an option that is one IPv4 address.
    pub(super) fn address(&self, code: u8) -> Option<Ipv4Addr> {
        self.bytes(code)?.first_chunk::<4>().map(|octets| Ipv4Addr::from(*octets))
    }

    /// The joined value of an option.
    pub(super) fn bytes(&self, code: u8) -> Option<&[u8]> {
        self.0.get(&code).map(Vec::as_slice)
    }

    fn read_fields(&mut self, message: &[u8]) -> Result<(), Fault> {
        self.read_field(message, FIELD_AT..message.len())?;
        let overload = self.byte(OVERLOAD).unwrap_or(0);
        for (bit, field) in [(1, FILE), (2, SNAME)] {
            if overload & bit != 0 {
                self.read_field(message, field)?;
            }
        }
        Ok(())
    }

    /// A field without its end option is read to where it ends: some clients leave that out.
    fn read_field(&mut self, message: &[u8], field: Range<usize>) -> Result<(), Fault> {
        let start = field.start;
        let mut reader = Reader::new(message.get(field).unwrap_or_default());
        loop {
            let at = start + reader.at();
            match reader.u8() {
                None | Some(END) => return Ok(()),
                Some(PAD) => {}
                Some(code) => {
                    let cut_short = Fault { at, reason: "option_cut_short" };
                    let value = reader.prefixed_u8().ok_or(cut_short)?;
                    self.join(code, value, at)?;
                }
            }
        }
    }

    fn join(&mut self, code: u8, value: &[u8], at: usize) -> Result<(), Fault> {
        let fixed = LENGTHS.iter().find(|(fixed, ..)| *fixed == code);
        if let Some((_, length, reason)) = fixed
            && value.len() != *length
        {
            return Err(Fault { at, reason });
        }
        let joined = self.0.entry(code).or_default();
        // An option of fixed length that comes again is not a part: the first one counts.
        if fixed.is_none() || joined.is_empty() {
            joined.extend_from_slice(value);
        }
        Ok(())
    }
}
