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

/// What to do with a node whose disk does not hold what it wrote: it may have voted on what is lost.
pub(crate) const REPLACE: &str = "do not start it again on this volume; replace it by an empty node: \
     'wardmesh cluster replace <id> --with <address>', see docs/operations.md";
