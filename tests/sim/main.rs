//! The whole system in one process and one thread, under a seed: sensors' pipelines, spools and
//! uplinks, nodes' ingest, consensus and state, on a network and on disks that fail.
//!
//! `just sim 200` runs seeds, `just sim-seed N` runs one and prints all of it; the same seed gives the
//! same run, bit for bit.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod clock;
mod dice;
mod disk;
mod host;
mod invariants;
mod judge;
mod link;
mod log;
mod nemesis;
mod network;
mod node;
mod plant;
mod sensor;
mod seeds;
mod trace;
mod world;
