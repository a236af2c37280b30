//! I12: one finding a cause, the same one whoever leads, never forgotten and never without a cause: a
//! clock is suspected only where one jumped, and an honest sensor is not taken for a copy.

use std::collections::BTreeMap;

use wardmesh_aggregator::state::findings::Cause;
use wardmesh_common::id::FindingId;

use super::Invariant;
use crate::judge::{Alert, Fact};

#[derive(Default)]
pub(crate) struct OneFinding {
    jumped: bool,
    raised: BTreeMap<Cause, FindingId>,
}

impl OneFinding {
    fn of(&mut self, node: u64, alerts: &[Alert]) -> Result<(), String> {
        let mut seen = BTreeMap::new();
        for Alert { id, cause, rule } in alerts {
            let first = *self.raised.entry(cause.clone()).or_insert(*id);
            if first != *id || seen.insert(cause, *id).is_some() {
                return Err(format!("node {node} has {id} for {cause:?}, which was {first}"));
            }
            if !self.jumped || rule != "clock-suspect" {
                return Err(format!("node {node} has {rule} of {cause:?} without a cause"));
            }
        }
        Ok(())
    }

    fn forgotten(&self, node: u64, alerts: &[Alert]) -> Result<(), String> {
        let has = |cause: &Cause| alerts.iter().any(|alert| alert.cause == *cause);
        match self.raised.keys().find(|cause| !has(cause)) {
            Some(cause) => Err(format!("node {node} has forgotten {cause:?}")),
            None => Ok(()),
        }
    }
}

impl Invariant for OneFinding {
    fn name(&self) -> &'static str {
        "I12 one finding a cause"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Jumped => self.jumped = true,
            Fact::Findings { node, alerts } => self.of(*node, alerts)?,
            Fact::Ended(ending) => {
                for (node, alerts) in &ending.alerts {
                    self.of(*node, alerts)?;
                    self.forgotten(*node, alerts)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[test]
fn twice_forgotten_and_unfounded_are_noticed() {
    use wardmesh_common::id::{MintedId, TenantId};

    use crate::judge::Ending;

    let alert = |id, subject: &str, rule: &str| {
        let (tenant, kind) = (TenantId::default_tenant(), "clock".to_owned());
        let cause = Cause { tenant, kind, subject: subject.to_owned() };
        Alert { id: FindingId(MintedId(id)), cause, rule: rule.to_owned() }
    };
    let (one, two) = (alert(1, "node-1", "clock-suspect"), alert(2, "node-2", "clock-suspect"));
    let again = alert(3, "node-1", "clock-suspect");
    let forked = alert(4, "sensor", "sensor-forked");
    // (whether a clock jumped, what a leader had, what a node has at the end) → whether that may be
    let cases = [
        ((true, vec![&one], vec![&one, &two]), true),
        ((true, vec![&one, &two], vec![&one]), false),
        ((true, vec![&one], vec![&again]), false),
        ((true, vec![], vec![&one, &again]), false),
        ((true, vec![], vec![&forked]), false),
        ((false, vec![], vec![&one]), false),
        ((false, vec![], vec![]), true),
    ];
    for (number, ((jumped, led, end), may_be)) in cases.into_iter().enumerate() {
        let own = |alerts: Vec<&Alert>| alerts.into_iter().cloned().collect::<Vec<_>>();
        let (led, ending) =
            (own(led), Ending { alerts: [(1, own(end))].into(), ..Ending::default() });
        let mut invariant = OneFinding { jumped, ..OneFinding::default() };
        let verdict = invariant.see(&Fact::Findings { node: 2, alerts: &led });
        let verdict = verdict.and_then(|()| invariant.see(&Fact::Ended(&ending)));
        assert_eq!(verdict.is_ok(), may_be, "case {number}: {verdict:?}");
    }
}
