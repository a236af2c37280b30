//! One lane of one sensor: batches in, receipts out, one for each batch and in order.
//!
//! A batch that can never be applied is passed over by a replicated `Skip` and answered `Rejected`, so
//! that poison never blocks a site; whoever repeats it is cut off.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{FuturesOrdered, StreamExt};
use tokio::sync::mpsc;
use wardmesh_common::fault::{Fault, met_before, planted};
use wardmesh_common::link::{Connection, Receiver, Sender, Stream};
use wardmesh_common::time::Timestamp;
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::frame::Place;
use wardmesh_common::wire::message::{self, Message, Outcome, Reason, Refusal};
use wardmesh_common::{link, tls};

use super::admission::{Admitted, Rejection, admit};
use super::greeting::{Holder, greet, offset, refusal, refuse, transmit};
use super::{Ingest, WINDOW};
use crate::raft::proposer::Answer;
use crate::state::command::{Action, Skip};
use crate::state::receipt::{BatchReceipt, Receipt};

/// Batches of a connection that may be rejected before it is cut: one or two are a fault, more are a
/// broken or hostile sensor.
const OFFENCES_MAX: u32 = 8;

/// Batches in a row that were applied before, came too early or cannot go on: a sensor that comes back
/// after a change of leader repeats a window or two, more only fills everybody's log.
const REPEATS_MAX: u32 = 8 * WINDOW as u32;

/// How long a sensor may take to open its lanes.
const GREETING_PATIENCE: Duration = Duration::from_secs(10);

/// How often a live connection's right to be here is looked at.
const REVOCATION_POLL: Duration = Duration::from_secs(1);

/// When a sensor should try again where the answer itself does not say.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// Serves a connection until it ends.
pub async fn serve(ingest: Arc<Ingest>, connection: Arc<dyn Connection>) {
    let remote = connection.remote();
    let holder = match holder(&ingest, &*connection) {
        Ok(holder) => holder,
        Err(detail) => {
            ingest.metrics.rejected(Reason::NotEnrolled);
            tracing::warn!(%remote, detail, "refused");
            connection.close(1, &detail);
            return;
        }
    };
    ingest.metrics.sessions.inc();
    let sensor = holder.sensor;
    ingest.live.enter(sensor, &connection);
    tracing::info!(%sensor, %remote, "sensor connected");
    // A lane that is refused takes the other with it: who was cut off on one would go on there.
    let lanes = async {
        let lane = || lane(&ingest, &holder, &*connection);
        tokio::try_join!(lane(), lane())
    };
    tokio::select! {
        biased;
        ends = lanes => {
            if let Err(Refusal { reason, detail }) = ends {
                ingest.metrics.rejected(reason);
                tracing::warn!(%sensor, %remote, %reason, detail, "connection cut");
            }
        }
        () = revoked(&ingest, &holder) => {
            tracing::warn!(%sensor, %remote, "the sensor was revoked: connection closed");
        }
        cause = connection.closed() => tracing::info!(%sensor, %remote, %cause, "disconnected"),
    }
    connection.close(0, "");
    ingest.live.leave(sensor, &connection);
    ingest.metrics.sessions.dec();
}

fn holder(ingest: &Ingest, connection: &dyn Connection) -> Result<Holder, String> {
    match connection.principal() {
        Ok(tls::Principal::Sensor { cluster, tenant, sensor }) if cluster == ingest.cluster => {
            Ok(Holder { tenant, sensor, remote: connection.remote() })
        }
        Ok(other) => Err(format!("{other} is no sensor of cluster {}", ingest.cluster)),
        Err(cause) => Err(cause),
    }
}

async fn revoked(ingest: &Ingest, holder: &Holder) {
    loop {
        tokio::time::sleep(REVOCATION_POLL).await;
        if ingest.registry.is_revoked(holder.sensor) {
            return;
        }
    }
}

async fn lane(
    ingest: &Ingest,
    holder: &Holder,
    connection: &dyn Connection,
) -> Result<(), Refusal> {
    let opening = async {
        let lost = |cause| refusal(Reason::OutOfTurn, &cause);
        let Stream { mut send, mut receive } = connection.accept().await.map_err(lost)?;
        let lane = greet(ingest, holder, &mut send, &mut receive).await?;
        Ok((lane, send, receive))
    };
    let late = |_| refusal(Reason::OutOfTurn, &"the lanes were not opened in time");
    let (lane, mut send, receive) =
        tokio::time::timeout(GREETING_PATIENCE, opening).await.map_err(late)??;
    let (offences, repeats, acked, scratch) = (0, 0, None, Vec::new());
    let mut session = Session { ingest, holder, lane, offences, repeats, acked, scratch };
    let end = session.stream(&mut send, receive).await;
    if let Err(refusal) = &end {
        refuse(&mut send, refusal).await;
    }
    end
}

/// A batch whose answer is to come.
type InFlight<'a> = FuturesOrdered<BoxFuture<'a, (u64, u64, Answer)>>;

struct Session<'a> {
    ingest: &'a Ingest,
    holder: &'a Holder,
    lane: Lane,
    offences: u32,
    /// Batches since the last one that was applied.
    repeats: u32,
    /// The last acknowledged batch: epoch and place.
    acked: Option<(u64, u64)>,
    scratch: Vec<u8>,
}

impl<'a> Session<'a> {
    async fn stream(&mut self, send: &mut Sender, receive: Receiver) -> Result<(), Refusal> {
        let mut frames = read_frames(receive);
        let mut in_flight = InFlight::new();
        loop {
            tokio::select! {
                biased;
                Some((epoch, seq, answer)) = in_flight.next() => {
                    self.answer(send, epoch, seq, answer).await?;
                }
                frame = frames.recv(), if in_flight.len() < usize::from(WINDOW) => {
                    let Some(frame) = frame else { return Ok(()) };
                    let (sent_at, bytes) = frame?;
                    let clock_offset = offset(self.ingest.consensus.now(), sent_at);
                    let admitted =
                        admit(bytes, self.holder.sensor, clock_offset, &mut self.scratch);
                    match admitted.and_then(|admitted| self.own_lane(admitted)) {
                        Ok(admitted) => in_flight.push_back(self.submit(admitted)),
                        Err(rejection) => {
                            while let Some((epoch, seq, answer)) = in_flight.next().await {
                                self.answer(send, epoch, seq, answer).await?;
                            }
                            self.reject(send, rejection).await?;
                        }
                    }
                }
            }
        }
    }

    fn own_lane(&self, admitted: Admitted) -> Result<Admitted, Rejection> {
        if admitted.header.lane == self.lane {
            return Ok(admitted);
        }
        let detail = "the batch belongs to the other lane".to_owned();
        Err(Rejection { reason: Reason::OutOfTurn, place: None, detail })
    }

    fn submit(&self, admitted: Admitted) -> BoxFuture<'a, (u64, u64, Answer)> {
        let Admitted { header, submission } = admitted;
        self.ingest.metrics.received(header.events, submission.frame.len());
        let batch = (self.holder.sensor.0, header.epoch, self.lane as u8, header.seq);
        if planted(Fault::DedupeInMemory) && met_before(batch) {
            let known = BatchReceipt::Duplicate { watermark: header.seq };
            return Box::pin(async move { (header.epoch, header.seq, Ok((known, 0))) });
        }
        // Queued here and now, so that the queue's order is the lane's.
        let answer = self.ingest.consensus.enqueue(submission);
        if planted(Fault::AckBeforeCommit) {
            let early = Ok((BatchReceipt::Applied, 0));
            return Box::pin(async move { (header.epoch, header.seq, early) });
        }
        Box::pin(async move { (header.epoch, header.seq, answer.await) })
    }

    async fn answer(
        &mut self,
        send: &mut Sender,
        epoch: u64,
        seq: u64,
        answer: Answer,
    ) -> Result<(), Refusal> {
        self.repeats = match &answer {
            Ok((BatchReceipt::Applied, _)) => 0,
            Ok(_) => self.repeats + 1,
            Err(_) => self.repeats,
        };
        if self.repeats > REPEATS_MAX {
            let detail = "batches that bring nothing new are repeated without end";
            return Err(refusal(Reason::OutOfTurn, &detail));
        }
        let outcome = match answer {
            Ok((BatchReceipt::Applied | BatchReceipt::Duplicate { .. }, index)) => {
                self.acked = Some((epoch, seq));
                Outcome::Acknowledged(index)
            }
            // It overtook a batch that was acknowledged since: nothing is missing any more, and the
            // sensor may have forgotten what the gap names.
            Ok((BatchReceipt::Gap { expected }, _)) if has_closed(self.acked, epoch, expected) => {
                Outcome::Unavailable(0)
            }
            Ok((BatchReceipt::Gap { expected }, _)) => Outcome::Gap(expected),
            Ok((BatchReceipt::Rejected(reason), _)) => {
                self.ingest.metrics.rejected(reason);
                Outcome::Rejected(reason)
            }
            Err(cause) => Outcome::Unavailable(millis(cause.retry_after())),
        };
        self.receipt(send, epoch, seq, outcome).await
    }

    async fn receipt(
        &self,
        send: &mut Sender,
        epoch: u64,
        seq: u64,
        outcome: Outcome,
    ) -> Result<(), Refusal> {
        self.ingest.metrics.answered(&outcome);
        let receipt = message::Receipt { epoch, seq, outcome };
        transmit(send, self.lane, Message::Receipt(receipt)).await
    }

    /// Passes over a batch that can never be applied, where its header can be believed.
    async fn reject(&mut self, send: &mut Sender, rejection: Rejection) -> Result<(), Refusal> {
        let Rejection { reason, place, detail } = rejection;
        let sensor = self.holder.sensor;
        self.offences += 1;
        self.ingest.metrics.rejected(reason);
        tracing::warn!(%sensor, %reason, detail, offences = self.offences, "batch rejected");
        let Some(place) = place.filter(|_| self.offences < OFFENCES_MAX) else {
            return Err(Refusal { reason, detail });
        };
        let Place { epoch, seq, chain, events } = place;
        let (lane, words) = (self.lane, reason.as_str().to_owned());
        let skip = Action::Skip(Skip { sensor, epoch, lane, seq, chain, events, reason: words });
        let outcome = match self.ingest.consensus.propose(skip).await {
            Ok((Receipt::Accepted | Receipt::Done, _)) => Outcome::Rejected(reason),
            Ok(_) => Outcome::Unavailable(millis(RETRY_AFTER)),
            Err(cause) => Outcome::Unavailable(millis(cause.retry_after())),
        };
        self.receipt(send, epoch, seq, outcome).await
    }
}

/// Whether the batch that a gap waits for was acknowledged after all.
fn has_closed(acked: Option<(u64, u64)>, epoch: u64, expected: u64) -> bool {
    acked.is_some_and(|(of, through)| of == epoch && expected <= through)
}

fn millis(span: Duration) -> u32 {
    u32::try_from(span.as_millis()).unwrap_or(u32::MAX)
}

/// Reads frames in a task of its own: reading one must not be cancelled half-way.
fn read_frames(mut stream: Receiver) -> mpsc::Receiver<Result<(Timestamp, Bytes), Refusal>> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let frame = match link::receive(&mut stream).await {
                Ok(None) => return,
                Ok(Some(frame)) => Ok(frame),
                Err(cause @ link::LinkError::Length(_)) => Err(refusal(Reason::TooLarge, &cause)),
                Err(link::LinkError::Lost(_)) => return,
            };
            let over = frame.is_err();
            if sender.send(frame).await.is_err() || over {
                return;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_closes_when_what_it_waits_for_is_acknowledged() {
        for (acked, expected, closed) in [
            (None, 1, false),
            (Some((7, 3)), 3, true),
            (Some((7, 3)), 2, true),
            (Some((7, 3)), 4, false),
            (Some((8, 3)), 3, false),
        ] {
            assert_eq!(has_closed(acked, 7, expected), closed, "{acked:?} {expected}");
        }
    }
}
