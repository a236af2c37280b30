//! What people decide about a finding: compared with the revision that they saw, then set.
//!
//! The only writes that read first: two people who saw the same revision cannot both succeed.

use super::State;
use super::command::UpdateFinding;
use super::findings::{ASSIGNEE_LENGTH_MAX, NOTE_LENGTH_MAX};
use super::receipt::Receipt;
use super::sensors::{clipped, clipped_to};

impl State {
    pub(super) fn update_finding(&mut self, update: &UpdateFinding) -> Receipt {
        let key = (update.tenant.clone(), update.finding);
        let Some(known) = self.findings.get(&key) else { return Receipt::NotFound };
        let (revision, was) = (known.revision, known.status.is_pending());
        if !update.expected.is_empty() && !update.expected.contains(&revision) {
            return Receipt::Stale { revision };
        }
        let at = self.core.at;
        let Some(finding) = self.findings.get_mut(&key) else { return Receipt::NotFound };
        finding.revision = revision.saturating_add(1);
        if let Some(status) = update.status {
            finding.status = status;
        }
        if let Some(assignee) = &update.assignee {
            finding.assignee = clipped_to(assignee, ASSIGNEE_LENGTH_MAX).to_owned();
        }
        if let Some(note) = &update.note {
            finding.note = clipped_to(note, NOTE_LENGTH_MAX).to_owned();
        }
        finding.updated_by = clipped(&update.by).to_owned();
        finding.updated_at = Some(at);
        let (revision, is) = (finding.revision, finding.status.is_pending());
        self.count_pending(was, is);
        Receipt::Updated { revision }
    }

    /// Keeps the number of findings that somebody has yet to deal with.
    pub(super) fn count_pending(&mut self, was: bool, is: bool) {
        self.pending_findings = self.pending_findings + usize::from(is) - usize::from(was);
    }
}
