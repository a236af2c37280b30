//! How many handshakes are worked on at once, when a whole fleet comes back.
//!
//! A node that takes up a thousand at once finishes none before those who asked have given up, and
//! does the same again for their next attempt. So a few are under way, the others wait untouched, and
//! whoever has waited too long is forgotten: who still wants in asks again by itself.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Handshakes at once. Each costs a millisecond or two of a core, so that all of them are through
/// long before the first of them has lost patience.
const PLACES: usize = 32;

/// How long a handshake may wait for its place: a sensor's first dial waits no longer
/// (`sensor/src/uplink/backoff.rs`), and one that waits longer repeats its first packet each second.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long a handshake keeps its place: over a long line, or with a peer that falls silent, most of
/// it is waiting, which keeps nobody else out.
const HOLD: Duration = Duration::from_millis(250);

/// Lets a few through at once.
#[derive(Debug)]
pub(super) struct Turnstile {
    places: Arc<Semaphore>,
    patience: Duration,
    hold: Duration,
}

impl Default for Turnstile {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(PLACES)), patience: PATIENCE, hold: HOLD }
    }
}

impl Turnstile {
    /// A place, in the order of coming; `None` after too long a wait.
    pub(super) async fn enter(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.places).acquire_owned();
        timeout(self.patience, place).await.ok()?.ok()
    }

    /// Does what the place is for; it is free again after a while even where that takes longer.
    pub(super) async fn pass<T>(
        &self,
        place: OwnedSemaphorePermit,
        work: impl Future<Output = T>,
    ) -> T {
        let mut work = std::pin::pin!(work);
        if let Ok(done) = timeout(self.hold, &mut work).await {
            return done;
        }
        drop(place);
        work.await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    fn turnstile(places: usize, patience: Duration, hold: Duration) -> Turnstile {
        Turnstile { places: Arc::new(Semaphore::new(places)), patience, hold }
    }

    #[tokio::test]
    async fn few_are_let_in_and_nobody_waits_for_long() {
        let gate = turnstile(2, Duration::ZERO, LONG);
        let first = gate.enter().await.unwrap();
        let _second = gate.enter().await.unwrap();
        assert!(gate.enter().await.is_none(), "both places are taken");
        assert_eq!(gate.pass(first, async { 7 }).await, 7);
        assert!(gate.enter().await.is_some(), "the first has passed");
    }

    #[tokio::test]
    async fn who_falls_silent_keeps_no_place() {
        let gate = Arc::new(turnstile(1, LONG, Duration::ZERO));
        let (done, waiting) = tokio::sync::oneshot::channel::<()>();
        let place = gate.enter().await.unwrap();
        let own = Arc::clone(&gate);
        let silent = tokio::spawn(async move { own.pass(place, waiting).await });
        // Would wait for ten minutes if the place were kept.
        let next = gate.enter().await.unwrap();
        done.send(()).unwrap();
        assert_eq!(silent.await.unwrap(), Ok(()), "it is served all the same");
        drop(next);
    }
}
