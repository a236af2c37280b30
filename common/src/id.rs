//! Names of things: tenants, sites, sensors, nodes, and the ids that the aggregator mints.
//!
//! Minted ids are a function of replicated values only, so that every replica mints the same.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use siphasher::sip128::{Hasher128, SipHasher13};

use crate::time::Timestamp;

/// A text that is no id of the kind that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not {expected}")]
pub struct NotAnId {
    text: String,
    expected: &'static str,
}

fn not_an_id(text: &str, expected: &'static str) -> NotAnId {
    NotAnId { text: text.chars().take(80).collect(), expected }
}

/// The longest name of a tenant or site, bytes: it stays readable in a table and fits a DNS label.
pub const NAME_LENGTH_MAX: usize = 63;

/// A lower-case name: letters, digits and inner hyphens, 1 to [`NAME_LENGTH_MAX`] bytes (the grammar
/// of a DNS label, RFC 1123 section 2.1).
fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty()
        && text.len() <= NAME_LENGTH_MAX
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Eq, PartialOrd, Ord)]
        pub struct $type(Arc<str>);

        /// Most names that are held against each other are the same one, shared.
        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
            }
        }

        impl Hash for $type {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.0.hash(state);
            }
        }

        impl $type {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                let valid = is_name(text).then(|| Self(text.into()));
                valid.ok_or_else(|| not_an_id(text, $expected))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// An owner of sites whose events are never correlated with another's.
    TenantId,
    "a tenant name: lower-case letters, digits and inner hyphens, at most 63"
);
name!(
    /// A facility: a hospital, clinic or pop-up site.
    SiteId,
    "a site name: lower-case letters, digits and inner hyphens, at most 63"
);

impl TenantId {
    /// The tenant until there is a second: `default`.
    #[must_use]
    pub fn default_tenant() -> Self {
        Self("default".into())
    }
}

/// A capture agent: the UUID (RFC 9562) in its certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SensorId(pub [u8; 16]);

/// A cluster of aggregators, drawn at its init: a UUID (RFC 9562).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub [u8; 16]);

macro_rules! uuid {
    ($type:ident, $expected:literal) => {
        impl $type {
            /// Marks 16 random bytes as a UUID of version 4 (RFC 9562 section 5.4).
            #[must_use]
            pub const fn from_random(mut bytes: [u8; 16]) -> Self {
                bytes[6] = bytes[6] & 0x0f | 0x40;
                bytes[8] = bytes[8] & 0x3f | 0x80;
                Self(bytes)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                for (at, byte) in self.0.iter().enumerate() {
                    let hyphen = if matches!(at, 4 | 6 | 8 | 10) { "-" } else { "" };
                    write!(f, "{hyphen}{byte:02x}")?;
                }
                Ok(())
            }
        }

        impl FromStr for $type {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                read_uuid(text).map(Self).ok_or_else(|| not_an_id(text, $expected))
            }
        }
    };
}

uuid!(SensorId, "a sensor's UUID such as 6f2c0e9a-0f5b-4d31-9f0e-5b1d2c3a4e5f");
uuid!(ClusterId, "a cluster's UUID such as 6f2c0e9a-0f5b-4d31-9f0e-5b1d2c3a4e5f");

fn read_uuid(text: &str) -> Option<[u8; 16]> {
    let hyphens = [8, 13, 18, 23];
    if text.len() != 36 || !hyphens.iter().all(|&at| text.as_bytes()[at] == b'-') {
        return None;
    }
    let mut digits = text.bytes().enumerate().filter(|(at, _)| !hyphens.contains(at));
    let mut nibble = || (digits.next()?.1 as char).to_digit(16);
    let mut bytes = [0; 16];
    for byte in &mut bytes {
        *byte = (nibble()? << 4 | nibble()?) as u8;
    }
    Some(bytes)
}

/// An aggregator replica; lives on its volume and is never used again after its removal.
pub type NodeId = u64;

/// An id that the aggregator minted: 48 bits of milliseconds and 80 bits of keyed hash, sorted by
/// time. Its text is a ULID (Crockford base 32, 26 digits) after a prefix that names the kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MintedId(pub u128);

const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const ULID_DIGITS: usize = 26;

impl MintedId {
    /// The id of the `ordinal`-th thing that the log entry at `index` makes, at the command's time.
    #[must_use]
    pub fn mint(cluster: ClusterId, at: Timestamp, index: u64, ordinal: u32) -> Self {
        let mut hasher = SipHasher13::new_with_key(&cluster.0);
        hasher.write_u64(index);
        hasher.write_u32(ordinal);
        let low = hasher.finish128().as_u128() & ((1 << 80) - 1);
        Self(u128::from(at.as_millis() & ((1 << 48) - 1)) << 80 | low)
    }

    /// The 26 digits without a prefix.
    #[must_use]
    pub fn to_ulid(self) -> String {
        let digit = |at: usize| CROCKFORD[(self.0 >> (5 * (ULID_DIGITS - 1 - at))) as usize & 31];
        (0..ULID_DIGITS).map(|at| char::from(digit(at))).collect()
    }

    fn from_ulid(text: &str) -> Option<Self> {
        if text.len() != ULID_DIGITS || text.as_bytes()[0] > b'7' {
            return None;
        }
        text.bytes()
            .try_fold(0_u128, |value, byte| {
                let digit = CROCKFORD.iter().position(|&c| c == byte.to_ascii_uppercase())?;
                Some(value << 5 | digit as u128)
            })
            .map(Self)
    }
}

macro_rules! minted {
    ($(#[$doc:meta])* $type:ident, $prefix:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(pub MintedId);

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.to_ulid())
            }
        }

        impl FromStr for $type {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                let ulid = text.strip_prefix(concat!($prefix, "_")).and_then(MintedId::from_ulid);
                ulid.map(Self).ok_or_else(|| not_an_id(text, $expected))
            }
        }
    };
}

minted!(
    /// A device that the fleet knows.
    DeviceId, "dev", "a device id such as dev_01JGZ8K3M5N7P9Q1R3S5T7V9WX"
);
minted!(
    /// What a rule raised.
    FindingId, "fnd", "a finding id such as fnd_01JGZ8K3M5N7P9Q1R3S5T7V9WX"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels() {
        for text in ["st-jude", "a", "7-east"] {
            assert_eq!(text.parse::<SiteId>().map(|site| site.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "-a", "a-", "St Jude", "a.b", "ä", &"x".repeat(64)] {
            assert!(text.parse::<SiteId>().is_err(), "{text}");
        }
    }

    #[test]
    fn uuids_round_trip() {
        let id = SensorId::from_random([0xab; 16]);
        assert_eq!(id.to_string(), "abababab-abab-4bab-abab-abababababab");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("abababab-abab-4bab-abab-ababababababc".parse::<SensorId>().is_err());
        assert!("abababab-abab-4bab-abab-ababababab\u{e9}b".parse::<SensorId>().is_err());
    }

    #[test]
    fn minted_ids_are_the_same_on_every_replica_and_differ_by_entry() {
        let (cluster, at) = (ClusterId([7; 16]), Timestamp::from_parts(1_767_600_000, 0));
        let id = DeviceId(MintedId::mint(cluster, at, 42, 0));
        assert_eq!(id, DeviceId(MintedId::mint(cluster, at, 42, 0)));
        assert_ne!(id, DeviceId(MintedId::mint(cluster, at, 42, 1)));
        assert_ne!(id, DeviceId(MintedId::mint(cluster, at, 43, 0)));
        assert!(
            id < DeviceId(MintedId::mint(
                cluster,
                at.plus(std::time::Duration::from_secs(1)),
                1,
                0
            ))
        );
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().len(), 30);
        assert!("fnd_01JGZ8K3M5N7P9Q1R3S5T7V9WX".parse::<DeviceId>().is_err());
        assert!("dev_8ZZZZZZZZZZZZZZZZZZZZZZZZZ".parse::<DeviceId>().is_err());
    }
}
