//! One lane of a session: sends the spool's batches in order within the window, acts on receipts.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use wardmesh_common::link::{Receiver, Sender};
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::frame::Frame;
use wardmesh_common::wire::message::{Message, Outcome, Reason, Receipt};
use wardmesh_common::{clock, link, offload, random};

use super::session::{Opened, SessionEnd};
use super::window::{Answered, Sent, Window};
use crate::spool::{Position, Spool, SpoolError};

/// Batches read from the disk at a time.
const READ_AHEAD: usize = 16;

/// Receipts that wait to be handled: as many as batches can be under way.
const RECEIPTS_MAX: usize = 1_024;

/// A node that answers nothing but that it cannot take batches is left after so long for the next one,
/// which may reach a leader: longer than an election and a full queue take.
const UNAVAILABLE_MAX: Duration = Duration::from_secs(5);

/// Runs a lane until the session must end.
pub(super) async fn run(spool: &Spool, opened: Opened) -> SessionEnd {
    let Opened { lane, mut send, receive, welcome } = opened;
    let mut growth = spool.growth();
    let mut receipts = read_receipts(receive);
    let window = Window::new(usize::from(welcome.window));
    let mut traffic = Traffic::new(spool, lane, window);
    loop {
        growth.mark_unchanged();
        let paused = traffic.paused_until.filter(|until| *until > Instant::now());
        let end = async {
            let sent = paused.is_none() && traffic.send_more(&mut send).await?;
            if !sent {
                tokio::select! {
                    biased;
                    receipt = receipts.recv() => traffic.act(receipt.ok_or_else(closed)??)?,
                    changed = growth.changed() => changed.map_err(|_| SpoolError::Closed)?,
                    () = wait(paused), if paused.is_some() => {}
                }
            }
            while let Ok(receipt) = receipts.try_recv() {
                traffic.act(receipt?)?;
            }
            traffic.settle();
            Ok::<(), SessionEnd>(())
        };
        if let Err(end) = end.await {
            traffic.settle();
            return end;
        }
    }
}

async fn wait(until: Option<Instant>) {
    tokio::time::sleep_until(until.unwrap_or_else(Instant::now)).await;
}

fn closed() -> SessionEnd {
    SessionEnd::Lost("the node closed the lane".to_owned())
}

/// How long every answer was that batches cannot be taken.
#[derive(Default)]
struct Drought {
    since: Option<Instant>,
}

impl Drought {
    /// Takes note of an answer; whether it has lasted too long.
    fn lasts(&mut self, unavailable: bool, now: Instant) -> bool {
        if !unavailable {
            self.since = None;
            return false;
        }
        now.duration_since(*self.since.get_or_insert(now)) >= UNAVAILABLE_MAX
    }
}

/// A lane's batches on their way.
struct Traffic<'a> {
    spool: &'a Spool,
    lane: Lane,
    window: Window,
    /// The latest acknowledgement that the spool was not told of yet.
    acked: Option<(u64, u64)>,
    paused_until: Option<Instant>,
    drought: Drought,
}

impl<'a> Traffic<'a> {
    fn new(spool: &'a Spool, lane: Lane, window: Window) -> Self {
        let (acked, paused_until, drought) = Default::default();
        Self { spool, lane, window, acked, paused_until, drought }
    }

    /// Sends what the window has room for; whether there was anything.
    async fn send_more(&mut self, send: &mut Sender) -> Result<bool, SessionEnd> {
        if self.window.room() == 0 {
            return Ok(false);
        }
        let (spool, lane) = (self.spool.clone(), self.lane);
        let (cursor, most) = (self.window.cursor(), self.window.room().min(READ_AHEAD));
        let batches = offload::run(move || spool.after(lane, cursor, most))
            .await
            .map_err(|cause| SessionEnd::Lost(cause.to_string()))??;
        let lost = |cause: &dyn std::fmt::Display| SessionEnd::Lost(cause.to_string());
        let any = !batches.is_empty();
        for (position, bytes) in batches {
            let Ok(Frame { header, .. }) = Frame::open(&bytes) else {
                self.spool.dead(lane, position, "damaged");
                return Err(SessionEnd::Renewed("a spooled batch was damaged: dead letter"));
            };
            self.window.send(Sent { position, epoch: header.epoch, seq: header.seq });
            link::send(send, clock::now(), bytes).await.map_err(|cause| lost(&cause))?;
        }
        Ok(any)
    }

    /// Acts on a receipt.
    fn act(&mut self, receipt: Receipt) -> Result<(), SessionEnd> {
        let Receipt { epoch, seq, outcome } = receipt;
        let now = Instant::now();
        if self.drought.lasts(matches!(outcome, Outcome::Unavailable(_)), now) {
            return Err(SessionEnd::Lost("the node takes no batches".to_owned()));
        }
        let sent = match self.window.answer(epoch, seq) {
            Answered::Batch(sent) => sent,
            Answered::Stale => {
                self.bury_stale(epoch, seq, outcome);
                return Ok(());
            }
            Answered::Unknown => {
                return Err(SessionEnd::Protocol("a receipt for no batch under way".to_owned()));
            }
        };
        match outcome {
            Outcome::Acknowledged(_) => {
                // Never where it is stale: what came before it may be answered otherwise yet.
                self.acknowledge(epoch, seq);
                Ok(())
            }
            Outcome::Gap(expected) => self.fill(sent, expected),
            // The next hello opens it again where it stood.
            Outcome::Rejected(Reason::EpochClosed) => {
                Err(SessionEnd::Renewed("the aggregator has closed the epoch"))
            }
            Outcome::Rejected(Reason::Forked) => {
                self.settle();
                self.spool.readopt(self.lane, epoch, random::u64(), 0);
                Err(SessionEnd::Renewed("the aggregator does not go on with the epoch"))
            }
            Outcome::Rejected(reason) => {
                tracing::error!(lane = %self.lane, seq, %reason, "rejected for good: dead letter");
                // In the order of the lane, so that no crash leaves a hole before what is held.
                self.settle();
                self.spool.dead(self.lane, sent.position, reason.as_str());
                Ok(())
            }
            Outcome::Unavailable(retry_after) => {
                self.window.rewind(Some(before(sent.position)));
                self.paused_until = Some(now + Duration::from_millis(u64::from(retry_after)));
                Ok(())
            }
        }
    }

    /// A batch that was passed over is gone even where it is about to be sent again.
    fn bury_stale(&self, epoch: u64, seq: u64, outcome: Outcome) {
        if let Outcome::Rejected(reason) = outcome
            && !matches!(reason, Reason::EpochClosed | Reason::Forked)
            && let Some(position) = self.spool.position(self.lane, epoch, seq)
        {
            self.spool.dead(self.lane, position, reason.as_str());
        }
    }

    fn acknowledge(&mut self, epoch: u64, seq: u64) {
        if self.acked.is_some_and(|(of, _)| of != epoch) {
            self.settle();
        }
        let through = self.acked.map_or(seq, |(_, through)| through.max(seq));
        self.acked = Some((epoch, through));
    }

    /// Tells the spool what was acknowledged, once for many receipts.
    fn settle(&mut self) {
        if let Some((epoch, seq)) = self.acked.take() {
            self.spool.acked(self.lane, epoch, seq);
        }
    }

    /// Goes back to the batch that the aggregator misses.
    fn fill(&mut self, sent: Sent, expected: u64) -> Result<(), SessionEnd> {
        self.settle();
        let due = Position { start: sent.position.start, seq: expected };
        let held = self.spool.after(self.lane, Some(before(due)), 1)?;
        if held.first().is_none_or(|(position, _)| *position != due) {
            self.spool.readopt(self.lane, sent.epoch, random::u64(), 0);
            return Err(SessionEnd::Renewed("the batch that is due is not in the spool"));
        }
        self.window.rewind(Some(before(due)));
        Ok(())
    }
}

/// The place just before a batch.
fn before(position: Position) -> Position {
    Position { seq: position.seq.saturating_sub(1), ..position }
}

/// Reads receipts in a task of its own: reading a frame must not be cancelled half-way.
fn read_receipts(mut stream: Receiver) -> mpsc::Receiver<Result<Receipt, SessionEnd>> {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::batch::Archive;

    #[test]
    fn a_stale_acknowledgement_forgets_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, _) = Spool::open(&folder.path().join("spool"), 1 << 20, 7, None).unwrap();
        let mut traffic = Traffic::new(&spool, Lane::Bulk, Window::new(8));
        for seq in [1, 2] {
            spool.hold(Archive { lane: Lane::Bulk, bytes: vec![0; 9], events: 1 }).unwrap();
            traffic.window.send(Sent { position: Position { start: 1, seq }, epoch: 7, seq });
        }
        let mut told = |seq, outcome| traffic.act(Receipt { epoch: 7, seq, outcome }).unwrap();
        // The first is passed over later: nobody may take the second's answer for both.
        told(1, Outcome::Unavailable(0));
        told(2, Outcome::Acknowledged(5));
        assert_eq!(traffic.acked, None);
        for seq in [1, 2] {
            traffic.window.send(Sent { position: Position { start: 1, seq }, epoch: 7, seq });
        }
        let mut told = |seq, outcome| traffic.act(Receipt { epoch: 7, seq, outcome }).unwrap();
        told(1, Outcome::Rejected(Reason::PassedOver));
        told(2, Outcome::Acknowledged(6));
        assert_eq!(traffic.acked, Some((7, 2)));
        traffic.settle();
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(spool.settled());
        assert!(spool.is_drained());
        assert_eq!(spool.counts().dead.load(std::sync::atomic::Ordering::Relaxed), 1);
    }

    #[test]
    fn a_node_that_takes_nothing_is_left_after_a_while() {
        let begun = Instant::now();
        let mut drought = Drought::default();
        // (seconds, unavailable) → it has lasted too long
        for ((second, unavailable), lasts) in [
            ((0, true), false),
            ((4, true), false),
            ((5, true), true),
            ((6, false), false),
            ((7, true), false),
            ((11, true), false),
            ((12, true), true),
        ] {
            let now = begun + Duration::from_secs(second);
            assert_eq!(drought.lasts(unavailable, now), lasts, "second {second}");
        }
    }
}
