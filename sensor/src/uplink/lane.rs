//! One lane of a session: sends the spool's batches in order within the window, acts on receipts.

use std::time::Duration;

use bytes::Bytes;
use quinn::RecvStream;
use tokio::sync::mpsc;
use tokio::time::Instant;
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::frame::Frame;
use wardmesh_common::wire::message::{Message, Outcome, Reason, Receipt, Welcome};
use wardmesh_common::{clock, link};

use super::random;
use super::session::{Opened, SessionEnd};
use super::window::{Sent, Window};
use crate::spool::{Position, Spool};

/// Batches read from the disk at a time.
const READ_AHEAD: usize = 16;

/// Receipts that wait to be handled: as many as batches can be under way.
const RECEIPTS_MAX: usize = 1_024;

/// Runs a lane until the session must end.
pub(super) async fn run(spool: &Spool, opened: Opened) -> SessionEnd {
    let Opened { lane, mut send, receive, welcome } = opened;
    if let Err(end) = take_marks(spool, lane, &welcome) {
        return end;
    }
    let mut growth = spool.growth();
    let mut receipts = read_receipts(receive);
    let mut window = Window::new(usize::from(welcome.window));
    let mut paused_until: Option<Instant> = None;
    loop {
        growth.mark_unchanged();
        let paused = paused_until.is_some_and(|until| until > Instant::now());
        if !paused && window.room() > 0 {
            match next(spool, lane, &window).await {
                Err(end) => return end,
                Ok(batches) if !batches.is_empty() => {
                    for (position, bytes) in batches {
                        if let Err(end) = transmit(&mut send, &mut window, position, bytes).await {
                            return end;
                        }
                    }
                    // Take what has been answered meanwhile before reading on.
                    match drain(spool, lane, &mut window, &mut receipts) {
                        Ok(pause) => paused_until = pause.or(paused_until),
                        Err(end) => return end,
                    }
                    continue;
                }
                Ok(_) => {}
            }
        }
        let wake = paused_until.filter(|_| paused);
        tokio::select! {
            receipt = receipts.recv() => {
                let Some(receipt) = receipt else {
                    return SessionEnd::Lost("the node closed the lane".to_owned());
                };
                match receipt.and_then(|receipt| act(spool, lane, &mut window, receipt)) {
                    Ok(pause) => paused_until = pause.or(paused_until),
                    Err(end) => return end,
                }
            }
            changed = growth.changed() => if changed.is_err() {
                return SessionEnd::Spool(crate::spool::SpoolError::Closed);
            },
            () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
        }
    }
}

/// What the aggregator has already: forgotten before anything is sent.
fn take_marks(spool: &Spool, lane: Lane, welcome: &Welcome) -> Result<(), SessionEnd> {
    let current = spool.epochs().current;
    for mark in &welcome.watermarks {
        if mark.seq > 0 {
            spool.acked(lane, mark.epoch, mark.seq);
        }
        if mark.epoch == current && mark.seq > spool.tail(lane) {
            // This memory is older than what the aggregator has: it was restored from an image.
            tracing::warn!(%lane, "the aggregator is ahead of this spool: a new epoch is begun");
            spool.readopt(current, random());
            return Err(SessionEnd::Renewed("the spool is older than the aggregator's watermark"));
        }
    }
    Ok(())
}

async fn next(
    spool: &Spool,
    lane: Lane,
    window: &Window,
) -> Result<Vec<(Position, Bytes)>, SessionEnd> {
    let (spool, cursor, most) = (spool.clone(), window.cursor(), window.room().min(READ_AHEAD));
    tokio::task::spawn_blocking(move || spool.after(lane, cursor, most))
        .await
        .map_err(|cause| SessionEnd::Lost(cause.to_string()))?
        .map_err(SessionEnd::Spool)
}

async fn transmit(
    send: &mut quinn::SendStream,
    window: &mut Window,
    position: Position,
    bytes: Bytes,
) -> Result<(), SessionEnd> {
    let lost = |cause: &dyn std::fmt::Display| SessionEnd::Lost(cause.to_string());
    let header = Frame::open(&bytes).map_err(|cause| lost(&cause))?.header;
    window.send(Sent { position, epoch: header.epoch, seq: header.seq });
    link::send(send, clock::now(), bytes).await.map_err(|cause| lost(&cause))
}

fn drain(
    spool: &Spool,
    lane: Lane,
    window: &mut Window,
    receipts: &mut mpsc::Receiver<Result<Receipt, SessionEnd>>,
) -> Result<Option<Instant>, SessionEnd> {
    let mut pause = None;
    while let Ok(receipt) = receipts.try_recv() {
        pause = act(spool, lane, window, receipt?)?.or(pause);
    }
    Ok(pause)
}

/// Acts on a receipt; returns until when to pause.
fn act(
    spool: &Spool,
    lane: Lane,
    window: &mut Window,
    receipt: Receipt,
) -> Result<Option<Instant>, SessionEnd> {
    let Receipt { epoch, seq, outcome } = receipt;
    match outcome {
        Outcome::Acknowledged(_) => {
            window.answered(epoch, seq);
            spool.acked(lane, epoch, seq);
            Ok(None)
        }
        Outcome::Gap(expected) => {
            let Some(start) = window.start_of(epoch) else { return Ok(None) };
            let before = Position { start, seq: expected.saturating_sub(1) };
            let due = Position { start, seq: expected };
            let held = spool.after(lane, Some(before), 1)?;
            if held.first().is_none_or(|(position, _)| *position != due) {
                spool.readopt(epoch, random());
                return Err(SessionEnd::Renewed("the batch that is due is not in the spool"));
            }
            window.rewind(Some(before));
            Ok(None)
        }
        Outcome::Rejected(Reason::EpochClosed | Reason::Forked) => {
            spool.readopt(epoch, random());
            Err(SessionEnd::Renewed("the aggregator does not go on with the epoch"))
        }
        Outcome::Rejected(reason) => {
            if let Some(position) = window.find(epoch, seq) {
                tracing::error!(%lane, seq, %reason, "a batch was rejected for good: dead letter");
                spool.dead(lane, position, reason.as_str());
            }
            window.answered(epoch, seq);
            Ok(None)
        }
        Outcome::Unavailable(retry_after) => {
            let Some(position) = window.find(epoch, seq) else { return Ok(None) };
            window.rewind(Some(Position { seq: position.seq - 1, ..position }));
            Ok(Some(Instant::now() + Duration::from_millis(u64::from(retry_after))))
        }
    }
}

/// Reads receipts in a task of its own: reading a frame must not be cancelled half-way.
fn read_receipts(mut stream: RecvStream) -> mpsc::Receiver<Result<Receipt, SessionEnd>> {
    let (sender, receiver) = mpsc::channel(RECEIPTS_MAX);
    tokio::spawn(async move {
        loop {
            let receipt = match link::receive(&mut stream).await {
                Ok(None) => return,
                Err(cause) => Err(SessionEnd::Lost(cause.to_string())),
                Ok(Some((_, frame))) => match Message::open(&frame) {
                    Ok(Message::Receipt(receipt)) => Ok(receipt),
                    Ok(Message::Refusal(refusal)) => {
                        Err(SessionEnd::Refused { reason: refusal.reason, detail: refusal.detail })
                    }
                    Ok(_) => Err(SessionEnd::Protocol("a receipt was due".to_owned())),
                    Err(cause) => Err(SessionEnd::Protocol(cause.to_string())),
                },
            };
            let over = receipt.is_err();
            if sender.send(receipt).await.is_err() || over {
                return;
            }
        }
    });
    receiver
}
