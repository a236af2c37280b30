//! One MAC address at two facilities: it moved, it is at both at once, or its maker used it twice.
//!
//! By event time and by visits: what is apart in time moved, what is at two places within one stay
//! is concurrent. Counts visits.

use std::collections::BTreeMap;
use std::time::Duration;

use wardmesh_common::net::MacAddress;

use super::super::{REFERENCES_MAX, Rule, Severity, Stay, Stays, Subject, Verdict, Visit};

/// The most that two event times may be wrong to each other: NTP-disciplined sensors stay within a
/// second, transit adds less than two; doubled.
const CLOCK_ERROR: Duration = Duration::from_secs(5);

/// Sites that one moving or copied device may be at; an address at more is one that its maker or a
/// default setting gave to many devices.
const SITES_OF_ONE_MAX: usize = 3;

/// Addresses that are known to be on many devices: examples of data sheets, unset EEPROMs, drivers'
/// defaults. Locally administered ones (`02:…`) never join devices and need no entry.
const DUPLICATES: [[u8; 6]; 6] = [
    [0x00, 0x00, 0x00, 0x00, 0x00, 0x01],
    [0x00, 0x01, 0x02, 0x03, 0x04, 0x05],
    [0x00, 0x11, 0x22, 0x33, 0x44, 0x55],
    [0x00, 0x12, 0x34, 0x56, 0x78, 0x9a],
    [0x00, 0xe0, 0x4c, 0x68, 0x00, 0x01],
    [0xfc, 0xff, 0xff, 0xff, 0xff, 0xff],
];

/// Raises `identity-moved`, `identity-concurrent` or `identity-vendor-duplicate`.
pub(super) struct SameIdentity;

impl Rule for SameIdentity {
    fn cause(&self) -> &'static str {
        "same-identity"
    }

    fn names(&self) -> &'static [&'static str] {
        &["identity-moved", "identity-concurrent", "identity-vendor-duplicate"]
    }

    fn judge(&self, subject: &Subject<'_>) -> Option<Verdict> {
        let Subject::Device(seen) = subject else { return None };
        let mac = seen.mac.filter(|_| seen.stays.len() > 1)?;
        Some(verdict(mac, seen))
    }
}

fn verdict(mac: MacAddress, seen: &Stays<'_>) -> Verdict {
    let mut stays = seen.stays.clone();
    stays.sort_unstable_by_key(|stay| stay.site);
    let (rule, severity, what) = kind(mac, &stays);
    let sites: Vec<_> = stays.iter().map(|stay| stay.site.clone()).collect();
    let names: Vec<&str> = sites.iter().map(|site| site.as_str()).collect();
    let mut evidence: Vec<_> = stays.iter().map(|stay| stay.evidence).collect();
    evidence.sort_unstable();
    evidence.truncate(REFERENCES_MAX);
    Verdict {
        rule,
        subject: mac.to_string(),
        severity,
        title: format!("{mac} {what}: {}", names.join(", ")),
        devices: vec![seen.device],
        count: stays.iter().map(|stay| stay.visits.len() as u64 + stay.joined).sum(),
        first_seen: stays.iter().map(|stay| stay.first_seen).min().unwrap_or_default(),
        last_seen: stays.iter().map(|stay| stay.last_seen).max().unwrap_or_default(),
        evidence,
        detail: detail(mac, &stays),
        sites,
    }
}

fn kind(mac: MacAddress, stays: &[Stay<'_>]) -> (&'static str, Severity, &'static str) {
    if DUPLICATES.contains(&mac.0) || stays.len() > SITES_OF_ONE_MAX {
        let what = "is an address that several devices bear, at";
        return ("identity-vendor-duplicate", Severity::Low, what);
    }
    let pairs = stays.iter().enumerate().flat_map(|(at, one)| {
        stays.iter().skip(at + 1).map(move |other| (one.visits, other.visits))
    });
    if pairs.into_iter().any(|(one, other)| overlap(one, other)) {
        let what = "is at several sites at once: a copied address, or two devices with one, at";
        return ("identity-concurrent", Severity::High, what);
    }
    ("identity-moved", Severity::Informational, "moved between")
}

/// Whether two sites' visits overlap by more than the clocks' error; a single sight within another
/// site's visit does, a visit that begins as another ends does not.
fn overlap(one: &[Visit], other: &[Visit]) -> bool {
    one.iter().any(|a| {
        let inside = |b: &Visit| a.from.plus(CLOCK_ERROR) < b.to && b.from.plus(CLOCK_ERROR) < a.to;
        other.iter().any(inside)
    })
}

fn detail(mac: MacAddress, stays: &[Stay<'_>]) -> BTreeMap<String, String> {
    let stay = |stay: &Stay<'_>| {
        let (first, last) = (stay.first_seen, stay.last_seen);
        let span = format!("{}/{}", first.to_rfc3339_millis(), last.to_rfc3339_millis());
        (format!("at.{}", stay.site), span)
    };
    let mut detail: BTreeMap<_, _> = stays.iter().map(stay).collect();
    detail.insert("mac".to_owned(), mac.to_string());
    detail
}
