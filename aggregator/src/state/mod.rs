//! What all replicas agree on.

pub mod command;
pub mod receipt;
