//! A value that can be watched; who waits for a change is woken in the order of waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use openraft::async_runtime::watch::{self, RecvError, SendError};
use openraft::{OptionalSend, OptionalSync};
use parking_lot::{RwLock, RwLockReadGuard};
use tokio::sync::Notify;

/// The kind of channel, for openraft.
#[derive(Debug)]
pub struct Watch;

#[derive(Debug)]
struct Shared<T> {
    value: RwLock<T>,
    /// How often the value was changed; only while the lock is held.
    version: AtomicU64,
    senders: AtomicUsize,
    receivers: AtomicUsize,
    changed: Notify,
}

/// The end that changes the value; clones change the same one.
#[derive(Debug)]
pub struct Sender<T>(Arc<Shared<T>>);

/// The end that waits for changes.
#[derive(Debug)]
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    /// The version that was seen last.
    seen: u64,
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.senders.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.0.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.changed.notify_waiters();
        }
    }
}

impl<T> Receiver<T> {
    fn new(shared: &Arc<Shared<T>>, seen: u64) -> Self {
        shared.receivers.fetch_add(1, Ordering::Relaxed);
        Self { shared: Arc::clone(shared), seen }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self::new(&self.shared, self.seen)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.receivers.fetch_sub(1, Ordering::AcqRel);
    }
}

impl watch::Watch for Watch {
    type Sender<T: OptionalSend + OptionalSync> = Sender<T>;
    type Receiver<T: OptionalSend + OptionalSync> = Receiver<T>;
    type Ref<'a, T: OptionalSend + 'a> = RwLockReadGuard<'a, T>;

    fn channel<T: OptionalSend + OptionalSync>(init: T) -> (Sender<T>, Receiver<T>) {
        let shared = Arc::new(Shared {
            value: RwLock::new(init),
            version: AtomicU64::new(0),
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(0),
            changed: Notify::new(),
        });
        let receiver = Receiver::new(&shared, 0);
        (Sender(shared), receiver)
    }
}

impl<T: OptionalSend + OptionalSync> watch::WatchSender<Watch, T> for Sender<T> {
    fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.0.receivers.load(Ordering::Acquire) == 0 {
            return Err(SendError(value));
        }
        self.send_if_modified(|held| {
            *held = value;
            true
        });
        Ok(())
    }

    fn send_if_modified<F: FnOnce(&mut T) -> bool>(&self, modify: F) -> bool {
        let mut value = self.0.value.write();
        let modified = modify(&mut value);
        if modified {
            self.0.version.fetch_add(1, Ordering::Release);
        }
        drop(value);
        if modified {
            self.0.changed.notify_waiters();
        }
        modified
    }

    fn borrow_watched(&self) -> RwLockReadGuard<'_, T> {
        self.0.value.read()
    }

    fn subscribe(&self) -> Receiver<T> {
        let _value = self.0.value.read();
        Receiver::new(&self.0, self.0.version.load(Ordering::Acquire))
    }
}

impl<T: OptionalSend + OptionalSync> watch::WatchReceiver<Watch, T> for Receiver<T> {
    async fn changed(&mut self) -> Result<(), RecvError> {
        loop {
            // Begun before the look at the version: what comes in between wakes it.
            let change = self.shared.changed.notified();
            let version = self.shared.version.load(Ordering::Acquire);
            if version != self.seen {
                self.seen = version;
                return Ok(());
            }
            if self.shared.senders.load(Ordering::Acquire) == 0 {
                return Err(RecvError(()));
            }
            change.await;
        }
    }

    fn borrow_watched(&self) -> RwLockReadGuard<'_, T> {
        self.shared.value.read()
    }

    fn borrow_and_update(&mut self) -> RwLockReadGuard<'_, T> {
        let value = self.shared.value.read();
        self.seen = self.shared.version.load(Ordering::Acquire);
        value
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use openraft::async_runtime::watch::{Watch as _, WatchReceiver, WatchSender};
    use parking_lot::Mutex;

    use super::*;

    #[tokio::test]
    async fn a_change_is_told_once_and_the_end_too() {
        let (sender, mut receiver) = Watch::channel(0);
        sender.send(1).unwrap();
        receiver.changed().await.unwrap();
        assert_eq!(*receiver.borrow_watched(), 1);
        assert!(!sender.send_if_modified(|_| false));
        sender.send(2).unwrap();
        assert_eq!(*receiver.borrow_and_update(), 2);
        let mut late = sender.subscribe();
        drop(sender);
        assert!(receiver.changed().await.is_err() && late.changed().await.is_err());
        let (sender, receiver) = Watch::channel(0);
        drop(receiver);
        assert!(sender.send(1).is_err());
    }

    #[tokio::test]
    async fn who_waits_first_is_woken_first() {
        let (sender, receiver) = Watch::channel(0);
        let order = Arc::new(Mutex::new(Vec::new()));
        let waiting = (0..32).map(|number| {
            let (mut receiver, order) = (receiver.clone(), Arc::clone(&order));
            tokio::spawn(async move {
                receiver.changed().await.unwrap();
                order.lock().push(number);
            })
        });
        let waiting: Vec<_> = waiting.collect();
        tokio::task::yield_now().await;
        sender.send(1).unwrap();
        for task in waiting {
            task.await.unwrap();
        }
        assert_eq!(*order.lock(), (0..32).collect::<Vec<_>>());
    }
}
