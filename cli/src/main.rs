//! Wardmesh.
fn main() {}
