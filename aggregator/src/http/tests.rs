//! The whole router over a fake node: each route, each error, and who is served.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access;
mod conditional;
mod docs;
mod errors;
mod fake;
mod members;
mod paging;
mod reads;
mod writes;
