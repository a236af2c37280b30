//! The far end of the queue: joins what waits and sends it where the leader is.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

use super::forward::Forwarders;
use super::gate::Pending;
use super::{
    Answer, JOINED_BATCHES_MAX, JOINED_EVENTS_MAX, JOINED_LENGTH_MAX, JOINED_LENGTH_MIN,
    JOINED_RAW_MAX, LEADERLESS_PATIENCE, LEADERLESS_POLL, LINGER, PROPOSALS_IN_FLIGHT_MAX,
    Unavailable, Waiting,
};
use crate::raft::consensus::node::{Node, Route};
use crate::state::command::{Action, Submission};
use crate::state::receipt::Receipt;

/// Empties the queue until its near end is gone.
pub(in crate::raft) async fn run(node: Arc<Node>, mut queue: mpsc::UnboundedReceiver<Waiting>) {
    let in_flight = Arc::new(Semaphore::new(PROPOSALS_IN_FLIGHT_MAX));
    let forwarders = Forwarders::start(&node);
    let mut leaderless = None;
    while let Some(first) = queue.recv().await {
        let Ok(place) = Arc::clone(&in_flight).acquire_owned().await else { return };
        let alone = in_flight.available_permits() + 1 == PROPOSALS_IN_FLIGHT_MAX;
        let linger = if alone { Duration::ZERO } else { LINGER };
        let joined = join(first, &mut queue, linger).await;
        match settled(&node, &mut leaderless).await {
            Route::Own => propose(&node, joined, place).await,
            Route::Other(_) => joined.into_iter().for_each(|waiting| forwarders.put(waiting)),
            Route::Nobody => refuse(joined, &Unavailable::no_leader()),
        }
    }
}

/// Where the leader is. While nobody leads it is waited for, once for all that waits meanwhile: what
/// comes later than that is refused at once, until somebody leads again.
async fn settled(node: &Node, leaderless: &mut Option<Instant>) -> Route {
    loop {
        let route = node.route();
        if route != Route::Nobody {
            *leaderless = None;
            return route;
        }
        if leaderless.get_or_insert_with(Instant::now).elapsed() >= LEADERLESS_PATIENCE {
            return route;
        }
        tokio::time::sleep(LEADERLESS_POLL).await;
    }
}

/// Takes from the queue, after `first`, until there is enough for one command or nothing more.
pub(super) async fn join(
    first: Waiting,
    queue: &mut mpsc::UnboundedReceiver<Waiting>,
    linger: Duration,
) -> Vec<Waiting> {
    let deadline = Instant::now() + linger;
    let (mut length, mut cost) = (first.length(), first.cost());
    let mut joined = vec![first];
    while length < JOINED_LENGTH_MAX
        && joined.len() < JOINED_BATCHES_MAX
        && cost.events < JOINED_EVENTS_MAX
        && cost.raw_length < JOINED_RAW_MAX
    {
        let next = match queue.try_recv() {
            Ok(next) => next,
            Err(_) if linger.is_zero() || length >= JOINED_LENGTH_MIN => break,
            Err(_) => match tokio::time::timeout_at(deadline, queue.recv()).await {
                Ok(Some(next)) => next,
                Ok(None) | Err(_) => break,
            },
        };
        let more = next.cost();
        cost.events = cost.events.saturating_add(more.events);
        cost.raw_length = cost.raw_length.saturating_add(more.raw_length);
        length += next.length();
        joined.push(next);
    }
    joined
}

/// The proposal is in the log's order when this returns; its receipts come later.
async fn propose(node: &Node, joined: Vec<Waiting>, place: OwnedSemaphorePermit) {
    let submissions = submissions(&joined);
    match node.gate.propose(Action::Ingest(submissions)).await {
        Ok(pending) => {
            tokio::spawn(async move {
                settle(joined, pending).await;
                drop(place);
            });
        }
        Err(unavailable) => refuse(joined, &unavailable),
    }
}

pub(super) async fn settle(joined: Vec<Waiting>, pending: Pending) {
    match pending.outcome().await {
        Ok((Receipt::Ingested(receipts), index)) if receipts.len() == joined.len() => {
            for (waiting, receipt) in joined.into_iter().zip(receipts) {
                waiting.answer(Ok((receipt, index)));
            }
        }
        Ok((other, index)) => {
            tracing::error!(index, receipt = ?other, "an ingest was not answered batch by batch");
            let why = format!("entry {index} was not answered batch by batch");
            refuse(joined, &Unavailable::Unknown(why));
        }
        Err(unavailable) => refuse(joined, &unavailable),
    }
}

/// The frames are shared, not copied.
pub(super) fn submissions(joined: &[Waiting]) -> Vec<Submission> {
    joined.iter().map(|waiting| waiting.submission.clone()).collect()
}

pub(super) fn refuse(joined: Vec<Waiting>, unavailable: &Unavailable) {
    let answer: Answer = Err(unavailable.clone());
    joined.into_iter().for_each(|waiting| waiting.answer(answer.clone()));
}
