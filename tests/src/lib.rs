//! What the end-to-end tests of several kinds share: ledgers, forged batches, a sensor without
//! manners, and the machinery that hurts a mesh of real processes and judges it from outside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test library: it fails by panicking and speaks to whoever runs it"
)]

pub mod book;
pub mod breach;
pub mod client;
pub mod clients;
pub mod door;
pub mod draw;
pub mod forge;
pub mod ground;
pub mod heal;
pub mod judge;
pub mod ledger;
pub mod network;
pub mod player;
pub mod register;
pub mod rig;
pub mod scan;
pub mod shell;
pub mod stop;
pub mod verdict;
pub mod volume;
pub mod watch;
pub mod worth;
