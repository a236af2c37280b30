//! A volume with hardly any room: nothing is written until there is some. What would be new is
//! refused, what is asked otherwise waits, acknowledgements in one line each.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::oneshot;
use wardmesh_common::space::Level;

use super::{ORDERS_PER_SYNC, Order, Writer};
use crate::batch::Archive;
use crate::spool::{Kept, SpoolError, held_bytes};

/// How often a full volume is looked at.
const FULL_POLL: Duration = Duration::from_millis(100);

impl Writer {
    /// Adds the orders that have come in; while some wait for room, not for longer than a moment.
    /// False where every handle is gone.
    pub(super) fn next(&self, orders: &Receiver<Order>, waiting: &mut Vec<Order>) -> bool {
        let first = match waiting.is_empty() {
            true => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => orders.recv_timeout(FULL_POLL),
        };
        match first {
            Ok(first) => {
                waiting.push(first);
                let more = std::iter::from_fn(|| orders.try_recv().ok());
                waiting.extend(more.take(ORDERS_PER_SYNC - 1));
                true
            }
            Err(RecvTimeoutError::Timeout) => true,
            // What was acknowledged and could not be written down is acknowledged again.
            Err(RecvTimeoutError::Disconnected) => false,
        }
    }

    pub(super) fn is_spent(&self) -> bool {
        self.space.get().is_some_and(|space| space.level() == Level::Spent)
    }

    /// Refuses what is new and keeps the rest for later, in its order.
    pub(super) fn put_off(&self, waiting: &mut Vec<Order>) {
        let mut kept: Vec<Order> = Vec::new();
        for order in waiting.drain(..) {
            match order {
                Order::Hold { archive, done } => {
                    self.refuse(&archive, done);
                    let length = held_bytes(archive.bytes.len());
                    self.counts.queued.fetch_sub(length, Ordering::AcqRel);
                }
                Order::Acked { lane, epoch, seq } => match same_acked(&mut kept, &order) {
                    Some(acked) => *acked = seq.max(*acked),
                    None => kept.push(Order::Acked { lane, epoch, seq }),
                },
                // Acknowledgements that wait come again; only what is to be moved must not be sent.
                Order::Settle { done }
                    if kept.iter().all(|kept| matches!(kept, Order::Acked { .. })) =>
                {
                    let _ = done.send(());
                }
                other => kept.push(other),
            }
        }
        *waiting = kept;
    }

    pub(super) fn refuse(
        &self,
        archive: &Archive,
        done: oneshot::Sender<Result<Kept, SpoolError>>,
    ) {
        self.counts.refused.fetch_add(u64::from(archive.events), Ordering::Relaxed);
        // Nobody may wait any more.
        let _ = done.send(Ok(Kept::Refused(archive.events)));
    }
}

/// How far the same epoch and lane was acknowledged, where nothing else was asked since.
fn same_acked<'a>(kept: &'a mut [Order], order: &Order) -> Option<&'a mut u64> {
    let Order::Acked { lane, epoch, .. } = order else { return None };
    kept.iter_mut()
        .rev()
        .map_while(acked)
        .find_map(|(of, seq)| (of == (*lane, *epoch)).then_some(seq))
}

fn acked(order: &mut Order) -> Option<((wardmesh_common::wire::Lane, u64), &mut u64)> {
    match order {
        Order::Acked { lane, epoch, seq } => Some(((*lane, *epoch), seq)),
        _ => None,
    }
}
