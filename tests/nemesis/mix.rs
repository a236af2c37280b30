//! N26: the random mix. The leader is killed every 20 seconds whatever else goes on; beside that, each
//! fault comes once in every round, in an order that the seed decides.

use std::collections::BTreeMap;
use std::sync::{Mutex, RwLock, RwLockWriteGuard};
use std::time::{Duration, Instant};

use wardmesh_tests::breach::Invariant;
use wardmesh_tests::draw::Draw;
use wardmesh_tests::heal;
use wardmesh_tests::rig::Rig;
use wardmesh_tests::watch::Watch;

use crate::arguments::Arguments;
use crate::faults::{Blow, FAULTS, Fault, LEADER_KILL};

/// Between two kills of the leader.
pub(crate) const KILL_EVERY: Duration = Duration::from_secs(20);

/// Between two other faults.
const BREATH: Duration = Duration::from_millis(1_000);

/// How long after a kill amid other faults its gap is looked for.
const GAP_SPAN: Duration = Duration::from_secs(10);

/// How long after a kill that is to be alone all other faults are kept away at most: until its gap is
/// too long beyond doubt.
const ALONE_MAX: Duration = heal::GAP_MAX.saturating_add(Duration::from_secs(1));

/// The first turn of a fault is drawn from so many, so that a short run does not always have the first
/// variant of each: a multiple of all numbers of variants there are, 2, 3 and 5.
const TURNS: usize = 30;

/// A kill of the leader.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kill {
    at: Instant,
    /// For how long its gap is looked for.
    span: Duration,
    /// Nothing else was wrong meanwhile.
    pub(crate) alone: bool,
}

/// The mix, and what came of it.
pub(crate) struct Mix<'a> {
    arguments: &'a Arguments,
    rig: &'a Rig,
    watch: &'a Watch,
    /// Held for reading by every other fault, and for writing by a kill that is to be alone.
    alone: RwLock<()>,
    counts: Mutex<BTreeMap<&'static str, u64>>,
    kills: Mutex<Vec<Kill>>,
}

impl<'a> Mix<'a> {
    pub(crate) fn new(arguments: &'a Arguments, rig: &'a Rig, watch: &'a Watch) -> Self {
        let (alone, counts, kills) = (RwLock::new(()), Mutex::default(), Mutex::default());
        Self { arguments, rig, watch, alone, counts, kills }
    }

    /// Those that are run here.
    pub(crate) fn deck(&self) -> Vec<&'static Fault> {
        let wanted = |fault: &&Fault| self.arguments.wants(fault.id);
        FAULTS.iter().copied().filter(wanted).filter(|one| self.rig.allows(one.needs)).collect()
    }

    /// How often a fault happened.
    pub(crate) fn count(&self, id: &str) -> u64 {
        self.counts.lock().unwrap().get(id).copied().unwrap_or(0)
    }

    /// The longest times without an acknowledgement after kills, the longest last.
    pub(crate) fn gaps(&self, alone: bool) -> Vec<Duration> {
        let kills = self.kills.lock().unwrap();
        let wanted = kills.iter().filter(|kill| kill.alone || !alone);
        let mut gaps: Vec<_> = wanted.map(|kill| self.watch.gap(kill.at, kill.span)).collect();
        gaps.sort_unstable();
        gaps
    }

    /// Runs until the deadline, beyond which only the first round goes on, until `stop` at most; then
    /// every fault has been mended.
    pub(crate) fn run(&self, deadline: Instant, stop: Instant) -> anyhow::Result<()> {
        std::thread::scope(|scope| {
            let killer = scope.spawn(|| self.kill_leaders(deadline));
            let dealt = self.deal(deadline, stop);
            let killed = killer.join().map_err(|_| anyhow::anyhow!("the killer panicked"))?;
            dealt.and(killed)
        })
    }

    fn kill_leaders(&self, deadline: Instant) -> anyhow::Result<()> {
        let mut draw = Draw::new(self.arguments.seed ^ 0x6b69_6c6c);
        let mut due = Instant::now();
        let mut turn = 0;
        while self.arguments.wants(LEADER_KILL.id) && due + Duration::from_secs(5) < deadline {
            self.rig.rest(due.saturating_duration_since(Instant::now()))?;
            // Every other time nothing else is going on, if the fault that is under way ends soon.
            let guard = if turn % 2 == 0 { self.quiet(due + KILL_EVERY / 2)? } else { None };
            let alone = guard.is_some();
            // A leader that another fault has is waited for, as long as the next kill is not due.
            while Instant::now() < due + KILL_EVERY {
                let at = Instant::now();
                if self.strike(LEADER_KILL, &mut draw)? {
                    let span = if alone { self.judge_alone(at)? } else { GAP_SPAN };
                    self.kills.lock().unwrap().push(Kill { at, span, alone });
                    break;
                }
                self.rig.rest(Duration::from_millis(100))?;
            }
            turn += 1;
            due += KILL_EVERY;
        }
        Ok(())
    }

    /// Waits until acknowledgements come again, and judges how long that took; gives the time that it
    /// looked at, in which nothing else was wrong.
    fn judge_alone(&self, kill: Instant) -> anyhow::Result<Duration> {
        let mended = Instant::now();
        while !self.watch.acked_since(mended) && kill.elapsed() < ALONE_MAX {
            self.rig.rest(Duration::from_millis(50))?;
        }
        let span = kill.elapsed();
        self.rig.breaches.expect(Invariant::NotHealed, heal::resumed(self.watch.gap(kill, span)));
        Ok(span)
    }

    /// Keeps all other faults away, once the one that is under way has ended.
    fn quiet(&self, until: Instant) -> anyhow::Result<Option<RwLockWriteGuard<'_, ()>>> {
        while Instant::now() < until {
            if let Ok(guard) = self.alone.try_write() {
                return Ok(Some(guard));
            }
            self.rig.rest(Duration::from_millis(50))?;
        }
        Ok(None)
    }

    fn deal(&self, deadline: Instant, stop: Instant) -> anyhow::Result<()> {
        let mut draw = Draw::new(self.arguments.seed);
        let mut deck: Vec<&Fault> = Vec::new();
        let mut round = 0;
        loop {
            if deck.is_empty() {
                deck = self.deck();
                draw.shuffle(&mut deck);
                round += 1;
            }
            // On a slow machine one round takes longer than a short run, and each fault is due once.
            let end = if round == 1 { stop } else { deadline };
            if Instant::now() + BREATH >= end {
                return Ok(());
            }
            if let Some(fault) = deck.pop() {
                let _guard = self.alone.read().unwrap();
                self.again(fault, &mut draw, end)?;
            }
            self.rig.rest(BREATH)?;
        }
    }

    /// Tries until it happens: at the moment nobody may lead, or another fault has the node.
    fn again(
        &self,
        fault: &'static Fault,
        draw: &mut Draw,
        deadline: Instant,
    ) -> anyhow::Result<()> {
        while Instant::now() < deadline && !self.strike(fault, draw)? {
            self.rig.rest(Duration::from_millis(100))?;
        }
        Ok(())
    }

    fn strike(&self, fault: &'static Fault, draw: &mut Draw) -> anyhow::Result<bool> {
        let first = Draw::of(self.arguments.seed, fault.id).below(TURNS);
        let turn = first + usize::try_from(self.count(fault.id))?;
        let at = Instant::now();
        let mut blow = Blow { rig: self.rig, watch: self.watch, draw, turn };
        match (fault.strike)(&mut blow) {
            Ok(false) => return Ok(false),
            Ok(true) => {}
            Err(cause) if self.rig.stopped.load(std::sync::atomic::Ordering::Acquire) => {
                return Err(cause);
            }
            // What a fault waits for is that the mesh mends itself.
            Err(cause) => {
                let what = format!("{} {}: {cause:#}", fault.id, fault.what);
                self.rig.breaches.note(Invariant::NotHealed, what);
            }
        }
        *self.counts.lock().unwrap().entry(fault.id).or_default() += 1;
        let seconds = at.elapsed().as_secs_f64();
        let (id, what, acked) = (fault.id, fault.what, self.watch.acked());
        println!("  {id:<5} {what} ({seconds:.1} s), {acked} events acknowledged");
        Ok(true)
    }
}
