//! Golden tests of `inspect`: what it reports, held against files that say what is there.
//!
//! `own` compares captures that the project generates with committed summaries and runs everywhere;
//! `every_capture` and `peers` need the captures of others beside the checkout and say so where
//! those are absent.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod every_capture;
mod inspected;
mod own;
mod peers;
