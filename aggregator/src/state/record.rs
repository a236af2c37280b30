//! The one byte form of everything that is replicated: what snapshots hold and the digest hashes.
//!
//! Little-endian, lengths as u32, options and words as one byte, maps in their own order. Reading
//! trusts nothing: whatever breaks the form is `None`, and no length is believed before its bytes are
//! there. Entities hold maps, which rkyv archives here may not; hence this form beside the wire's.

use std::collections::BTreeMap;
use std::net::IpAddr;

use wardmesh_common::id::{ClusterId, DeviceId, FindingId, MintedId, SensorId, SiteId, TenantId};
use wardmesh_common::net::{MacAddress, Transport};
use wardmesh_common::time::Timestamp;

/// Elements that are reserved before they are read: a length that lies costs no more than this.
const RESERVED_MAX: usize = 1_024;

/// A value with a byte form; every form is at least one byte long.
pub(crate) trait Record: Sized {
    /// Appends the form.
    fn write(&self, out: &mut Vec<u8>);

    /// Reads one value and moves `from` behind it; `None` where the bytes are no such value.
    fn read(from: &mut &[u8]) -> Option<Self>;
}

/// The form of a struct: its fields in this order.
macro_rules! record {
    ($type:ty { $($field:ident),* $(,)? }) => {
        impl $crate::state::record::Record for $type {
            fn write(&self, out: &mut Vec<u8>) {
                $($crate::state::record::Record::write(&self.$field, out);)*
            }

            fn read(from: &mut &[u8]) -> Option<Self> {
                Some(Self { $($field: $crate::state::record::Record::read(from)?),* })
            }
        }
    };
}

/// The form of a plain enum: its place in `ALL`.
macro_rules! coded {
    ($type:ident) => {
        impl $crate::state::record::Record for $type {
            fn write(&self, out: &mut Vec<u8>) {
                let at = Self::ALL.iter().position(|word| word == self).unwrap_or_default();
                out.push(at as u8);
            }

            fn read(from: &mut &[u8]) -> Option<Self> {
                let at: u8 = $crate::state::record::Record::read(from)?;
                Self::ALL.get(usize::from(at)).copied()
            }
        }
    };
}

/// The words of a plain enum, for the API, and their form: a byte, in the order given here.
macro_rules! words {
    ($type:ident { $($variant:ident => $word:literal),* $(,)? }) => {
        impl $type {
            /// All of them, in the order of their byte form.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word in the API and in logs.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        $crate::state::record::coded!($type);
    };
}

pub(crate) use {coded, record, words};

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Record for $type {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn read(from: &mut &[u8]) -> Option<Self> {
                let (head, rest) = from.split_first_chunk()?;
                *from = rest;
                Some(Self::from_le_bytes(*head))
            }
        }
    )*};
}

integers!(u8, u16, u32, u64, u128, i64);

/// A form that is another value's: how it is taken out, and how it is put back.
macro_rules! forms {
    ($($type:ty as $form:ty: $out:expr, $back:expr;)*) => {$(
        impl Record for $type {
            fn write(&self, out: &mut Vec<u8>) {
                let taken: fn(&Self) -> $form = $out;
                taken(self).write(out);
            }

            fn read(from: &mut &[u8]) -> Option<Self> {
                let back: fn($form) -> Option<Self> = $back;
                back(<$form>::read(from)?)
            }
        }
    )*};
}

forms! {
    bool as u8: |value| u8::from(*value), |byte| (byte < 2).then_some(byte == 1);
    Timestamp as u64: |at| at.as_nanos(), |nanos| Some(Self::from_nanos(nanos));
    MacAddress as [u8; 6]: |mac| mac.0, |bytes| Some(Self(bytes));
    SensorId as [u8; 16]: |id| id.0, |bytes| Some(Self(bytes));
    ClusterId as [u8; 16]: |id| id.0, |bytes| Some(Self(bytes));
    DeviceId as u128: |id| id.0.0, |id| Some(Self(MintedId(id)));
    FindingId as u128: |id| id.0.0, |id| Some(Self(MintedId(id)));
}

impl<const N: usize> Record for [u8; N] {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        let (head, rest) = from.split_first_chunk()?;
        *from = rest;
        Some(*head)
    }
}

/// The form of a text.
pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    (text.len() as u32).write(out);
    out.extend_from_slice(text.as_bytes());
}

impl Record for String {
    fn write(&self, out: &mut Vec<u8>) {
        write_text(self, out);
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        let length = u32::read(from)? as usize;
        let (head, rest) = from.split_at_checked(length)?;
        *from = rest;
        Some(std::str::from_utf8(head).ok()?.to_owned())
    }
}

macro_rules! names {
    ($($type:ty),*) => {$(
        impl Record for $type {
            fn write(&self, out: &mut Vec<u8>) {
                write_text(self.as_str(), out);
            }

            fn read(from: &mut &[u8]) -> Option<Self> {
                String::read(from)?.parse().ok()
            }
        }
    )*};
}

names!(TenantId, SiteId);

impl Record for IpAddr {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::V4(ip) => (4_u8, ip.octets()).write(out),
            Self::V6(ip) => (6_u8, ip.octets()).write(out),
        }
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        match u8::read(from)? {
            4 => <[u8; 4]>::read(from).map(Self::from),
            6 => <[u8; 16]>::read(from).map(Self::from),
            _ => None,
        }
    }
}

impl Record for Transport {
    fn write(&self, out: &mut Vec<u8>) {
        let (word, number) = match *self {
            Self::Link => (0_u8, 0_u8),
            Self::Tcp => (1, 0),
            Self::Udp => (2, 0),
            Self::Icmp => (3, 0),
            Self::Other(number) => (4, number),
        };
        (word, number).write(out);
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        match <(u8, u8)>::read(from)? {
            (0, 0) => Some(Self::Link),
            (1, 0) => Some(Self::Tcp),
            (2, 0) => Some(Self::Udp),
            (3, 0) => Some(Self::Icmp),
            (4, number) => Some(Self::Other(number)),
            _ => None,
        }
    }
}

impl<T: Record> Record for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.is_some().write(out);
        if let Some(value) = self {
            value.write(out);
        }
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        if bool::read(from)? { T::read(from).map(Some) } else { Some(None) }
    }
}

impl<A: Record, B: Record> Record for (A, B) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        Some((A::read(from)?, B::read(from)?))
    }
}

impl<T: Record> Record for Vec<T> {
    fn write(&self, out: &mut Vec<u8>) {
        (self.len() as u32).write(out);
        self.iter().for_each(|value| value.write(out));
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        let length = u32::read(from)? as usize;
        let mut values = Self::with_capacity(length.min(RESERVED_MAX));
        for _ in 0..length {
            values.push(T::read(from)?);
        }
        Some(values)
    }
}

impl<K: Record + Ord, V: Record> Record for BTreeMap<K, V> {
    fn write(&self, out: &mut Vec<u8>) {
        (self.len() as u32).write(out);
        for (key, value) in self {
            key.write(out);
            value.write(out);
        }
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        let length = u32::read(from)?;
        (0..length).map(|_| <(K, V)>::read(from)).collect()
    }
}
