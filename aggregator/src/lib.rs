//! The aggregator: batches in, one agreed state out.

pub mod state;
pub mod store;
