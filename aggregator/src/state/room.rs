//! Volumes that ran full, as nodes and sensors say of themselves: one finding each, kept as it is
//! until they say otherwise.

use wardmesh_common::id::TenantId;

use super::command::ReportNode;
use super::findings::Cause;
use super::observe::Place;
use super::receipt::Receipt;
use super::{Entry, State};
use crate::correlate::{RULES, Shortage, Subject};

/// The health counter of a sensor that waited for room on its volume.
pub(super) const DISK_FULL_SECONDS: &str = "spool.disk_full_seconds";

impl State {
    pub(super) fn report_node(&mut self, entry: &mut Entry, report: &ReportNode) -> Receipt {
        let ReportNode { node, name, path, free, enough, short } = report;
        let detail = [
            ("node", node.to_string()),
            ("path", path.clone()),
            ("free_bytes", free.to_string()),
            ("has_room", enough.to_string()),
        ];
        let shortage = Shortage {
            of_node: true,
            subject: node.to_string(),
            name,
            site: None,
            path: Some(path),
            enough: *enough,
            times: u64::from(*short),
            first_at: entry.at,
            last_at: entry.at,
            evidence: None,
            detail: &detail,
        };
        self.run_short(entry, &TenantId::default_tenant(), shortage);
        Receipt::Done
    }

    /// A sensor's health event says that it waited for room.
    pub(super) fn spool_ran_short(&mut self, entry: &mut Entry, place: &Place<'_>, seconds: u64) {
        let Some(sensor) = self.sensors.get(&place.sensor) else { return };
        let name = sensor.name.clone();
        let detail = [("waited_seconds", seconds.to_string())];
        let shortage = Shortage {
            of_node: false,
            subject: place.sensor.to_string(),
            name: &name,
            site: Some(place.site),
            path: None,
            enough: true,
            times: 1,
            first_at: entry.at,
            last_at: entry.at,
            evidence: Some(entry.reference()),
            detail: &detail,
        };
        self.run_short(entry, place.tenant, shortage);
    }

    /// Goes on with the finding that there is; without one, only running short makes it.
    fn run_short(&mut self, entry: &mut Entry, tenant: &TenantId, mut shortage: Shortage<'_>) {
        for rule in RULES {
            let Some(verdict) = rule.judge(&Subject::Volume(shortage.clone())) else { continue };
            let kind = rule.cause().to_owned();
            let cause = Cause { tenant: tenant.clone(), kind, subject: verdict.subject };
            let known = self.causes.get(&cause).map(|id| (tenant.clone(), *id));
            match known.and_then(|key| self.findings.get(&key)) {
                None if shortage.times == 0 => return,
                None => {}
                Some(known) => {
                    if shortage.times == 0 {
                        shortage.last_at = known.last_seen;
                    }
                    shortage.times += known.count;
                    shortage.first_at = known.first_seen;
                    shortage.evidence = shortage.evidence.or(known.evidence.first().copied());
                }
            }
            if let Some(verdict) = rule.judge(&Subject::Volume(shortage)) {
                self.raise(entry, cause, verdict);
            }
            return;
        }
    }
}
