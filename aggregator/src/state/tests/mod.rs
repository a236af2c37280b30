//! What `apply` promises, by scenes: one file a promise.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod classes;
mod clocks;
mod clones;
mod cross_site;
mod dedup;
mod devices;
mod limits;
mod merging;
mod past;
mod registry;
mod replicas;
mod room;
mod updates;
