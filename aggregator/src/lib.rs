//! The aggregator: batches in, one agreed state out.

pub mod raft;
pub mod state;
