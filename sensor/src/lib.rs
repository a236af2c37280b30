//! The capture agent: frames in, events out, kept until the aggregator has them.

pub mod capture;
pub mod decode;
pub mod dissect;
pub mod flow;
pub mod inspect;
pub mod pipeline;
pub mod tally;
