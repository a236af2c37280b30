//! How values look in answers: the same everywhere.

use std::fmt::Display;
use std::time::Duration;

use serde::Serializer;
use wardmesh_common::time::Timestamp;

/// RFC 3339 UTC with milliseconds.
pub(crate) fn time(at: Timestamp) -> String {
    at.to_rfc3339_millis()
}

/// The same where it is written at once.
pub(crate) fn moment<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(at.rfc3339_millis().as_str())
}

/// A value in the words of its `Display`.
pub(crate) fn displayed<S: Serializer>(
    value: &impl Display,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Values in those words.
pub(crate) fn displayed_all<'a, T: Display + 'a, S: Serializer>(
    values: &'a (impl AsSlice<T> + ?Sized),
    serializer: S,
) -> Result<S::Ok, S::Error> {
    struct Shown<'a, T>(&'a T);
    impl<T: Display> serde::Serialize for Shown<'_, T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self.0)
        }
    }
    serializer.collect_seq(values.slice().iter().map(Shown))
}

/// What is a list, or at most one.
pub(crate) trait AsSlice<T> {
    /// Its values.
    fn slice(&self) -> &[T];
}

impl<T> AsSlice<T> for Vec<T> {
    fn slice(&self) -> &[T] {
        self
    }
}

impl<T> AsSlice<T> for Option<T> {
    fn slice(&self) -> &[T] {
        self.as_slice()
    }
}

/// The same for a time that may be missing.
pub(crate) fn time_of(at: Option<Timestamp>) -> Option<String> {
    at.map(time)
}

/// Whole milliseconds.
pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A 64-bit number of which readers of JSON would round the last digits: 16 hexadecimal digits.
pub(crate) fn hex(number: u64) -> String {
    format!("{number:016x}")
}
