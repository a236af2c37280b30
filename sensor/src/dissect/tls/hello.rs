//! A ClientHello's fields (RFC 8446 section 4.1.2) as they stand on the wire.
//!
//! Borrowed and uninterpreted; an extension whose body breaks its grammar counts as empty.

use crate::dissect::reader::Reader;

/// Names kept of one ALPN list: clients offer two or three.
const PROTOCOLS_MAX: usize = 32;

/// What identifies a client in its hello.
#[derive(Debug, Default)]
pub(super) struct ClientHello<'a> {
    /// `legacy_version`.
    pub(super) version: u16,
    /// Cipher suites in wire order, GREASE included.
    pub(super) ciphers: Vec<u16>,
    /// Extension types in wire order, GREASE included.
    pub(super) extensions: Vec<u16>,
    /// The first `host_name` of `server_name` (RFC 6066 section 3).
    pub(super) server_name: Option<&'a [u8]>,
    /// Protocol names of ALPN (RFC 7301 section 3.1) in wire order.
    pub(super) protocols: Vec<&'a [u8]>,
    /// `supported_versions` (RFC 8446 section 4.2.1) in wire order.
    pub(super) versions: Vec<u16>,
    /// `signature_algorithms` (RFC 8446 section 4.2.3) in wire order.
    pub(super) signature_algorithms: Vec<u16>,
}

impl<'a> ClientHello<'a> {
    /// Reads the body of a client_hello; `None` where it is shorter than its lengths say or offers
    /// no cipher suite, which its grammar forbids.
    pub(super) fn read(body: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        let version = reader.u16()?;
        reader.skip(32)?;
        reader.prefixed_u8()?;
        let ciphers = numbers(reader.prefixed_u16()?);
        if ciphers.is_empty() {
            return None;
        }
        reader.prefixed_u8()?;
        let mut hello = Self { version, ciphers, ..Self::default() };
        // Hellos of TLS 1.2 and before may have no extensions at all (RFC 5246 section 7.4.1.2).
        if !reader.is_empty() {
            hello.read_extensions(reader.prefixed_u16()?)?;
        }
        Some(hello)
    }

    fn read_extensions(&mut self, bytes: &'a [u8]) -> Option<()> {
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            let kind = reader.u16()?;
            let body = reader.prefixed_u16()?;
            self.extensions.push(kind);
            match kind {
                0x0000 => self.server_name = host_name(body),
                0x000d => self.signature_algorithms = list_u16(body),
                0x0010 => self.protocols = names(body),
                0x002b => {
                    let versions = Reader::new(body).prefixed_u8();
                    self.versions = versions.map(numbers).unwrap_or_default();
                }
                _ => {}
            }
        }
        Some(())
    }
}

fn host_name(body: &[u8]) -> Option<&[u8]> {
    let mut list = Reader::new(Reader::new(body).prefixed_u16()?);
    while let Some(kind) = list.u8() {
        let name = list.prefixed_u16()?;
        if kind == 0 {
            return Some(name);
        }
    }
    None
}

fn names(body: &[u8]) -> Vec<&[u8]> {
    let mut list = Reader::new(Reader::new(body).prefixed_u16().unwrap_or_default());
    std::iter::from_fn(|| list.prefixed_u8()).take(PROTOCOLS_MAX).collect()
}

fn list_u16(body: &[u8]) -> Vec<u16> {
    Reader::new(body).prefixed_u16().map(numbers).unwrap_or_default()
}

fn numbers(bytes: &[u8]) -> Vec<u16> {
    let mut reader = Reader::new(bytes);
    std::iter::from_fn(|| reader.u16()).collect()
}
