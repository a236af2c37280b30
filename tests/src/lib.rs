//! Wardmesh.
