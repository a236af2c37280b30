//! What a hello opens and closes, and what it shows of the sensor's past: an older image, a clone.
//!
//! A start is older than another by which was heard of first, never by a clock. Only the newest start's
//! hello closes others: an older one that comes back runs beside it (a clone, or a hello that was late),
//! and would else be closed and opened in turn without end.

use super::{Epoch, Epochs, OPEN_EPOCHS_MAX, TOMBSTONES_MAX, WHOLE_TOMBSTONES_MAX};
use crate::state::command::OpenEpoch;

/// What a hello showed: the sensor has less of a start than was applied of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OlderImage {
    /// The start.
    pub epoch: u64,
    /// The last place of the lane that the sensor knows of.
    pub tail: u64,
}

/// The starts that a hello names beside its own, as many as can be open.
pub(super) fn held(hello: &OpenEpoch) -> &[u64] {
    let newest = hello.held.len().saturating_sub(OPEN_EPOCHS_MAX - 1);
    hello.held.get(newest..).unwrap_or_default()
}

impl Epochs {
    /// Opens a start and those that the spool still holds, which may never have been heard of, and
    /// closes all others. One that was closed before goes on where it stood, so that nothing that was
    /// applied is applied again. Gives those that have no place here any more and must be remembered
    /// apart.
    pub(in crate::state) fn open(&mut self, hello: &OpenEpoch) -> (Option<OlderImage>, Vec<Epoch>) {
        let held = held(hello);
        let is_new = self.find(hello.epoch).is_none();
        let comes_back = !is_new && hello.epoch != self.newest;
        if is_new {
            self.newest = hello.epoch;
        }
        let named = |known: &Epoch| known.epoch == hello.epoch || held.contains(&known.epoch);
        let stays = |known: &Epoch| comes_back || named(known);
        let (mut open, closing): (Vec<_>, Vec<_>) = self.open.drain(..).partition(stays);
        let (again, closed): (Vec<_>, Vec<_>) = self.closed.drain(..).partition(named);
        open.extend(again);
        self.refused.clear();
        for &new in held.iter().chain([&hello.epoch]) {
            if open.iter().any(|known| known.epoch == new) {
                continue;
            }
            // Once starts were forgotten, one that is unknown may be one of them: only the sensor's own,
            // which it has just drawn, is new.
            if self.has_forgotten() && new != hello.epoch {
                self.refused.push(new);
            } else {
                open.push(Epoch { epoch: new, ..Epoch::default() });
            }
        }
        let newest = self.newest;
        let mut closed: Vec<Epoch> = closed.into_iter().chain(closing).collect();
        while open.len() > OPEN_EPOCHS_MAX {
            let runs = |known: &Epoch| known.epoch == newest || known.epoch == hello.epoch;
            let spare = open.iter().position(|known| !named(known) && !runs(known));
            let at = spare.or_else(|| open.iter().position(|known| !runs(known)));
            closed.push(open.remove(at.unwrap_or_default()));
        }
        let past = closed.drain(..closed.len().saturating_sub(TOMBSTONES_MAX)).collect::<Vec<_>>();
        let whole = closed.len().saturating_sub(WHOLE_TOMBSTONES_MAX);
        for old in closed.iter_mut().take(whole) {
            old.urgent.shrink();
            old.bulk.shrink();
        }
        (self.open, self.closed) = (open, closed);
        (self.learn(hello, comes_back), past)
    }

    /// Notes where the hello came from and, if it is the newest start's, where the others ended.
    fn learn(&mut self, hello: &OpenEpoch, comes_back: bool) -> Option<OlderImage> {
        let lane = hello.lane;
        let mut older = None;
        for known in self.open.iter_mut().chain(&mut self.closed) {
            let is_own = known.epoch == hello.epoch;
            if is_own {
                super::super::sensors::clipped(&hello.remote).clone_into(&mut known.remote);
            }
            let told = hello.tail(known.epoch);
            let epoch = known.epoch;
            let mark = known.mark_mut(lane);
            if let Some(tail) = told
                && tail < mark.seq
            {
                older = Some(OlderImage { epoch, tail });
            }
            if !comes_back && !is_own {
                let end = mark.seq.max(told.unwrap_or_default());
                mark.end = Some(mark.end.unwrap_or_default().max(end));
            }
        }
        older
    }
}
