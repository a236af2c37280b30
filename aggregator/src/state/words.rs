//! The names of one batch, resolved once: what its events' indices mean to the state.

use wardmesh_common::wire::v1::{ArchivedEvent, Batched};

use super::classify::dicom::Association;
use super::source::{Says, Source};

/// What a name means where it is neither plain evidence nor nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Nothing that the state looks at by name.
    Other,
    /// `arp.ip` or `ndp.ip`: the sender claims its IP address on the link.
    ClaimsAddress,
    /// `dicom.role`.
    Role,
    /// `dicom.result`.
    Outcome,
    /// `dicom.calling_ae`.
    Calling,
    /// `dicom.called_ae`.
    Called,
    /// `dicom.abstract_syntax`.
    Syntax,
    /// The counter `packets`.
    Packets,
    /// The counter `bytes`.
    Bytes,
}

impl Word {
    fn of(name: &str) -> Self {
        match name {
            "arp.ip" | "ndp.ip" => Self::ClaimsAddress,
            "dicom.role" => Self::Role,
            "dicom.result" => Self::Outcome,
            "dicom.calling_ae" => Self::Calling,
            "dicom.called_ae" => Self::Called,
            "dicom.abstract_syntax" => Self::Syntax,
            "packets" => Self::Packets,
            "bytes" => Self::Bytes,
            _ => Self::Other,
        }
    }
}

type Reading = (Source, &'static [Says]);

/// The names of one batch.
#[derive(Debug)]
pub(super) struct Words<'a> {
    names: Vec<(&'a str, Word, Option<Reading>)>,
}

impl<'a> Words<'a> {
    pub(super) fn of(batch: Batched<'a>) -> Self {
        let batch = *batch;
        let names = batch.names.iter().map(|name| {
            let name = name.as_str();
            (name, Word::of(name), Source::of(name))
        });
        Self { names: names.collect() }
    }

    pub(super) fn name(&self, at: u16) -> &'a str {
        self.names.get(usize::from(at)).map_or("", |(name, ..)| name)
    }

    fn word(&self, at: u16) -> Word {
        self.names.get(usize::from(at)).map_or(Word::Other, |(_, word, _)| *word)
    }

    pub(super) fn reading(&self, at: u16) -> Option<Reading> {
        self.names.get(usize::from(at)).and_then(|(.., reading)| *reading)
    }

    pub(super) fn claims_address(&self, event: &ArchivedEvent) -> bool {
        self.values(event, Word::ClaimsAddress).next().is_some()
    }

    pub(super) fn count(&self, event: &ArchivedEvent, word: Word) -> u64 {
        let counters = event.counters.iter();
        let counted = counters.filter(|counter| self.word(counter.key.to_native()) == word);
        counted.fold(0, |sum, counter| sum.saturating_add(counter.value.to_native()))
    }

    fn values<'e>(
        &'e self,
        event: &'e ArchivedEvent,
        word: Word,
    ) -> impl Iterator<Item = &'e str> + Clone {
        let attributes = event.attributes.iter();
        attributes
            .filter(move |attribute| self.word(attribute.key.to_native()) == word)
            .flat_map(|attribute| attribute.values.iter().map(|value| value.as_str()))
    }

    /// The abstract syntaxes that an association proposes.
    pub(super) fn syntaxes<'e>(
        &'e self,
        event: &'e ArchivedEvent,
    ) -> impl Iterator<Item = &'e str> + Clone {
        self.values(event, Word::Syntax)
    }

    /// Whether the event is the acceptance of an association.
    pub(super) fn accepts(&self, event: &ArchivedEvent) -> bool {
        self.values(event, Word::Outcome).next() == Some("accepted")
    }

    /// What an association PDU says; `None` for any other event.
    pub(super) fn association<'e>(&'e self, event: &'e ArchivedEvent) -> Option<Association<'e>> {
        let role = self.values(event, Word::Role).next()?;
        Some(Association {
            requests: role == "scu",
            accepts: self.accepts(event),
            calling: self.values(event, Word::Calling).next().unwrap_or_default(),
            called: self.values(event, Word::Called).next().unwrap_or_default(),
        })
    }
}
