//! What makes the replicas agree: the only folder that names openraft and raft-log.

pub mod codec;
mod folder;
pub mod log_store;
pub mod snapshot;
pub mod state_machine;
#[cfg(test)]
pub(crate) mod testing;
pub mod types;
