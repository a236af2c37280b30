//! The aggregator: batches in, one agreed state out.

pub mod aggregator;
pub mod backend;
pub mod backfill;
pub mod cli;
pub mod config;
pub mod correlate;
pub mod facets;
pub mod housekeeping;
pub mod http;
pub mod ingest;
pub mod listener;
pub mod metrics;
pub mod raft;
pub mod replica;
pub mod state;
pub mod store;
mod waiting;
