//! The parts of the `ingest` bench: what is sent, who sends it, what takes it in, and the limits that
//! it is held against.

pub mod bare;
pub mod limits;
pub mod link;
pub mod load;
pub mod options;
pub mod outcome;
pub mod workload;
