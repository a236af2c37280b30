//! The contract between sensors and aggregators: what an event is, how it is named, timed, hashed,
//! framed and signed for.
//!
//! Everything here except [`telemetry`], [`config`], [`space`] and [`tls`] is pure: values in, values out, time
//! as an argument. Both sides depend on this crate and never on each other.

pub mod clock;
pub mod config;
pub mod event;
#[doc(hidden)]
pub mod fault;
#[doc(hidden)]
pub mod golden;
pub mod id;
pub mod link;
pub mod map;
pub mod net;
pub mod offload;
pub mod random;
pub mod shutdown;
pub mod sighting;
pub mod space;
pub mod telemetry;
pub mod text;
pub mod time;
pub mod tls;
pub mod wire;
