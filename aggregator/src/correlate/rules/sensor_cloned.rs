//! One sensor runs twice: somebody copied its machine or its disk, identity and all.

use std::collections::BTreeMap;

use super::super::{Rule, Severity, Subject, Verdict};

/// Raises `sensor-cloned`; counts how often the older start spoke again after the newer.
pub(super) struct SensorCloned;

impl Rule for SensorCloned {
    fn cause(&self) -> &'static str {
        "sensor-cloned"
    }

    fn names(&self) -> &'static [&'static str] {
        &["sensor-cloned"]
    }

    fn judge(&self, subject: &Subject<'_>) -> Option<Verdict> {
        let Subject::Sensor(watch) = subject else { return None };
        let clones = watch.cloned?;
        Some(Verdict {
            rule: "sensor-cloned",
            subject: watch.sensor.to_string(),
            severity: Severity::High,
            title: format!(
                "Sensor {} at {} runs twice with one identity. Stop one of the two, and enrol it as a \
                 sensor of its own",
                watch.name, watch.site
            ),
            sites: vec![watch.site.clone()],
            devices: Vec::new(),
            count: clones.count,
            first_seen: clones.first_at,
            last_seen: clones.last_at,
            evidence: vec![clones.evidence],
            detail: detail([("older", &clones.older), ("newer", &clones.newer)]),
        })
    }
}

/// The two starts, and where they are.
fn detail(starts: [(&str, &(u64, String)); 2]) -> BTreeMap<String, String> {
    let mut detail = BTreeMap::new();
    for (name, (epoch, remote)) in starts {
        detail.insert(format!("epoch.{name}"), format!("{epoch:016x}"));
        if !remote.is_empty() {
            detail.insert(format!("address.{name}"), remote.clone());
        }
    }
    detail
}
