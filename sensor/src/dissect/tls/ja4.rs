//! The JA4 TLS client fingerprint of FoxIO, by its text specification (BSD-3-Clause).
//!
//! `t13d1516h2_8daaf6152771_e5627efa2ab1`: transport, version, SNI, counts and ALPN; a hash of the
//! sorted ciphers; a hash of the sorted extensions and the signature algorithms. Nothing else of the
//! JA4+ family belongs here: its licence differs.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::hello::ClientHello;

/// What stands for the hash of an empty list.
const EMPTY: &str = "000000000000";

/// The largest count that two digits can show.
const COUNT_MAX: usize = 99;

/// The extension `server_name`, which the first part shows already.
const SERVER_NAME: u16 = 0x0000;

/// The extension ALPN, which the first part shows already.
const ALPN: u16 = 0x0010;

/// The fingerprint of a hello that came over TCP.
pub(super) fn fingerprint(hello: &ClientHello<'_>) -> String {
    let ciphers = without_grease(&hello.ciphers);
    let extensions = without_grease(&hello.extensions);
    let name = if extensions.contains(&SERVER_NAME) { 'd' } else { 'i' };
    let [first, last] = protocol(hello);
    format!(
        "t{}{name}{:02}{:02}{first}{last}_{}_{}",
        version(hello),
        ciphers.len().min(COUNT_MAX),
        extensions.len().min(COUNT_MAX),
        hash(&sorted(ciphers)),
        hash(&extension_list(extensions, &without_grease(&hello.signature_algorithms))),
    )
}

/// The version's two characters: the highest of `supported_versions`, else the legacy one.
fn version(hello: &ClientHello<'_>) -> &'static str {
    let offered = without_grease(&hello.versions).into_iter().max();
    match offered.unwrap_or(hello.version) {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        _ => "00",
    }
}

/// First and last character of the first ALPN value.
///
/// The specification's text wants the outer hexadecimal digits where one of the two is not
/// alphanumeric; FoxIO's published vectors and all three of its programs write `99` where the first
/// byte is not ASCII, and so do we: a fingerprint exists to be compared.
fn protocol(hello: &ClientHello<'_>) -> [char; 2] {
    let mut values = hello.protocols.iter().filter(|value| !is_grease_name(value));
    let Some((&first, &last)) = values.next().and_then(|v| v.first().zip(v.last())) else {
        return ['0', '0'];
    };
    if !first.is_ascii() {
        return ['9', '9'];
    }
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [first.into(), last.into()];
    }
    let digit = |nibble: u8| char::from_digit(u32::from(nibble & 0xf), 16).unwrap_or('0');
    [digit(first >> 4), digit(last)]
}

fn extension_list(mut extensions: Vec<u16>, algorithms: &[u16]) -> String {
    extensions.retain(|kind| !matches!(*kind, SERVER_NAME | ALPN));
    let mut list = sorted(extensions);
    if !algorithms.is_empty() {
        list.push('_');
        list.push_str(&joined(algorithms));
    }
    list
}

fn sorted(mut numbers: Vec<u16>) -> String {
    numbers.sort_unstable();
    joined(&numbers)
}

/// `002f,0035`.
fn joined(numbers: &[u16]) -> String {
    let mut list = String::with_capacity(5 * numbers.len());
    for (index, number) in numbers.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(list, "{}{number:04x}", if index == 0 { "" } else { "," });
    }
    list
}

/// The first twelve hexadecimal digits of the list's SHA-256.
fn hash(list: &str) -> String {
    if list.is_empty() {
        return EMPTY.to_owned();
    }
    let mut shown = String::with_capacity(EMPTY.len());
    for byte in Sha256::digest(list.as_bytes()).iter().take(EMPTY.len() / 2) {
        let _ = write!(shown, "{byte:02x}");
    }
    shown
}

fn without_grease(numbers: &[u16]) -> Vec<u16> {
    numbers.iter().copied().filter(|number| !is_grease(*number)).collect()
}

/// Values that clients send to keep servers tolerant (RFC 8701 section 2).
fn is_grease(number: u16) -> bool {
    number & 0x0f0f == 0x0a0a && number >> 8 == number & 0xff
}

fn is_grease_name(name: &[u8]) -> bool {
    matches!(name, [a, b] if is_grease(u16::from_be_bytes([*a, *b])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(hello: &ClientHello<'_>, expect: &str) {
        assert_eq!(fingerprint(hello), expect);
    }

    /// The example of the specification's text.
    fn example() -> ClientHello<'static> {
        ClientHello {
            version: 0x0303,
            ciphers: vec![
                0xdada, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8,
                0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035,
            ],
            extensions: vec![
                0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023,
                0x0012, 0x002b, 0xff01, 0x000b, 0x000a, 0x0015, 0x3a3a,
            ],
            server_name: None,
            protocols: vec![b"h2", b"http/1.1"],
            versions: vec![0x9a9a, 0x0304, 0x0303],
            signature_algorithms: vec![
                0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601,
            ],
        }
    }

    #[test]
    fn the_specified_example() {
        check(&example(), "t13d1516h2_8daaf6152771_e5627efa2ab1");
        check(&ClientHello::default(), "t00i000000_000000000000_000000000000");
    }

    #[test]
    fn alpn_characters() {
        let cases: [(&[u8], &str); 9] = [
            (b"h2", "h2"),
            (b"http/1.1", "h1"),
            (b"x", "xx"),
            (b"", "00"),
            (&[0xba, 0xad], "99"),
            (&[0x30, 0xab], "3b"),
            (&[0x30, 0x31, 0xab, 0xcd], "3d"),
            (&[0x2f, 0x31], "21"),
            (&[0x5a, 0x5a], "00"),
        ];
        for (name, expect) in cases {
            let hello = ClientHello { protocols: vec![name], ..ClientHello::default() };
            assert_eq!(protocol(&hello).iter().collect::<String>(), expect, "{name:?}");
        }
    }

    #[test]
    fn counts_stop_at_two_digits_and_versions_have_two_characters() {
        let hello = ClientHello { ciphers: vec![5; 300], version: 0x0300, ..example() };
        assert!(fingerprint(&hello).starts_with("t13d9916h2_"));
        let hello = ClientHello { versions: vec![], version: 0x0300, ..example() };
        assert!(fingerprint(&hello).starts_with("ts3d1516h2_"));
        let hello = ClientHello { versions: vec![0x7f1c, 0x0303], ..example() };
        assert!(fingerprint(&hello).starts_with("t00d1516h2_"));
    }
}
