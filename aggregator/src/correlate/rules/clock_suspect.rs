//! A clock that differs from the cluster's: its times are corrected or not trusted, and somebody has to
//! set it.

use std::collections::BTreeMap;

use super::super::{ClockFault, Rule, Severity, Subject, Verdict};

/// Raises `clock-suspect`; counts how often the clock went wrong.
pub(super) struct ClockSuspect;

impl Rule for ClockSuspect {
    fn cause(&self) -> &'static str {
        "clock-suspect"
    }

    fn names(&self) -> &'static [&'static str] {
        &["clock-suspect"]
    }

    fn judge(&self, subject: &Subject<'_>) -> Option<Verdict> {
        match subject {
            Subject::Device(_) | Subject::Volume(_) => None,
            Subject::Sensor(watch) => {
                let whose = format!("sensor {} at {}", watch.name, watch.site);
                let verdict = verdict(&whose, watch.sensor.to_string(), watch.clock?);
                Some(Verdict { sites: vec![watch.site.clone()], ..verdict })
            }
            Subject::NodeClock(clock) => {
                let whose = format!("node {}", clock.name);
                Some(verdict(&whose, format!("node-{}", clock.node), clock.fault))
            }
        }
    }
}

fn verdict(whose: &str, subject: String, fault: ClockFault) -> Verdict {
    let seconds = fault.offset / 1_000_000_000;
    let which = if seconds < 0 { "behind" } else { "ahead of" };
    let state = if fault.off { "off" } else { "right again" };
    let detail = [("offset_seconds", seconds.to_string()), ("clock", state.to_owned())];
    Verdict {
        rule: "clock-suspect",
        subject,
        severity: Severity::Medium,
        title: format!(
            "The clock of {whose} was {} s {which} the cluster's. Have it follow a time server",
            seconds.unsigned_abs()
        ),
        sites: Vec::new(),
        devices: Vec::new(),
        count: fault.count,
        first_seen: fault.first_at,
        last_seen: fault.last_at,
        evidence: Vec::new(),
        detail: detail
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .collect::<BTreeMap<_, _>>(),
    }
}
