//! What an association says (PS3.8 section 9.3, SOP classes of PS3.4 and PS3.6 table A-1).
//!
//! The requestor is what it proposes to store; whoever proposes everything is no modality. Who
//! accepts the images of several modalities keeps them.

use super::super::evidence::{Field, Saying};
use super::super::source::Source;

/// SOP class UIDs below `1.2.840.10008.5.1.4.1.1.` and the modality that makes such objects.
const STORAGE: &[(&str, &str)] = &[
    ("1", "computed-radiography"),
    ("1.1", "digital-radiography"),
    ("1.1.1", "digital-radiography"),
    ("1.2", "mammography"),
    ("1.2.1", "mammography"),
    ("1.3", "dental-imaging"),
    ("1.3.1", "dental-imaging"),
    ("2", "ct-scanner"),
    ("2.1", "ct-scanner"),
    ("3.1", "ultrasound"),
    ("4", "mr-scanner"),
    ("4.1", "mr-scanner"),
    ("6.1", "ultrasound"),
    ("6.2", "ultrasound"),
    ("9.1.1", "ecg-recorder"),
    ("9.1.2", "ecg-recorder"),
    ("9.1.3", "ecg-recorder"),
    ("12.1", "angiography"),
    ("12.2", "fluoroscopy"),
    ("20", "nuclear-medicine"),
    ("77.1.1", "endoscopy"),
    ("77.1.2", "microscopy"),
    ("77.1.5.1", "ophthalmic-imaging"),
    ("77.1.5.4", "ophthalmic-imaging"),
    ("128", "pet-scanner"),
    ("128.1", "pet-scanner"),
    ("481.1", "radiotherapy"),
];

const STORAGE_ROOT: &str = "1.2.840.10008.5.1.4.1.1.";
const QUERY_ROOT: &str = "1.2.840.10008.5.1.4.1.2.";
const WORKLIST: &str = "1.2.840.10008.5.1.4.31";
const PERFORMED_STEP: &str = "1.2.840.10008.3.1.2.3.3";

/// Modalities that one machine may be: PET-CT and the like. More is a tool that proposes all it knows.
const MODALITIES_MAX: usize = 2;

/// What the roles and proposals of one association PDU say of its sender.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Association<'a> {
    /// `dicom.role` is `scu`: the sender asks.
    pub(in super::super) requests: bool,
    /// `dicom.result` is `accepted`: the sender answers and agrees.
    pub(in super::super) accepts: bool,
    /// `dicom.calling_ae`.
    pub(in super::super) calling: &'a str,
    /// `dicom.called_ae`.
    pub(in super::super) called: &'a str,
}

impl<'a> Association<'a> {
    /// The sender's own title. A refusal says nothing of who is refused.
    pub(in super::super) fn title(&self) -> Option<Saying<'a>> {
        let (key, value) = match (self.requests, self.accepts) {
            (true, _) => ("dicom.calling_ae", self.calling),
            (false, true) => ("dicom.called_ae", self.called),
            (false, false) => return None,
        };
        let source = Source::known(key);
        Some(Saying { field: Field::AeTitle, value, source, weight: 900 })
    }
}

/// The class that proposed abstract syntaxes show, and its weight per mille.
pub(in super::super) fn proposed<'a>(
    syntaxes: impl Iterator<Item = &'a str> + Clone,
) -> Option<(&'static str, u16)> {
    let mut modalities: Vec<&'static str> = Vec::new();
    let (mut schedules, mut queries) = (false, false);
    for syntax in syntaxes {
        schedules |= matches!(syntax, WORKLIST | PERFORMED_STEP);
        queries |= syntax.starts_with(QUERY_ROOT);
        if let Some(modality) = modality(syntax)
            && !modalities.contains(&modality)
        {
            modalities.push(modality);
        }
    }
    match modalities.as_slice() {
        [first, rest @ ..] if rest.len() < MODALITIES_MAX => Some((first, 900)),
        [] if schedules => Some(("imaging-modality", 700)),
        [] if queries => Some(("imaging-workstation", 600)),
        [] => None,
        _ => Some(("dicom-node", 300)),
    }
}

/// The modality that makes objects of a storage SOP class.
pub(in super::super) fn modality(syntax: &str) -> Option<&'static str> {
    let below = syntax.strip_prefix(STORAGE_ROOT)?;
    STORAGE.iter().find(|(uid, _)| *uid == below).map(|(_, modality)| *modality)
}

/// Whether a class is one that [`modality`] names.
pub(in super::super) fn is_modality(class: &str) -> bool {
    STORAGE.iter().any(|(_, modality)| *modality == class)
}

/// The class of who accepted associations of so many kinds of modality, and its weight per mille.
pub(in super::super) fn accepting(modalities: usize) -> (&'static str, u16) {
    if modalities >= 2 { ("pacs", 800) } else { ("dicom-node", 300) }
}
