//! How many handshakes are worked on at once, when a whole fleet comes back.
//!
//! A node that takes up a thousand at once finishes none before those who asked have given up, and
//! does the same again for their next attempt. So a few are under way, the others wait untouched, and
//! whoever has waited too long is forgotten: who still wants in asks again by itself. An address that
//! lets many of them hang gets no more of the places, which all others need.

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
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

/// Handshakes of one address that have kept their place for as long as one may and are not done. A
/// whole site behind a long line comes nowhere near it, since each of them is done after a few round
/// trips; one who only begins them gets a tenth of the places with it. More than are begun before
/// addresses must prove that they are theirs, so that nobody reaches it in another's name.
const HANGING_MAX: usize = 128;

/// Lets a few through at once.
#[derive(Debug)]
pub(super) struct Turnstile {
    places: Arc<Semaphore>,
    patience: Duration,
    hold: Duration,
    hanging: Mutex<HashMap<IpAddr, usize>>,
    hanging_max: usize,
}

impl Default for Turnstile {
    fn default() -> Self {
        let places = Arc::new(Semaphore::new(PLACES));
        let (hanging, hanging_max) = (Mutex::default(), HANGING_MAX);
        Self { places, patience: PATIENCE, hold: HOLD, hanging, hanging_max }
    }
}

impl Turnstile {
    /// A place, in the order of coming; `None` after too long a wait, and while too many of this
    /// address hang.
    pub(super) async fn enter(&self, from: IpAddr) -> Option<Place> {
        let from = network(from);
        if self.hang(from) {
            return None;
        }
        let permit = Arc::clone(&self.places).acquire_owned();
        let permit = timeout(self.patience, permit).await.ok()?.ok()?;
        (!self.hang(from)).then_some(Place { permit, from })
    }

    fn hang(&self, from: IpAddr) -> bool {
        self.hanging.lock().get(&from).is_some_and(|count| *count >= self.hanging_max)
    }

    /// Does what the place is for; it is free again after a while even where that takes longer.
    pub(super) async fn pass<T>(&self, place: Place, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        if let Ok(done) = timeout(self.hold, &mut work).await {
            return done;
        }
        let _hanging = Hanging::new(&self.hanging, place.from);
        drop(place.permit);
        work.await
    }
}

/// A place, and for whom.
#[derive(Debug)]
pub(super) struct Place {
    permit: OwnedSemaphorePermit,
    from: IpAddr,
}

/// One more of an address that hangs, for as long as it lives.
struct Hanging<'a> {
    all: &'a Mutex<HashMap<IpAddr, usize>>,
    from: IpAddr,
}

impl<'a> Hanging<'a> {
    fn new(all: &'a Mutex<HashMap<IpAddr, usize>>, from: IpAddr) -> Self {
        *all.lock().entry(from).or_default() += 1;
        Self { all, from }
    }
}

impl Drop for Hanging<'_> {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        if let Some(count) = all.get_mut(&self.from) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                all.remove(&self.from);
            }
        }
    }
}

/// Who is one: an IPv4 address, or an IPv6 network of 64 bits, whose addresses one host has all.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    fn turnstile(places: usize, patience: Duration, hold: Duration) -> Turnstile {
        let places = Arc::new(Semaphore::new(places));
        Turnstile { places, patience, hold, hanging: Mutex::default(), hanging_max: 2 }
    }

    fn host(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[tokio::test]
    async fn few_are_let_in_and_nobody_waits_for_long() {
        let gate = turnstile(2, Duration::ZERO, LONG);
        let first = gate.enter(host(1)).await.unwrap();
        let _second = gate.enter(host(1)).await.unwrap();
        assert!(gate.enter(host(1)).await.is_none(), "both places are taken");
        assert_eq!(gate.pass(first, async { 7 }).await, 7);
        assert!(gate.enter(host(1)).await.is_some(), "the first has passed");
    }

    #[tokio::test]
    async fn who_falls_silent_keeps_no_place() {
        let gate = Arc::new(turnstile(1, LONG, Duration::ZERO));
        let (done, waiting) = tokio::sync::oneshot::channel::<()>();
        let place = gate.enter(host(1)).await.unwrap();
        let own = Arc::clone(&gate);
        let silent = tokio::spawn(async move { own.pass(place, waiting).await });
        // Would wait for ten minutes if the place were kept.
        let next = gate.enter(host(1)).await.unwrap();
        done.send(()).unwrap();
        assert_eq!(silent.await.unwrap(), Ok(()), "it is served all the same");
        drop(next);
    }

    #[tokio::test]
    async fn who_lets_many_hang_gets_no_more_places_until_they_are_done() {
        let gate = turnstile(1, LONG, Duration::ZERO);
        let mut hanging = Vec::new();
        for _ in 0..2 {
            let place = gate.enter(host(1)).await.unwrap();
            let mut passing = Box::pin(gate.pass(place, std::future::pending::<()>()));
            while gate.places.available_permits() == 0 {
                assert!(futures::poll!(passing.as_mut()).is_pending());
                tokio::task::yield_now().await;
            }
            hanging.push(passing);
        }
        assert!(gate.enter(host(1)).await.is_none(), "two of it hang");
        assert!(gate.enter(host(2)).await.is_some(), "the others come through");
        hanging.pop();
        assert!(gate.enter(host(1)).await.is_some(), "one of them is done with");
        drop(hanging);
        assert!(gate.hanging.lock().is_empty());
    }

    #[test]
    fn a_host_has_one_ipv4_address_or_64_bits_of_ipv6() {
        // (two addresses) → whether they are one host's
        let cases = [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("2001:db8::1", "2001:db8::ffff:0:0:2", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
        ];
        for (one, other, same) in cases {
            let [a, b] = [one, other].map(|text| network(text.parse().unwrap()));
            assert_eq!(a == b, same, "{one} {other}");
        }
    }
}
