//! What we report of the peers' captures, held against the peers' own expected outputs.
//!
//! Each peer's file turns its outputs into claims. A claim that we do not report, and a value of
//! ours that a peer which lists all of that key does not have, is a disagreement. Each one must be
//! in `disagreements` with its reason, and each one there must still be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::inspected::{events, say, shared_captures};

mod arkime;
mod claim;
mod disagreements;
mod ja4;
mod ndpi;
mod ours;
mod peergen;
mod suricata;
mod tapirx;
mod tcpdump;
mod tshark;
mod zeek;

use claim::{Claims, Peer, Said};
use disagreements::{DISAGREEMENTS, Disagreement};

/// The peers, the most medical first.
const PEERS: [Peer; 9] = [
    tapirx::PEER,
    peergen::PEER,
    arkime::PEER,
    ndpi::PEER,
    ja4::PEER,
    suricata::PEER,
    zeek::PEER,
    tcpdump::PEER,
    tshark::PEER,
];

/// How many values must agree at least, by what they are of: the numbers reached. Raise them with
/// the code, never lower them without a word in the change log.
const FLOORS: [(&str, usize); 8] = [
    ("DHCP", 463),
    ("DICOM", 144),
    ("HL7", 33),
    ("HTTP", 94),
    ("JA4", 169),
    ("LLDP", 297),
    ("TLS", 37),
    ("TLS SNI", 171),
];

/// What came of one value of one file.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    agreeing: usize,
    /// The peer lists so many more than we report.
    missing: usize,
    /// We report so many more than a peer that lists all.
    surplus: usize,
}

/// What came of all comparisons.
#[derive(Debug, Default)]
struct Report {
    /// Agreeing values and all, by what they are of.
    scores: BTreeMap<String, (usize, usize)>,
    /// Disagreements with their reasons.
    listed: Vec<String>,
    /// Disagreements without one.
    unlisted: Vec<String>,
    /// Which of [`DISAGREEMENTS`] were met.
    met: BTreeSet<usize>,
}

#[test]
fn agrees_with_the_peers() {
    let Some(folder) = shared_captures() else { return };
    let mut report = Report::default();
    for peer in &PEERS {
        for claims in (peer.claims)(&folder.join(peer.folder)) {
            let file = Path::new(peer.folder).join(&claims.file);
            let ours = ours::said(&events(&folder.join(&file)));
            report.add(&file.to_string_lossy(), &compare(&claims, &ours));
        }
    }
    report.listed.iter().for_each(say);
    for (protocol, (agreeing, all)) in &report.scores {
        say(format!("{protocol}: {agreeing} of {all} agree with the peers"));
    }
    report.check();
}

impl Report {
    /// One file's comparison.
    fn add(&mut self, file: &str, counts: &BTreeMap<Said, Count>) {
        // Where we report another value than the peer, both are one value that does not agree.
        let mut sums: BTreeMap<(&str, &str, String), Count> = BTreeMap::new();
        for (said, count) in counts {
            let sum = sums.entry((&said.by, said.key, said.protocol())).or_default();
            sum.agreeing += count.agreeing;
            sum.missing += count.missing;
            sum.surplus += count.surplus;
            if count.missing + count.surplus > 0 {
                self.disagree(file, said, *count);
            }
        }
        for ((.., protocol), sum) in sums {
            let (agreeing, all) = self.scores.entry(protocol).or_default();
            *agreeing += sum.agreeing;
            *all += sum.agreeing + sum.missing.max(sum.surplus);
        }
    }

    fn disagree(&mut self, file: &str, said: &Said, count: Count) {
        let line = describe(file, said, count);
        match DISAGREEMENTS.iter().position(|known| known.is_of(file, said)) {
            Some(known) => {
                self.met.insert(known);
                self.listed.push(format!("{line}: {}", DISAGREEMENTS[known].reason));
            }
            None => self.unlisted.push(line),
        }
    }

    fn check(&self) {
        let known = DISAGREEMENTS.iter().enumerate();
        let stale: Vec<&Disagreement> =
            known.filter(|(known, _)| !self.met.contains(known)).map(|(_, known)| known).collect();
        assert!(self.unlisted.is_empty(), "not in disagreements.rs:\n{}", self.unlisted.join("\n"));
        assert!(stale.is_empty(), "in disagreements.rs, but they agree: {stale:#?}");
        for (protocol, floor) in FLOORS {
            let reached = self.scores.get(protocol).map_or(0, |(agreeing, _)| *agreeing);
            assert!(reached >= floor, "{protocol}: {reached} agree, {floor} did");
        }
        let floored: Vec<&str> = FLOORS.iter().map(|(protocol, _)| *protocol).collect();
        let scored: Vec<&str> = self.scores.keys().map(String::as_str).collect();
        assert_eq!(scored, floored, "a floor for each protocol");
    }
}

/// What of the claims we report, and what of ours a peer that lists all does not have.
fn compare(claims: &Claims, ours: &BTreeMap<Said, usize>) -> BTreeMap<Said, Count> {
    let mut counts = BTreeMap::new();
    for (said, &theirs) in &claims.said {
        let reported = ours.get(said).copied().unwrap_or(0);
        let agreeing = theirs.min(reported);
        let count = Count { agreeing, missing: theirs - agreeing, surplus: 0 };
        counts.insert(said.clone(), count);
    }
    for (said, &reported) in ours {
        let theirs = claims.said.get(said).copied().unwrap_or(0);
        if reported > theirs && claims.excludes(said) {
            counts.entry(said.clone()).or_insert_with(Count::default).surplus = reported - theirs;
        }
    }
    counts
}

fn describe(file: &str, said: &Said, count: Count) -> String {
    let what = match (count.missing, count.surplus) {
        (missing, 0) => format!("missing {missing} of {}", count.agreeing + missing),
        (_, surplus) => format!("reported {surplus} more"),
    };
    let Said { by, key, value } = said;
    format!("{file} {key} = {value:?}{}{by}: {what}", if by.is_empty() { "" } else { " by " })
}
