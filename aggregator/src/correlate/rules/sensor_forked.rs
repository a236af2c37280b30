//! A sensor goes on from a place that it has already left: somebody restored an image of it.

use std::collections::BTreeMap;

use super::super::{Rule, Severity, Subject, Verdict};

/// Raises `sensor-forked`; counts batches.
pub(super) struct SensorForked;

impl Rule for SensorForked {
    fn cause(&self) -> &'static str {
        "sensor-forked"
    }

    fn names(&self) -> &'static [&'static str] {
        &["sensor-forked"]
    }

    fn judge(&self, subject: &Subject<'_>) -> Option<Verdict> {
        let Subject::Sensor(watch) = subject else { return None };
        let fork = watch.forked?;
        let detail = [("epoch", format!("{:016x}", fork.epoch)), ("seq", fork.seq.to_string())];
        Some(Verdict {
            rule: "sensor-forked",
            subject: watch.sensor.to_string(),
            severity: Severity::High,
            title: format!(
                "Sensor {} at {} sends other batches in the place of acknowledged ones: \
                 a disk or memory image of it was restored. Restart it, so that it begins anew",
                watch.name, watch.site
            ),
            sites: vec![watch.site.clone()],
            devices: Vec::new(),
            count: fork.count,
            first_seen: fork.first_at,
            last_seen: fork.last_at,
            evidence: vec![fork.evidence],
            detail: detail
                .map(|(name, value)| (name.to_owned(), value))
                .into_iter()
                .collect::<BTreeMap<_, _>>(),
        })
    }
}
