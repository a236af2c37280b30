//! What the benches share: reports, stopwatches, what processes cost, captures and events.
//!
//! The figures are for people and for the closing note of a change; nothing here asserts a time,
//! since a busy machine would make it lie. `benches/README.md` says what each figure means.

pub mod captures;
pub mod client;
pub mod cluster;
pub mod events;
pub mod ingest;
pub mod latencies;
pub mod live;
pub mod memory;
pub mod process;
pub mod report;
pub mod spooled;
pub mod stopwatch;
