//! A sensor goes on from a place that it had already left: somebody restored an older image of it.

use std::collections::BTreeMap;

use super::super::{Rule, Severity, Subject, Verdict};

/// Raises `sensor-forked`; counts hellos and batches that show it.
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
                "Sensor {} at {} went back to where it had been: an older image of its disk or \
                 memory was restored, or a copy of it runs. What it saw since the image and never \
                 sent is missing",
                watch.name, watch.site
            ),
            sites: vec![watch.site.clone()],
            devices: Vec::new(),
            count: fork.count,
            first_seen: fork.first_at,
            last_seen: fork.last_at,
            evidence: fork.evidence.into_iter().collect(),
            detail: detail
                .map(|(name, value)| (name.to_owned(), value))
                .into_iter()
                .collect::<BTreeMap<_, _>>(),
        })
    }
}
