//! Why we believe each attribute of a device: value, source, weight, when, where and by whom.
//!
//! Evidence, not verdicts: everything that was said is kept within bounds; what the product shows as
//! class, vendor or model is the heaviest of it, the earliest among equals.

use wardmesh_common::id::{SensorId, SiteId};
use wardmesh_common::time::Timestamp;

use super::record::{record, words};
use super::source::Source;

/// Evidence that a device keeps, all fields together: a busy archive server stays below 60.
pub const EVIDENCE_MAX: usize = 96;

/// Values of one field from one source: a device that says more than these is not saying what it is.
/// The one longest unseen makes room.
pub const VALUES_PER_SOURCE_MAX: usize = 8;

/// Bytes of a value that are kept: the longest allow-listed field of a dissector is 255.
pub const VALUE_LENGTH_MAX: usize = 256;

/// What a piece of evidence is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// What kind of device it is: a word of `classify`.
    Class,
    /// Who made it.
    Vendor,
    /// The maker's name of the model.
    Model,
    /// The maker's number of the one specimen.
    Serial,
    /// A software or firmware with its version, as it names itself.
    Software,
    /// The operating system or platform, as it names itself.
    Platform,
    /// A host name; names no device across sites.
    Hostname,
    /// A DICOM application entity title (PS3.5, AE).
    AeTitle,
    /// An HL7 sending application (MSH-3).
    Application,
    /// An HL7 sending facility (MSH-4).
    Facility,
    /// An identifier of equipment that it reports for (OBX-18, PRT-16, UDI).
    Equipment,
    /// A class of devices that it answers.
    Serves,
}

words!(Field {
    Class => "class",
    Vendor => "vendor",
    Model => "model",
    Serial => "serial",
    Software => "software",
    Platform => "platform",
    Hostname => "hostname",
    AeTitle => "ae_title",
    Application => "application",
    Facility => "facility",
    Equipment => "equipment",
    Serves => "serves",
});

/// One reason to believe one value of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What it is about.
    pub field: Field,
    /// The value, at most [`VALUE_LENGTH_MAX`] bytes.
    pub value: String,
    /// Which attribute said it.
    pub source: Source,
    /// How much it weighs, per mille.
    pub weight: u16,
    /// The earliest event that says it (event time).
    pub first_seen: Timestamp,
    /// The latest event that says it (event time).
    pub last_seen: Timestamp,
    /// Events that say it, those that a second sensor saw too counted once.
    pub sightings: u64,
    /// The sensor of the earliest event.
    pub sensor: SensorId,
    /// The site of the earliest event.
    pub site: SiteId,
}

record!(Evidence { field, value, source, weight, first_seen, last_seen, sightings, sensor, site });

/// One thing that an event says of a device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Saying<'a> {
    pub(super) field: Field,
    pub(super) value: &'a str,
    pub(super) source: Source,
    pub(super) weight: u16,
}

/// Who says it, where and when; `counts` is false for what another sensor already counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    pub(super) site: &'a SiteId,
    pub(super) sensor: SensorId,
    pub(super) at: Timestamp,
    pub(super) counts: bool,
}

/// Takes what was said into a device's evidence; allocates only for a value that is new. True where
/// another value may be the best one now.
pub(super) fn note(evidence: &mut Vec<Evidence>, saying: Saying<'_>, origin: Origin<'_>) -> bool {
    let value = clipped(saying.value);
    if value.is_empty() {
        return false;
    }
    let same = |known: &Evidence| known.field == saying.field && known.source == saying.source;
    if let Some(known) = evidence.iter_mut().find(|known| same(known) && known.value == value) {
        return known.again(saying.weight, origin);
    }
    let new = Evidence {
        field: saying.field,
        value: value.to_owned(),
        source: saying.source,
        weight: saying.weight,
        first_seen: origin.at,
        last_seen: origin.at,
        sightings: u64::from(origin.counts),
        sensor: origin.sensor,
        site: origin.site.clone(),
    };
    let crowded = evidence.iter().filter(|known| same(known)).count() >= VALUES_PER_SOURCE_MAX;
    if !crowded && evidence.len() < EVIDENCE_MAX {
        evidence.push(new);
        return true;
    }
    let room = evidence.iter_mut().filter(|known| !crowded || same(known));
    let longest_unseen = room.min_by_key(|known| (known.last_seen, known.weight));
    let Some(known) = longest_unseen.filter(|known| known.last_seen <= origin.at) else {
        return false;
    };
    *known = new;
    true
}

impl Evidence {
    fn again(&mut self, weight: u16, origin: Origin<'_>) -> bool {
        let heavier = weight > self.weight || origin.at < self.first_seen;
        if origin.at < self.first_seen {
            self.first_seen = origin.at;
            self.sensor = origin.sensor;
            self.site = origin.site.clone();
        }
        self.last_seen = self.last_seen.max(origin.at);
        self.sightings = self.sightings.saturating_add(u64::from(origin.counts));
        self.weight = self.weight.max(weight);
        heavier
    }
}

/// The heaviest evidence for a field; among equals the earliest, then the first in the alphabet.
pub(super) fn best(evidence: &[Evidence], field: Field) -> Option<&Evidence> {
    let about = evidence.iter().filter(|known| known.field == field);
    about.min_by_key(|known| (std::cmp::Reverse(known.weight), known.first_seen, &known.value))
}

fn clipped(value: &str) -> &str {
    value.get(..value.floor_char_boundary(VALUE_LENGTH_MAX)).unwrap_or_default().trim()
}
