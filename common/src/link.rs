//! Frames on a stream: `[length u32][sent_at u64][frame]`, little-endian.
//!
//! The prefix is outside the frame because a frame is sealed once and may wait in a spool for days:
//! only the prefix knows when it was sent, from which the clocks' offset follows. What carries the
//! streams is QUIC ([`quic`]), or memory in a simulation.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;

use crate::time::Timestamp;
use crate::tls::Principal;
use crate::wire::FRAME_LENGTH_MAX;
use crate::wire::frame::HEADER_LENGTH;

pub mod quic;
pub mod silence;

/// Bytes before each frame.
pub const PREFIX_LENGTH: usize = 12;

/// What a carrier's calls return.
pub type Carried<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A connection between a sensor and a node; who the far end is was settled when it was made.
pub trait Connection: Send + Sync {
    /// Opens a stream.
    fn open(&self) -> Carried<'_, Result<Stream, LinkError>>;

    /// Waits for the far end to open a stream.
    fn accept(&self) -> Carried<'_, Result<Stream, LinkError>>;

    /// Completes with the cause when the connection is over.
    fn closed(&self) -> Carried<'_, String>;

    /// Ends it, telling the far end why.
    fn close(&self, code: u32, reason: &str);

    /// Completes when the far end could have learned of the close.
    fn drained(&self) -> Carried<'_, ()>;

    /// Whose certificate the far end has.
    ///
    /// # Errors
    /// In words, where it has none or one that names nobody of ours.
    fn principal(&self) -> Result<Principal, String>;

    /// Where the far end is, for logs.
    fn remote(&self) -> String;
}

/// Both directions of a stream.
pub struct Stream {
    /// Our half.
    pub send: Sender,
    /// The far end's.
    pub receive: Receiver,
}

/// The writing half of a stream.
pub type Sender = Box<dyn Outgoing>;

/// The reading half of a stream.
pub type Receiver = Box<dyn Incoming>;

/// What can be written to.
pub trait Outgoing: Send {
    /// Writes all of both chunks, in their order.
    fn write(&mut self, chunks: [Bytes; 2]) -> Carried<'_, Result<(), LinkError>>;

    /// Ends the stream in order and completes when the far end has all of it, or is gone.
    fn finish(&mut self) -> Carried<'_, ()>;
}

/// What can be read from.
pub trait Incoming: Send {
    /// Fills the buffer; `false` where the stream ended in order before the first byte.
    fn fill<'a>(&'a mut self, buffer: &'a mut [u8]) -> Carried<'a, Result<bool, LinkError>>;
}

impl Outgoing for Sender {
    fn write(&mut self, chunks: [Bytes; 2]) -> Carried<'_, Result<(), LinkError>> {
        (**self).write(chunks)
    }

    fn finish(&mut self) -> Carried<'_, ()> {
        (**self).finish()
    }
}

impl Incoming for Receiver {
    fn fill<'a>(&'a mut self, buffer: &'a mut [u8]) -> Carried<'a, Result<bool, LinkError>> {
        (**self).fill(buffer)
    }
}

/// Why a frame could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The stream ended inside a frame, or the connection was lost.
    #[error("the stream broke off: {0}")]
    Lost(String),
    /// The peer announces a frame that is longer or shorter than any.
    #[error(
        "a frame of {0} bytes was announced; from {HEADER_LENGTH} to {FRAME_LENGTH_MAX} are read"
    )]
    Length(usize),
}

/// The next frame and when it was sent by the peer's clock; `None` at the stream's orderly end.
///
/// # Errors
/// [`LinkError`]. Nothing is allocated before the length is checked.
pub async fn receive(stream: &mut impl Incoming) -> Result<Option<(Timestamp, Bytes)>, LinkError> {
    let mut prefix = [0; PREFIX_LENGTH];
    if !stream.fill(&mut prefix).await? {
        return Ok(None);
    }
    let [a, b, c, d, sent_at @ ..] = prefix;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    if !(HEADER_LENGTH..=FRAME_LENGTH_MAX).contains(&length) {
        return Err(LinkError::Length(length));
    }
    let mut frame = vec![0; length];
    if !stream.fill(&mut frame).await? {
        return Err(LinkError::Lost("it ended after a prefix".to_owned()));
    }
    Ok(Some((Timestamp::from_nanos(u64::from_le_bytes(sent_at)), frame.into())))
}

/// Sends a frame.
///
/// # Errors
/// Where the stream or connection is gone.
pub async fn send(
    stream: &mut impl Outgoing,
    at: Timestamp,
    frame: Bytes,
) -> Result<(), LinkError> {
    let mut prefix = Vec::with_capacity(PREFIX_LENGTH);
    prefix.extend_from_slice(&(frame.len() as u32).to_le_bytes());
    prefix.extend_from_slice(&at.as_nanos().to_le_bytes());
    stream.write([prefix.into(), frame]).await
}
