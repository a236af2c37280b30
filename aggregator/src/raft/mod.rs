//! What makes the replicas agree: the only folder that names openraft and raft-log.

pub mod clock;
pub mod codec;
pub mod consensus;
mod folder;
pub mod log_store;
pub mod network;
pub mod proposer;
pub mod rpc;
pub mod runtime;
pub mod server;
pub mod snapshot;
mod standing;
pub mod state_machine;
#[cfg(test)]
pub(crate) mod testing;
pub mod types;
