//! A host's clocks and chance: simulated time, a wall clock with an error of its own, seeded bits.
//!
//! The product asks `common::clock`, `common::random` and tokio; this thread answers them for the host
//! that runs now.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use wardmesh_common::time::Timestamp;
use wardmesh_common::{clock, random};

use crate::dice::Dice;

/// What wall clocks without an error show when a run begins: 2026-01-01.
const BEGIN: i64 = 1_767_225_600;

/// The clocks and the chance of one host.
#[derive(Clone)]
pub(crate) struct Here {
    /// Simulated time at its start.
    pub(crate) base: Duration,
    /// The same instant by its runtime's clock.
    pub(crate) started: Instant,
    /// The error of its wall clock, milliseconds.
    pub(crate) skew: Arc<AtomicI64>,
    pub(crate) dice: Arc<Mutex<Dice>>,
}

thread_local! {
    static HERE: RefCell<Option<Here>> = const { RefCell::new(None) };
}

/// The host that runs from now on, or none.
pub(crate) fn enter(here: Option<Here>) {
    HERE.set(here);
}

/// Simulated time on the host that runs.
pub(crate) fn now() -> Duration {
    HERE.with_borrow(|here| {
        let here = here.as_ref().expect("no host runs");
        here.base + here.started.elapsed()
    })
}

fn wall() -> Timestamp {
    let skew = HERE.with_borrow(|here| here.as_ref().map_or(0, |h| h.skew.load(Ordering::Relaxed)));
    let since = if HERE.with_borrow(Option::is_some) { now() } else { Duration::ZERO };
    let millis = BEGIN * 1_000 + skew;
    let at = Duration::from_millis(u64::try_from(millis).unwrap_or(0)) + since;
    Timestamp::from_parts(at.as_secs(), at.subsec_nanos())
}

fn bits() -> u64 {
    HERE.with_borrow(|here| here.as_ref().map_or(0, |here| here.dice.lock().next()))
}

/// Has this thread ask the simulation; until the guard is dropped.
pub(crate) fn substitute() -> Substituted {
    clock::substitute(Some(Rc::new(wall)));
    random::substitute(Some(Rc::new(bits)));
    Substituted
}

pub(crate) struct Substituted;

impl Drop for Substituted {
    fn drop(&mut self) {
        clock::substitute(None);
        random::substitute(None);
        enter(None);
    }
}
