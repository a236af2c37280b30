//! What was found to be broken, by invariant: a run with one breach is red.

use std::fmt;
use std::sync::Mutex;

/// How many breaches of one kind are printed: the first ones tell the cause.
const PRINTED_MAX: usize = 5;

/// A promise that can be broken; I1 to I11 are those of the reliability design.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// I1: what was acknowledged is on every node.
    Lost,
    /// I2: what was emitted arrives once all is well again.
    Undelivered,
    /// I3: nothing is there twice.
    Doubled,
    /// I4: nothing is there that nobody sent.
    Phantom,
    /// I6: a lane's batches stand in the log in their order.
    Disorder,
    /// I7: the nodes agree.
    Diverged,
    /// I8: a linearizable read never goes back, and no node gives one that cannot.
    StaleRead,
    /// I8: the history of a register has an order that explains it.
    NotLinearizable,
    /// I10: after the last fault all is well again by itself.
    NotHealed,
    /// I11: a process ended that nobody ended, or ended otherwise than it should.
    Ended,
    /// I11: a log tells of a panic.
    Panicked,
    /// I11: memory or open files grew without end.
    Grew,
    /// A node's term went back over a restart: it may vote twice.
    TermWentBack,
    /// A node serves although its files are damaged.
    ServesDamaged,
    /// Something that is not admissible was admitted.
    Admitted,
    /// What people must be told of was not reported.
    Unreported,
}

/// One breach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Of what.
    pub invariant: Invariant,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.invariant, self.what)
    }
}

/// All breaches of a run, from all its threads.
#[derive(Debug, Default)]
pub struct Breaches(Mutex<Vec<Breach>>);

impl Breaches {
    /// Notes a breach and says it at once.
    pub fn note(&self, invariant: Invariant, what: impl Into<String>) {
        let breach = Breach { invariant, what: what.into() };
        let mut all = self.0.lock().unwrap();
        let same = all.iter().filter(|known| known.invariant == invariant).count();
        if same < PRINTED_MAX {
            eprintln!("!!! RED: {breach}");
        }
        all.push(breach);
    }

    /// Notes what does not hold.
    pub fn expect(&self, invariant: Invariant, held: Result<(), String>) {
        if let Err(what) = held {
            self.note(invariant, what);
        }
    }

    /// Those found so far.
    #[must_use]
    pub fn all(&self) -> Vec<Breach> {
        self.0.lock().unwrap().clone()
    }

    /// How many of one kind.
    #[must_use]
    pub fn count(&self, invariant: Invariant) -> usize {
        self.all().iter().filter(|breach| breach.invariant == invariant).count()
    }
}
