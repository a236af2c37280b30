//! Wardmesh.

pub mod simulate;
