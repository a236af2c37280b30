//! A snapshot's file on a stream: its bytes in chunks, then their crc32c (RFC 3720 section 12.1).
//!
//! Neither side holds more than a few chunks of it, and a stream that stands still is given up. What
//! had arrived by then is not sent again: the sender asks first what the receiver has.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use quinn::SendStream;
use tokio::io::{AsyncRead, AsyncReadExt};
use wardmesh_common::offload;

use super::peers::{CallError, Peer, Peers};
use crate::raft::rpc::{Failure, REPLY_LENGTH_MAX, Reply, Request, SnapshotOffer};
use crate::raft::snapshot::SnapshotFile;
use crate::raft::types::{Snapshot, Vote};

/// Bytes read from the file at once: large enough to keep a disk busy, small in memory.
const CHUNK_LENGTH: usize = 256 * 1024;

/// How long a peer may read what it has of a snapshot: some gigabytes.
const HELD_PATIENCE: Duration = Duration::from_secs(60);

/// How long one chunk may take on its way; the whole is bounded by openraft's
/// `install_snapshot_timeout`.
const CHUNK_PATIENCE: Duration = Duration::from_secs(10);

impl Peers {
    /// Sends a snapshot and waits until the peer has installed it.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn send_snapshot(
        self: &Arc<Self>,
        peer: &Peer,
        vote: Vote,
        snapshot: Snapshot,
    ) -> Result<Reply, CallError> {
        let Snapshot { meta, snapshot: file } = snapshot;
        let of = file.clone();
        let sum = blocking(move || of.sum()).await.map_err(lost)?;
        let mut offer = SnapshotOffer { vote, meta, length: file.length(), sum, offset: 0 };
        offer.offset = self.held(peer, &offer, &file).await?;
        self.send_offered(peer, offer, file).await
    }

    /// Sends what an offer says, from its offset on.
    pub(crate) async fn send_offered(
        self: &Arc<Self>,
        peer: &Peer,
        offer: SnapshotOffer,
        file: SnapshotFile,
    ) -> Result<Reply, CallError> {
        let (offset, length) = (offer.offset, offer.length);
        let request = Request::Snapshot(offer).encode(self.sender())?;
        if let Some(carrier) = self.carrier() {
            let file = all_of(file, offset, length).await.map_err(lost)?;
            return Ok(Reply::decode(carrier.exchange(peer, request, file).await?)?);
        }
        let connection = self.connection(peer).await?;
        let (mut send, mut receive) = connection.open_bi().await.map_err(lost)?;
        send.write_chunk(request).await.map_err(lost)?;
        // The receiver may refuse while the file is still on its way; its answer says why.
        if let Err(cause) = send_file(&mut send, file, offset, length).await {
            tracing::debug!(%cause, peer = %peer.address, "the snapshot did not get through");
            // What is under way still arrives, and the receiver does not wait for more.
            let _ = send.finish();
        }
        let reply = receive.read_to_end(REPLY_LENGTH_MAX).await.map_err(lost)?;
        Ok(Reply::decode(reply.into())?)
    }

    /// How many bytes from the beginning the peer has: those that an earlier attempt brought there,
    /// of this leader's or of another's, if they are the same bytes.
    async fn held(
        self: &Arc<Self>,
        peer: &Peer,
        offer: &SnapshotOffer,
        file: &SnapshotFile,
    ) -> Result<u64, CallError> {
        let asking = Request::SnapshotHeld(offer.name());
        let (offset, checksum) = match self.call(peer, &asking, HELD_PATIENCE).await? {
            Reply::SnapshotHeld { offset, checksum } => (offset, checksum),
            // What it has it has not put away yet: to begin anew would throw that away.
            Reply::Failed(failure @ Failure::Overloaded { .. }) => return Err(lost(failure)),
            _ => return Ok(0),
        };
        if offset == 0 || offset > offer.length {
            return Ok(0);
        }
        let of = file.clone();
        let own = blocking(move || of.checksum(offset)).await.map_err(lost)?;
        if own != checksum {
            tracing::warn!(peer = %peer.address, offset, "what it has of the snapshot is damaged");
            return Ok(0);
        }
        tracing::info!(peer = %peer.address, offset, length = offer.length, "going on with a snapshot");
        Ok(offset)
    }
}

async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    offload::run(read).await?
}

fn lost(cause: impl std::fmt::Display) -> CallError {
    CallError::Lost(cause.to_string())
}

async fn send_file(
    stream: &mut SendStream,
    file: SnapshotFile,
    mut offset: u64,
    length: u64,
) -> Result<(), CallError> {
    let mut checksum = 0;
    while offset < length {
        let chunk = read_chunk(file.clone(), offset, length).await.map_err(lost)?;
        checksum = crc32c::crc32c_append(checksum, &chunk);
        offset += chunk.len() as u64;
        let writing = stream.write_chunk(chunk);
        tokio::time::timeout(CHUNK_PATIENCE, writing)
            .await
            .map_err(|_| CallError::TimedOut(CHUNK_PATIENCE))?
            .map_err(lost)?;
    }
    stream.write_all(&checksum.to_le_bytes()).await.map_err(lost)?;
    stream.finish().map_err(lost)
}

async fn read_chunk(file: SnapshotFile, offset: u64, length: u64) -> io::Result<Bytes> {
    let due = usize::try_from(length - offset).unwrap_or(CHUNK_LENGTH).min(CHUNK_LENGTH);
    let reading = move || {
        let mut chunk = vec![0; due];
        let read = file.read_at(&mut chunk, offset)?;
        chunk.truncate(read);
        if read == 0 {
            let why = "the snapshot's file is shorter than it was";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
        }
        Ok(Bytes::from(chunk))
    };
    blocking(reading).await
}

/// What follows an offer on a stream, for a carrier that has none: the file's bytes from an offset on
/// and their checksum.
async fn all_of(file: SnapshotFile, mut offset: u64, length: u64) -> io::Result<Bytes> {
    let mut all = BytesMut::new();
    while offset < length {
        let chunk = read_chunk(file.clone(), offset, length).await?;
        offset += chunk.len() as u64;
        all.extend_from_slice(&chunk);
    }
    let checksum = crc32c::crc32c(&all);
    all.extend_from_slice(&checksum.to_le_bytes());
    Ok(all.freeze())
}

/// Writes `length` bytes of a snapshot that is being sent to `out`, which is handed back complete or
/// with what had arrived when the stream broke.
///
/// # Errors
/// The disk's: then `out` is gone. Within: the stream's, and `InvalidData` where the checksum does
/// not hold.
pub(crate) async fn receive_file<S: AsyncRead + Send + Unpin, W: Write + Send + 'static>(
    stream: &mut S,
    length: u64,
    mut out: W,
) -> io::Result<(W, io::Result<()>)> {
    let (mut left, mut checksum) = (length, 0);
    while left > 0 {
        let chunk = match receive_chunk(stream, left).await {
            Ok(chunk) => chunk,
            Err(cause) => return Ok((out, Err(cause))),
        };
        checksum = crc32c::crc32c_append(checksum, &chunk);
        left -= chunk.len() as u64;
        out = blocking(move || out.write_all(&chunk).map(|()| out)).await?;
    }
    let mut expected = [0; 4];
    let reading = tokio::time::timeout(CHUNK_PATIENCE, stream.read_exact(&mut expected)).await;
    let read = reading.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    if let Err(cause) = read {
        return Ok((out, Err(cause)));
    }
    if u32::from_le_bytes(expected) != checksum {
        let why = "the snapshot's checksum does not hold: it was damaged on its way";
        return Ok((out, Err(io::Error::new(io::ErrorKind::InvalidData, why))));
    }
    Ok((out, Ok(())))
}

/// The next bytes of a file of which so many are still to come.
async fn receive_chunk<S: AsyncRead + Send + Unpin>(
    stream: &mut S,
    left: u64,
) -> io::Result<BytesMut> {
    let most = usize::try_from(left).unwrap_or(CHUNK_LENGTH).min(CHUNK_LENGTH);
    let mut chunk = BytesMut::with_capacity(most);
    while chunk.len() < most {
        let received = chunk.len();
        let mut room = (&mut chunk).limit(most - received);
        let reading = tokio::time::timeout(CHUNK_PATIENCE, stream.read_buf(&mut room));
        match reading.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?? {
            0 if chunk.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
            0 => break,
            _ => {}
        }
    }
    Ok(chunk)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::io::AsyncWriteExt;

    use super::*;

    /// Everything but the checksum comes, and then nothing.
    #[tokio::test(start_paused = true)]
    async fn a_stream_that_stands_still_is_given_up_also_before_its_last_bytes() {
        for sent in [0, 3, 10, 12] {
            let (mut far, mut near) = tokio::io::duplex(64);
            far.write_all(&vec![7; sent]).await.unwrap();
            let (out, received) = receive_file(&mut near, 10, Vec::new()).await.unwrap();
            assert_eq!(received.unwrap_err().kind(), io::ErrorKind::TimedOut, "{sent}");
            assert!(out.len() <= sent, "{sent}");
        }
    }
}
