//! The whole system in one process and one thread, under a seed: sensors' pipelines, spools and
//! uplinks, nodes' ingest, consensus and state, on a network and on disks that fail.
//!
//! `just sim 200` runs seeds, `just sim-seed N` runs one and prints all of it; the same seed gives the
//! same run, bit for bit.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod client;
mod clock;
mod dice;
mod disk;
mod host;
mod invariants;
mod judge;
mod least;
mod link;
mod log;
mod nemesis;
mod network;
mod node;
mod operator;
mod plant;
mod planted;
mod replay;
mod seeds;
mod sensor;
mod trace;
mod world;

use std::cell::Cell;
use std::sync::Once;

thread_local! {
    static PANICS: Cell<u64> = const { Cell::new(0) };
}

/// How many tasks have panicked on this thread.
fn panics() -> u64 {
    PANICS.get()
}

/// Counts panics from now on: a task's would only be seen by who waits for it.
fn count_panics() {
    static HOOKED: Once = Once::new();
    HOOKED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |what| {
            PANICS.set(PANICS.get() + 1);
            before(what);
        }));
    });
}
