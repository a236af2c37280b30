//! Lets the rules judge what a command changed, and keeps one row for each cause.

use wardmesh_common::id::{FindingId, TenantId};

use super::command::ReportClock;
use super::devices::Device;
use super::findings::{Cause, FINDINGS_MAX, Finding, Status};
use super::identity::Identity;
use super::receipt::Receipt;
use super::sensors::{ClockFault, Sensor, clipped};
use super::{Entry, State};
use crate::correlate::{NodeClock, RULES, Rule, Stay, Stays, Subject, Verdict, Watch};

/// Nodes whose clocks were ever wrong: ids are never used again, and a cluster has five.
const CLOCKS_MAX: usize = 64;

impl State {
    /// Judges the devices and sensors that this command changed.
    pub(super) fn judge(&mut self, entry: &mut Entry) {
        let mut verdicts: Vec<(Cause, Verdict)> = Vec::new();
        for device in self.devices.changed().filter(|device| device.sites.len() > 1) {
            let subject = stays(device);
            verdicts.extend(RULES.iter().filter_map(|rule| {
                let verdict = rule.judge(&subject)?;
                Some((cause(*rule, device.tenant.clone(), &verdict), verdict))
            }));
        }
        for sensor in self.sensors.changed() {
            let subject = watch(sensor);
            verdicts.extend(RULES.iter().filter_map(|rule| {
                let verdict = rule.judge(&subject)?;
                Some((cause(*rule, sensor.tenant.clone(), &verdict), verdict))
            }));
        }
        verdicts.into_iter().for_each(|(cause, verdict)| self.raise(entry, cause, verdict));
    }

    /// Notes what a node says of its clock, and raises what that shows.
    pub(super) fn report_clock(&mut self, entry: &mut Entry, report: &ReportClock) -> Receipt {
        let node = report.node;
        if self.core.clocks.len() >= CLOCKS_MAX && !self.core.clocks.contains_key(&node) {
            return Receipt::Refused(format!("{CLOCKS_MAX} nodes have reported their clocks"));
        }
        let known = self.core.clocks.get(&node).copied();
        let Some(fault) = ClockFault::follow(known, entry.at, report.offset, report.off) else {
            return Receipt::Accepted;
        };
        self.core.clocks.insert(node, fault);
        let subject = Subject::NodeClock(NodeClock { node, name: clipped(&report.name), fault });
        let tenant = TenantId::default_tenant();
        let verdicts: Vec<_> = RULES
            .iter()
            .filter_map(|rule| {
                let verdict = rule.judge(&subject)?;
                Some((cause(*rule, tenant.clone(), &verdict), verdict))
            })
            .collect();
        verdicts.into_iter().for_each(|(cause, verdict)| self.raise(entry, cause, verdict));
        Receipt::Accepted
    }

    pub(super) fn raise(&mut self, entry: &mut Entry, cause: Cause, verdict: Verdict) {
        let Some(&id) = self.causes.get(&cause) else {
            if self.findings.len() >= FINDINGS_MAX {
                self.core.findings_refused = self.core.findings_refused.saturating_add(1);
                return;
            }
            let id = FindingId(entry.mint());
            self.causes.insert(cause.clone(), id);
            self.count_pending(false, true);
            self.findings.insert(finding(id, cause, entry, verdict));
            return;
        };
        let key = (cause.tenant.clone(), id);
        let Some(known) = self.findings.get(&key) else { return };
        let next = succeeded(known, finding(id, cause, entry, verdict));
        if next == *known {
            return;
        }
        let (was, is) = (known.status.is_pending(), next.status.is_pending());
        self.count_pending(was, is);
        self.findings.insert(next);
    }
}

/// What is known of a finding, after its rule has spoken again.
fn succeeded(known: &Finding, mut next: Finding) -> Finding {
    next.raised_at = known.raised_at;
    next.assignee.clone_from(&known.assignee);
    next.note.clone_from(&known.note);
    next.updated_by.clone_from(&known.updated_by);
    next.updated_at = known.updated_at;
    next.status = if reopens(known, &next) { Status::Open } else { known.status };
    let same = next.rule == known.rule
        && next.severity == known.severity
        && next.sites == known.sites
        && next.devices == known.devices
        && next.status == known.status;
    next.revision = known.revision.saturating_add(u64::from(!same));
    if same {
        next.changed_at = known.changed_at;
    }
    next
}

/// Whether there is more than what was dealt with: it happened again, elsewhere too, or is graver. What
/// was only seen is open again where it became graver, for that is not what was seen.
fn reopens(known: &Finding, next: &Finding) -> bool {
    let graver = next.severity > known.severity;
    let elsewhere = next.sites.iter().any(|site| !known.sites.contains(site));
    match known.status {
        Status::Resolved => graver || elsewhere || next.count > known.count,
        Status::Ack => graver,
        Status::Open | Status::InProgress | Status::Suppressed => false,
    }
}

fn cause(rule: &dyn Rule, tenant: wardmesh_common::id::TenantId, verdict: &Verdict) -> Cause {
    Cause { tenant, kind: rule.cause().to_owned(), subject: verdict.subject.clone() }
}

fn finding(id: FindingId, cause: Cause, entry: &Entry, verdict: Verdict) -> Finding {
    Finding {
        id,
        cause,
        rule: verdict.rule.to_owned(),
        severity: verdict.severity,
        status: Status::Open,
        title: verdict.title,
        sites: verdict.sites,
        devices: verdict.devices,
        count: verdict.count,
        first_seen: verdict.first_seen,
        last_seen: verdict.last_seen,
        raised_at: entry.at,
        changed_at: entry.at,
        evidence: verdict.evidence,
        detail: verdict.detail,
        revision: 1,
        assignee: String::new(),
        note: String::new(),
        updated_by: String::new(),
        updated_at: None,
    }
}

fn stays(device: &Device) -> Subject<'_> {
    let mac = match device.identity {
        Identity::Mac { mac, .. } => Some(mac),
        Identity::LocalMac { .. } | Identity::Address { .. } => None,
    };
    let stays = device.sites.iter().map(|presence| Stay {
        site: &presence.site,
        first_seen: presence.first_seen,
        last_seen: presence.last_seen,
        visits: &presence.visits,
        joined: presence.joined,
        evidence: presence.evidence,
    });
    Subject::Device(Stays { device: device.id, mac, stays: stays.collect() })
}

fn watch(sensor: &Sensor) -> Subject<'_> {
    Subject::Sensor(Watch {
        sensor: sensor.id,
        name: &sensor.name,
        site: &sensor.site,
        forked: sensor.forked,
        cloned: sensor.cloned.as_ref(),
        clock: sensor.clock_fault,
    })
}
