//! Addresses and names of the network as values: MAC addresses, VLANs, transports.

use std::fmt::{self, Write as _};
use std::str::FromStr;

/// An IEEE 802 48-bit MAC address (EUI-48), in wire order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// `ff:ff:ff:ff:ff:ff`.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Whether the address is one station's: the group bit (IEEE 802 section 8.2.2) is clear and the
    /// address is not all zeros.
    #[must_use]
    pub const fn is_unicast(self) -> bool {
        self.0[0] & 1 == 0 && !matches!(self.0, [0, 0, 0, 0, 0, 0])
    }

    /// Whether the address is locally administered (U/L bit set), as randomised ones are.
    #[must_use]
    pub const fn is_local(self) -> bool {
        self.0[0] & 2 != 0
    }
}

/// Lower-case hexadecimal with colons: `00:09:fb:12:34:56`.
impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: [char; 16] =
            ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
        // Digit by digit: every event has addresses, and format strings take ten times as long.
        for (place, byte) in self.0.into_iter().enumerate() {
            if place > 0 {
                f.write_char(':')?;
            }
            f.write_char(DIGITS[usize::from(byte >> 4)])?;
            f.write_char(DIGITS[usize::from(byte & 15)])?;
        }
        Ok(())
    }
}

/// A text that is no MAC address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a MAC address such as 00:09:fb:12:34:56")]
pub struct NotAMac(String);

/// Reads twelve hexadecimal digits with `:`, `-`, `.` or nothing between them.
impl FromStr for MacAddress {
    type Err = NotAMac;

    fn from_str(text: &str) -> Result<Self, NotAMac> {
        let error = || NotAMac(text.to_owned());
        let mut digits = Vec::with_capacity(12);
        for character in text.chars().filter(|c| !matches!(c, ':' | '-' | '.')) {
            digits.push(character.to_digit(16).ok_or_else(error)? as u8);
        }
        let digits: [u8; 12] = digits.try_into().map_err(|_| error())?;
        Ok(Self(std::array::from_fn(|byte| digits[2 * byte] << 4 | digits[2 * byte + 1])))
    }
}

/// What carries a service: the IP protocol, or the link itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Frames without IP (ARP, LLDP).
    Link,
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
    /// RFC 792 and RFC 4443.
    Icmp,
    /// Any other IP protocol, by its IANA number.
    Other(u8),
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link => f.write_str("link"),
            Self::Tcp => f.write_str("tcp"),
            Self::Udp => f.write_str("udp"),
            Self::Icmp => f.write_str("icmp"),
            Self::Other(number) => write!(f, "ip-{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_usual_spellings() {
        let mac = MacAddress([0, 9, 0xfb, 0x12, 0x34, 0x56]);
        for text in ["00:09:fb:12:34:56", "00-09-FB-12-34-56", "0009.fb12.3456", "0009FB123456"] {
            assert_eq!(text.parse(), Ok(mac));
        }
        assert_eq!(mac.to_string(), "00:09:fb:12:34:56");
        for text in ["", "00:09:fb:12:34", "00:09:fb:12:34:5g", "00:09:fb:12:34:56:78"] {
            assert!(text.parse::<MacAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn knows_group_and_local_addresses() {
        assert!(!MacAddress::BROADCAST.is_unicast());
        assert!(!MacAddress::default().is_unicast());
        assert!(MacAddress([2, 0, 0, 0, 0, 1]).is_local());
        assert!(MacAddress([0, 0, 0, 0, 0, 1]).is_unicast());
    }
}
