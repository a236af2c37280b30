//! The operator's `wardmesh` command: one file a subcommand, one client for all of them.
//!
//! Data goes to standard output, everything else to standard error; the exit code says what kind of
//! failure it was ([`failure::Exit`]).

pub mod access;
pub mod api;
pub mod cli;
pub mod cluster;
pub mod demo;
pub mod devices;
pub mod events;
pub mod failure;
pub mod findings;
pub mod list;
pub mod local;
pub mod output;
pub mod sensors;
pub mod simulate;
pub mod sites;
pub mod status;
#[cfg(test)]
mod testing;

pub use cli::run;
