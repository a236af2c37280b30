//! Where an event lies in the log: its name everywhere, the same on every replica.

use std::fmt;
use std::str::FromStr;

/// An event's place in the log; sorted so, and the same on every replica. Its text is
/// `evt_<index>-<ordinal>-<position>`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventRef {
    /// The log index of its command.
    pub index: u64,
    /// Its batch among the command's submissions.
    pub ordinal: u32,
    /// Its position in the batch.
    pub position: u32,
}

impl fmt::Display for EventRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "evt_{}-{}-{}", self.index, self.ordinal, self.position)
    }
}

/// A text that is no event's place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an event's place such as evt_412-0-17")]
pub struct NotAnEventRef(String);

impl FromStr for EventRef {
    type Err = NotAnEventRef;

    fn from_str(text: &str) -> Result<Self, NotAnEventRef> {
        let read = || {
            let (index, rest) = text.strip_prefix("evt_")?.split_once('-')?;
            let (ordinal, position) = rest.split_once('-')?;
            let place = Self {
                index: index.parse().ok()?,
                ordinal: ordinal.parse().ok()?,
                position: position.parse().ok()?,
            };
            // One text a place: no signs, no leading zeros.
            (place.to_string() == text).then_some(place)
        };
        read().ok_or_else(|| NotAnEventRef(text.chars().take(80).collect()))
    }
}
