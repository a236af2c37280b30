//! End-to-end tests: real nodes and sensors as processes on loopback, killed as a power cut kills.
//!
//! Each test has a mesh of its own with its own folder and ports. What sensors promised stands in
//! their ledgers, what the cluster holds is asked over HTTP; no test looks into a process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod damaged_disk;
mod demo_once;
mod disk_full;
mod every_node_answers;
mod failed_sync;
mod hand_over;
mod harness;
mod hostile_sensor;
mod leader_asleep;
mod leader_killed;
mod membership;
mod no_patient;
mod restart;
mod sensor_killed;
mod snapshot_and_purge;
mod strace;
