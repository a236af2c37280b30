//! Sensors in.

pub mod admission;
