//! Headers off the front of a slice: the one place where decoding checks lengths.

use wardmesh_common::net::MacAddress;

use super::Malformed;

/// Splits a fixed header off; `header_cut_short` of `protocol` where the bytes end inside it.
pub(super) fn header<'a, const N: usize>(
    bytes: &'a [u8],
    protocol: &'static str,
) -> Result<(&'a [u8; N], &'a [u8]), Malformed> {
    bytes.split_first_chunk().ok_or(malformed(protocol, "header_cut_short"))
}

/// Splits `length` bytes off; `header_cut_short` of `protocol` where there are fewer.
pub(super) fn split<'a>(
    bytes: &'a [u8],
    length: usize,
    protocol: &'static str,
) -> Result<(&'a [u8], &'a [u8]), Malformed> {
    bytes.split_at_checked(length).ok_or(malformed(protocol, "header_cut_short"))
}

/// The first `length` bytes, or all where there are fewer.
pub(super) fn at_most(bytes: &[u8], length: usize) -> &[u8] {
    bytes.get(..length).unwrap_or(bytes)
}

pub(super) const fn malformed(protocol: &'static str, reason: &'static str) -> Malformed {
    Malformed { protocol, reason }
}

/// The address of a station; all zeros, as loopback devices have it, is none.
pub(super) fn station(address: [u8; 6]) -> Option<MacAddress> {
    (address != [0; 6]).then_some(MacAddress(address))
}
