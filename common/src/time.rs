//! Points in time as nanoseconds since the Unix epoch, and their RFC 3339 text.
//!
//! Pure: nothing here reads a clock (see [`crate::clock`]). The calendar arithmetic is the
//! proleptic Gregorian one of RFC 3339 section 5; leap seconds are those of the source's clock.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

const NANOS_PER_SECOND: u64 = 1_000_000_000;
const SECONDS_PER_DAY: u64 = 86_400;

/// A point in time: nanoseconds since 1970-01-01T00:00:00Z, from 1970 to 2554.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// From nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// From whole seconds and nanoseconds since the Unix epoch; saturates in the year 2554.
    #[must_use]
    pub const fn from_parts(seconds: u64, nanos: u32) -> Self {
        Self(seconds.saturating_mul(NANOS_PER_SECOND).saturating_add(nanos as u64))
    }

    /// Nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Milliseconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// The time from `earlier` to `self`; zero where `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// `self` plus `span`, saturating.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// `self` minus `span`, not before 1970.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// `self` moved by a signed number of nanoseconds (a clock offset), saturating at both ends.
    #[must_use]
    pub const fn shifted(self, nanos: i64) -> Self {
        Self(self.0.saturating_add_signed(nanos))
    }

    /// RFC 3339 UTC with three fractional digits, the form that the HTTP API answers with.
    #[must_use]
    pub fn to_rfc3339_millis(self) -> String {
        self.rfc3339_millis().as_str().to_owned()
    }

    /// The same without a string of its own: lists hold thousands.
    #[must_use]
    pub fn rfc3339_millis(self) -> Rfc3339Millis {
        let Date { year, month, day } = Date::of(self.0);
        let second = self.0 / NANOS_PER_SECOND % SECONDS_PER_DAY;
        let parts = [
            (year, 0..4),
            (month, 5..7),
            (day, 8..10),
            (second / 3_600, 11..13),
            (second / 60 % 60, 14..16),
            (second % 60, 17..19),
            (self.0 / 1_000_000 % 1_000, 20..23),
        ];
        let mut text = *b"0000-00-00T00:00:00.000Z";
        for (mut value, place) in parts {
            for digit in text[place].iter_mut().rev() {
                *digit = b'0' + (value % 10) as u8;
                value /= 10;
            }
        }
        Rfc3339Millis(text)
    }
}

/// A time as text: `2026-01-05T08:00:00.000Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rfc3339Millis([u8; 24]);

impl Rfc3339Millis {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// RFC 3339 UTC with nine fractional digits: `2026-01-05T08:00:00.000000001Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clock = Clock(self.0 / NANOS_PER_SECOND % SECONDS_PER_DAY);
        write!(f, "{}T{clock}.{:09}Z", Date::of(self.0), self.0 % NANOS_PER_SECOND)
    }
}

/// Seconds since midnight as `hh:mm:ss`.
struct Clock(u64);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}:{:02}", self.0 / 3_600, self.0 / 60 % 60, self.0 % 60)
    }
}

/// A civil date; conversions after H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
struct Date {
    year: u64,
    month: u64,
    day: u64,
}

impl Date {
    fn of(nanos: u64) -> Self {
        let shifted = nanos / NANOS_PER_SECOND / SECONDS_PER_DAY + 719_468;
        let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        Self {
            year: year_of_era + era * 400 + u64::from(month <= 2),
            month,
            day: day_of_year - (153 * shifted_month + 2) / 5 + 1,
        }
    }

    /// Days since 1970-01-01, or `None` before it or for a date that does not exist.
    fn days(&self) -> Option<u64> {
        let leap = self.year.is_multiple_of(4)
            && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        let length = match self.month {
            2 => 28 + u64::from(leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        if self.day == 0 || self.day > length || self.year < 1970 {
            return None;
        }
        let year = self.year - u64::from(self.month <= 2);
        let (era, year_of_era) = (year / 400, year % 400);
        let month = if self.month > 2 { self.month - 3 } else { self.month + 9 };
        let day_of_year = (153 * month + 2) / 5 + self.day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        (era * 146_097 + day_of_era).checked_sub(719_468)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// A text that is no RFC 3339 time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an RFC 3339 time such as 2026-01-05T08:00:00Z, from 1970 to 2554")]
pub struct NotATime(String);

/// Reads RFC 3339 (section 5.6) with any number of fractional digits and any offset.
impl FromStr for Timestamp {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        parse(text).ok_or_else(|| NotATime(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let separators =
        [(4, b"-"), (7, b"-"), (10, b"Tt "), (13, b":"), (16, b":")] as [(_, &[u8]); 5];
    if bytes.len() < 20 || separators.iter().any(|&(at, any)| !any.contains(&bytes[at])) {
        return None;
    }
    let date =
        Date { year: digits(bytes, 0, 4)?, month: digits(bytes, 5, 2)?, day: digits(bytes, 8, 2)? };
    let (hour, minute, second) =
        (digits(bytes, 11, 2)?, digits(bytes, 14, 2)?, digits(bytes, 17, 2)?);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (nanos, offset_at) = fraction(bytes)?;
    let seconds = date.days()? * SECONDS_PER_DAY + hour * 3_600 + minute * 60 + second;
    let seconds = seconds.checked_add_signed(-offset_seconds(bytes, offset_at)?)?;
    seconds.checked_mul(NANOS_PER_SECOND)?.checked_add(nanos).map(Timestamp)
}

fn digits(bytes: &[u8], at: usize, count: usize) -> Option<u64> {
    bytes.get(at..at + count)?.iter().try_fold(0, |value, byte| {
        byte.is_ascii_digit().then(|| value * 10 + u64::from(byte - b'0'))
    })
}

/// The nanoseconds after the seconds, and where the offset begins. Digits past the ninth are dropped.
fn fraction(bytes: &[u8]) -> Option<(u64, usize)> {
    if bytes[19] != b'.' {
        return Some((0, 19));
    }
    let count = bytes[20..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let kept = count.min(9);
    let value = digits(bytes, 20, kept)?;
    (count > 0).then(|| (value * 10_u64.pow(9 - kept as u32), 20 + count))
}

fn offset_seconds(bytes: &[u8], at: usize) -> Option<i64> {
    let sign = match (bytes.get(at)?, bytes.len() - at) {
        (b'Z' | b'z', 1) => return Some(0),
        (b'+', 6) => 1,
        (b'-', 6) => -1,
        _ => return None,
    };
    let (hours, minutes) = (digits(bytes, at + 1, 2)?, digits(bytes, at + 4, 2)?);
    let plausible = bytes[at + 3] == b':' && hours < 24 && minutes < 60;
    plausible.then(|| sign * (hours * 3_600 + minutes * 60) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, nanos: u64) {
        assert_eq!(text.parse::<Timestamp>(), Ok(Timestamp(nanos)), "{text}");
    }

    #[test]
    fn reads_and_writes_rfc_3339() {
        check("1970-01-01T00:00:00Z", 0);
        check("2000-02-29T12:00:00.5Z", 951_825_600_500_000_000);
        check("2026-01-05T09:30:00+01:30", 1_767_600_000_000_000_000);
        check("2026-01-05t08:00:00.0000000019z", 1_767_600_000_000_000_001);
        let end = Timestamp(u64::MAX);
        assert_eq!(end.to_string(), "2554-07-21T23:34:33.709551615Z");
        check(&end.to_string(), u64::MAX);
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in [
            "",
            "2026-01-05",
            "2025-02-29T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "2026-01-05T24:00:00Z",
            "2026-13-05T00:00:00Z",
            "2026-01-05T00:00:00",
            "2026-01-05T00:00:00.Z",
            "2026-01-05T00:00:00+1:00",
            "9999-01-01T00:00:00Z",
            "2026-01-05T00:00:00Zé",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_survives_the_round_trip() {
        for day in 0..146_097 {
            let at = Timestamp::from_parts(day * SECONDS_PER_DAY + 86_399, 999_999_999);
            assert_eq!(at.to_string().parse(), Ok(at));
        }
    }
}
