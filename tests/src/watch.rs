//! Looks at a rig all the time, from outside: who ended, whose term went back, whether linearizable
//! reads do, and when acknowledgements came.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::breach::Invariant;
use crate::rig::{NODES, Rig};

/// Between two looks at the ledgers: what a gap between acknowledgements is measured to.
const LEDGER_POLL: Duration = Duration::from_millis(25);

/// Between two looks at a node.
const NODE_POLL: Duration = Duration::from_millis(300);

/// Between two linearizable reads.
const READ_POLL: Duration = Duration::from_millis(100);

/// What was seen.
#[derive(Debug, Default)]
pub struct Watch {
    done: AtomicBool,
    /// The highest log index that anybody said to be applied.
    known: AtomicU64,
    /// Linearizable reads that succeeded, and that were refused.
    pub reads: (AtomicU64, AtomicU64),
    /// When acknowledgements came, with how many events there were by then.
    pub acks: Mutex<Vec<(Instant, u64)>>,
    /// The highest term that each node said, over all its lives.
    terms: Mutex<BTreeMap<usize, u64>>,
}

impl Watch {
    /// Watches until [`Watch::end`]; threads of `scope`.
    pub fn begin<'scope>(
        &'scope self,
        scope: &'scope std::thread::Scope<'scope, '_>,
        rig: &'scope Rig,
    ) {
        scope.spawn(|| self.each(LEDGER_POLL, || self.ledgers(rig)));
        for node in 0..NODES {
            scope.spawn(move || self.each(NODE_POLL, || self.node(rig, node)));
        }
        let mut turn = 0;
        scope.spawn(move || {
            self.each(READ_POLL, || {
                turn += 1;
                self.read(rig, turn % NODES);
            });
        });
    }

    /// Ends all watching.
    pub fn end(&self) {
        self.done.store(true, Ordering::Release);
    }

    fn each(&self, pause: Duration, mut look: impl FnMut()) {
        while !self.done.load(Ordering::Acquire) {
            look();
            std::thread::sleep(pause);
        }
    }

    fn ledgers(&self, rig: &Rig) {
        let mut acked = 0;
        for post in &rig.sensors {
            let mut book = post.book.lock().unwrap();
            // A ledger that cannot be read now can be later; the end reads all of it.
            let _ = book.follow();
            acked += book.acked;
            if let Ok(Some(status)) = post.ended() {
                let what = format!("{} ended by itself: {status}", post.name);
                rig.breaches.note(Invariant::Ended, what);
            }
        }
        let mut acks = self.acks.lock().unwrap();
        if acks.last().is_none_or(|(_, before)| *before < acked) {
            acks.push((Instant::now(), acked));
        }
    }

    fn node(&self, rig: &Rig, node: usize) {
        let seat = &rig.nodes[node];
        if let Ok(Some(status)) = rig.ended_by_itself(node) {
            let what = format!("node {} ended by itself: {status}", node + 1);
            rig.breaches.note(Invariant::Ended, what);
            // So that the rest of the run says something as well.
            let _ = rig.start(node);
        }
        if seat.is_up()
            && let Some(view) = seat.look()
        {
            self.known.fetch_max(view.applied, Ordering::AcqRel);
            self.term(rig, node, view.term);
        }
    }

    /// A node is replaced by one that knows nothing: its term begins anew.
    pub fn forget(&self, node: usize) {
        self.terms.lock().unwrap().remove(&node);
    }

    /// A term is on disk before it is said (Raft paper, figure 2: currentTerm is persistent).
    pub fn term(&self, rig: &Rig, node: usize, term: u64) {
        let mut terms = self.terms.lock().unwrap();
        let highest = terms.entry(node).or_default();
        if term < *highest {
            let what = format!("node {} says term {term} after term {highest}", node + 1);
            rig.breaches.note(Invariant::TermWentBack, what);
        }
        *highest = term.max(*highest);
    }

    /// A linearizable read at a node: one that began when an index was known to be applied somewhere
    /// must know it too.
    pub fn read(&self, rig: &Rig, node: usize) {
        let floor = self.known.load(Ordering::Acquire);
        let path = "/api/v1/cluster?consistency=linearizable";
        let answer = rig.door(node).json(path).and_then(|cluster| cluster["applied"].as_u64());
        let Some(applied) = answer else {
            self.reads.1.fetch_add(1, Ordering::Relaxed);
            return;
        };
        self.reads.0.fetch_add(1, Ordering::Relaxed);
        if applied < floor {
            let what = format!("node {} answered {applied} after {floor} was known", node + 1);
            rig.breaches.note(Invariant::StaleRead, what);
        }
        self.known.fetch_max(applied, Ordering::AcqRel);
    }

    /// The longest time without an acknowledgement in a span that begins at `from`.
    #[must_use]
    pub fn gap(&self, from: Instant, span: Duration) -> Duration {
        let acks = self.acks.lock().unwrap();
        let end = from + span;
        let mut last = from;
        let mut longest = Duration::ZERO;
        for (at, _) in acks.iter().filter(|(at, _)| *at > from && *at <= end) {
            longest = longest.max(at.duration_since(last));
            last = *at;
        }
        longest.max(end.min(Instant::now()).saturating_duration_since(last))
    }

    /// Whether an acknowledgement came after a moment.
    #[must_use]
    pub fn acked_since(&self, moment: Instant) -> bool {
        self.acks.lock().unwrap().last().is_some_and(|(at, _)| *at > moment)
    }

    /// Events that were acknowledged by now.
    #[must_use]
    pub fn acked(&self) -> u64 {
        self.acks.lock().unwrap().last().map_or(0, |(_, acked)| *acked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heal;

    #[test]
    fn the_longest_silence_after_a_kill_is_found() {
        let second = Duration::from_secs(1);
        let kill = Instant::now().checked_sub(60 * second).unwrap();
        let watch = Watch::default();
        let acks =
            [(1, 10), (2, 20), (14, 30), (15, 40)].map(|(at, acked)| (kill + at * second, acked));
        watch.acks.lock().unwrap().extend(acks);
        assert_eq!(watch.gap(kill, 15 * second), 12 * second);
        assert!(heal::resumed(watch.gap(kill, 15 * second)).is_err());
        assert!(heal::resumed(watch.gap(kill, 10 * second)).is_ok());
        // Nothing came at all.
        let silence = Watch::default().gap(kill, 20 * second);
        assert!(heal::resumed(silence).is_err(), "{silence:?}");
        assert!(watch.acked_since(kill) && !watch.acked_since(kill + 15 * second));
    }
}
