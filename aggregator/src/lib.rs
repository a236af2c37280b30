//! The aggregator: batches in, one agreed state out.

pub mod correlate;
pub mod http;
pub mod state;
pub mod store;
