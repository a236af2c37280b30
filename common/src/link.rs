//! Frames on a QUIC stream: `[length u32][sent_at u64][frame]`, little-endian.
//!
//! The prefix is outside the frame because a frame is sealed once and may wait in a spool for days:
//! only the prefix knows when it was sent, from which the clocks' offset follows.

use bytes::Bytes;
use quinn::{ReadExactError, RecvStream, SendStream, WriteError};

use crate::time::Timestamp;
use crate::wire::FRAME_LENGTH_MAX;
use crate::wire::frame::HEADER_LENGTH;

/// Bytes before each frame.
pub const PREFIX_LENGTH: usize = 12;

/// Why no frame could be read.
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
pub async fn receive(stream: &mut RecvStream) -> Result<Option<(Timestamp, Bytes)>, LinkError> {
    let mut prefix = [0; PREFIX_LENGTH];
    match stream.read_exact(&mut prefix).await {
        Ok(()) => {}
        Err(ReadExactError::FinishedEarly(0)) => return Ok(None),
        Err(cause) => return Err(LinkError::Lost(cause.to_string())),
    }
    let [a, b, c, d, sent_at @ ..] = prefix;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    if !(HEADER_LENGTH..=FRAME_LENGTH_MAX).contains(&length) {
        return Err(LinkError::Length(length));
    }
    let mut frame = vec![0; length];
    stream.read_exact(&mut frame).await.map_err(|cause| LinkError::Lost(cause.to_string()))?;
    Ok(Some((Timestamp::from_nanos(u64::from_le_bytes(sent_at)), frame.into())))
}

/// Sends a frame.
///
/// # Errors
/// Where the stream or connection is gone.
pub async fn send(stream: &mut SendStream, at: Timestamp, frame: Bytes) -> Result<(), WriteError> {
    let mut prefix = Vec::with_capacity(PREFIX_LENGTH);
    prefix.extend_from_slice(&(frame.len() as u32).to_le_bytes());
    prefix.extend_from_slice(&at.as_nanos().to_le_bytes());
    stream.write_all_chunks(&mut [prefix.into(), frame]).await
}
