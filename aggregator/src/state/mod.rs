//! What all replicas agree on.

pub mod command;
pub mod effects;
pub mod receipt;
