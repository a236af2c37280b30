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

/// Of every process that can be a node. A batch's buffers are large and live shortly, for which the C
/// library's returns memory to the system and takes it again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
