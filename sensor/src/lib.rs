//! The capture agent: frames in, events out, kept until the aggregator has them.

pub mod batch;
pub mod capture;
pub mod cli;
pub mod config;
pub mod decode;
pub mod dissect;
pub mod feed;
pub mod flow;
pub mod inspect;
pub mod ledger;
pub mod pipeline;
pub mod sensor;
pub mod spool;
pub mod tally;
pub mod uplink;
