//! Batches wait here for a leader instead of going back to their sensors: an election is over sooner
//! than a sensor's next attempt. They wait in their order, and no longer than an election takes.

use std::time::Duration;

use tokio::time::Instant;

use crate::raft::consensus::node::{Node, Route};

/// How long what is queued waits while nobody leads; what comes after that is refused at once, so
/// that an outage does not look like a slow network. Two elections.
const HOLD_MAX: Duration = Duration::from_secs(3);

/// Between two looks for a leader, and two attempts with one that does not take what is forwarded: it
/// may just be stepping down.
const STEP: Duration = Duration::from_millis(10);

/// The patience of one waiting line.
#[derive(Debug, Default)]
pub(super) struct Hold {
    /// Since when nothing goes on.
    since: Option<Instant>,
}

impl Hold {
    /// Where to, as soon as somebody leads; `Nobody` where that takes too long.
    pub(super) async fn route(&mut self, node: &Node) -> Route {
        loop {
            match node.route() {
                Route::Nobody if self.is_over(Instant::now()) => return Route::Nobody,
                Route::Nobody => tokio::time::sleep(STEP).await,
                route => {
                    self.since = None;
                    return route;
                }
            }
        }
    }

    /// Waits a moment before the next attempt of what was begun then; `false` where there were enough.
    pub(super) async fn again(begun: Instant) -> bool {
        tokio::time::sleep(STEP).await;
        begun.elapsed() < HOLD_MAX
    }

    fn is_over(&mut self, now: Instant) -> bool {
        now.duration_since(*self.since.get_or_insert(now)) >= HOLD_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_waited_for_once() {
        let (now, mut hold) = (Instant::now(), Hold::default());
        assert!(!hold.is_over(now));
        assert!(!hold.is_over(now + HOLD_MAX / 2));
        assert!(hold.is_over(now + HOLD_MAX));
        assert!(hold.is_over(now + 2 * HOLD_MAX));
    }
}
