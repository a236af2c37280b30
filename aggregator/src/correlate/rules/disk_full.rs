//! A node's or a sensor's volume ran full: nothing is lost that was acknowledged, but what waits for
//! room is not seen by anybody.

use super::super::{Rule, Severity, Shortage, Subject, Verdict};

/// Raises `node-disk-full`; counts how often.
pub(super) struct NodeDiskFull;

/// Raises `sensor-disk-full`; counts how often.
pub(super) struct SensorDiskFull;

impl Rule for NodeDiskFull {
    fn cause(&self) -> &'static str {
        "node-disk-full"
    }

    fn names(&self) -> &'static [&'static str] {
        &["node-disk-full"]
    }

    fn judge(&self, subject: &Subject<'_>) -> Option<Verdict> {
        let Subject::Volume(shortage) = subject else { return None };
        let path = shortage.path.filter(|_| shortage.of_node)?;
        let (node, name) = (&shortage.subject, shortage.name);
        let title = if shortage.enough {
            format!("{path} of node {node} ({name}) ran full; it has room again")
        } else {
            format!(
                "{path} of node {node} ({name}) runs full: free space or enlarge the volume; it takes \
                 part again by itself"
            )
        };
        let severity = if shortage.enough { Severity::Medium } else { Severity::High };
        Some(verdict("node-disk-full", severity, title, shortage))
    }
}

impl Rule for SensorDiskFull {
    fn cause(&self) -> &'static str {
        "sensor-disk-full"
    }

    fn names(&self) -> &'static [&'static str] {
        &["sensor-disk-full"]
    }

    fn judge(&self, subject: &Subject<'_>) -> Option<Verdict> {
        let Subject::Volume(shortage) = subject else { return None };
        let site = shortage.site.filter(|_| !shortage.of_node)?;
        let title = format!(
            "The spool of sensor {} at {site} waited for room on its volume; what it could not take is \
             in the sensor's health counters",
            shortage.name
        );
        Some(verdict("sensor-disk-full", Severity::High, title, shortage))
    }
}

fn verdict(
    rule: &'static str,
    severity: Severity,
    title: String,
    shortage: &Shortage<'_>,
) -> Verdict {
    let detail = shortage.detail.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    Verdict {
        rule,
        subject: shortage.subject.clone(),
        severity,
        title,
        sites: shortage.site.into_iter().cloned().collect(),
        devices: Vec::new(),
        count: shortage.times,
        first_seen: shortage.first_at,
        last_seen: shortage.last_at,
        evidence: shortage.evidence.into_iter().collect(),
        detail: detail.collect(),
    }
}
