//! The network between hosts: parcels that arrive late, out of order, twice or never.
//!
//! Calls between nodes are single parcels; what the links of sensors carry (`link`) is sent again
//! until it arrives, as QUIC would. A cut is one way.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use wardmesh_aggregator::raft::network::{CallError, Carrier, Peer};

use crate::clock;
use crate::dice::Dice;
use crate::link::{Dialled, Link};
use crate::trace::{self, digest};

/// A host: nodes from 1, sensors from 101.
pub(crate) type HostId = u64;

/// The first sensor.
pub(crate) const SENSORS_FROM: HostId = 101;

/// Between two attempts to get a link's bytes through a cut.
const AGAIN: Range<u64> = 50..400;

/// The network, as all parts of a run hold it.
pub(crate) type Shared = Arc<Mutex<Network>>;

/// How bad the network is.
#[derive(Clone, Debug)]
pub(crate) struct Weather {
    /// Calls that get lost, per mille; the answer as well.
    pub(crate) loss: u64,
    /// Calls that arrive twice, per mille.
    pub(crate) twice: u64,
    /// Milliseconds that a parcel is on its way.
    pub(crate) delay: Range<u64>,
}

impl Weather {
    pub(crate) const FAIR: Self = Self { loss: 0, twice: 0, delay: 0..3 };
}

/// What a host is reached by while it is up.
pub(crate) struct Door {
    pub(crate) calls: mpsc::UnboundedSender<Inbound>,
    pub(crate) links: mpsc::UnboundedSender<Arc<Dialled>>,
}

/// A call that has arrived.
pub(crate) struct Inbound {
    pub(crate) from: HostId,
    pub(crate) bytes: Bytes,
    /// What follows it: a snapshot's file.
    pub(crate) file: Bytes,
    /// `None` for the second copy of a call.
    pub(crate) answer: Option<Answer>,
}

/// Where a call's answer goes.
pub(crate) type Answer = oneshot::Sender<Result<Bytes, CallError>>;

type Deliver = Box<dyn FnOnce(&mut Network) + Send>;

struct Parcel {
    from: HostId,
    to: HostId,
    what: &'static str,
    bytes: u64,
    /// Sent again until it arrives.
    stubborn: bool,
    deliver: Deliver,
}

pub(crate) struct Network {
    pub(crate) weather: Weather,
    pub(crate) doors: BTreeMap<HostId, Door>,
    pub(crate) links: BTreeMap<u64, Arc<Link>>,
    /// From whom nothing gets to whom.
    pub(crate) cuts: BTreeSet<(HostId, HostId)>,
    pub(crate) delivered: u64,
    /// What was done to parcels how often.
    pub(crate) counts: BTreeMap<&'static str, u64>,
    /// The last parcel that arrived, by its two ends.
    latest: BTreeMap<(HostId, HostId), u64>,
    parcels: BTreeMap<(Duration, u64), Parcel>,
    sent: u64,
    dice: Dice,
    trace: trace::Shared,
}

impl Network {
    pub(crate) fn new(dice: Dice, trace: trace::Shared) -> Shared {
        Arc::new(Mutex::new(Self {
            weather: Weather::FAIR,
            doors: BTreeMap::new(),
            links: BTreeMap::new(),
            cuts: BTreeSet::new(),
            delivered: 0,
            counts: BTreeMap::new(),
            latest: BTreeMap::new(),
            parcels: BTreeMap::new(),
            sent: 0,
            dice,
            trace,
        }))
    }

    pub(crate) fn is_cut(&self, from: HostId, to: HostId) -> bool {
        self.cuts.contains(&(from, to))
    }

    pub(crate) fn delay(&mut self) -> Duration {
        let delay = self.dice.millis(self.weather.delay.clone());
        if delay > Duration::from_millis(Weather::FAIR.delay.end) {
            self.count("parcels delayed");
        }
        delay
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// Takes note of a parcel that met a cut, or arrived.
    fn note_passage(&mut self, ends: (HostId, HostId), number: u64, cut: bool) {
        if cut {
            let both_ways = self.is_cut(ends.1, ends.0);
            self.count(if both_ways {
                "parcels cut off both ways"
            } else {
                "parcels cut off one way"
            });
        } else if self.latest.get(&ends).is_some_and(|latest| *latest > number) {
            self.count("parcels overtaken");
        } else {
            self.latest.insert(ends, number);
        }
    }

    /// Puts a parcel on its way.
    pub(crate) fn send(
        &mut self,
        at: Duration,
        ends: (HostId, HostId),
        what: (&'static str, u64),
        stubborn: bool,
        deliver: impl FnOnce(&mut Self) + Send + 'static,
    ) {
        self.sent += 1;
        let ((from, to), (what, bytes)) = (ends, what);
        let parcel = Parcel { from, to, what, bytes, stubborn, deliver: Box::new(deliver) };
        self.parcels.insert((at, self.sent), parcel);
    }

    /// Delivers what is due.
    pub(crate) fn deliver(&mut self, now: Duration) {
        while let Some(((due, _), _)) = self.parcels.first_key_value()
            && *due <= now
        {
            let Some(((_, number), parcel)) = self.parcels.pop_first() else { return };
            let Parcel { from, to, what, bytes, stubborn, deliver } = parcel;
            let cut = self.is_cut(from, to);
            self.note_passage((from, to), number, cut);
            if cut && stubborn {
                let again = now + self.dice.millis(AGAIN);
                self.sent += 1;
                let parcel = Parcel { from, to, what, bytes, stubborn, deliver };
                self.parcels.insert((again, self.sent), parcel);
                continue;
            }
            let lost = if cut { " lost" } else { "" };
            self.trace.lock().note(now, format_args!("{what} {from}>{to} {bytes:016x}{lost}"));
            if !cut {
                self.delivered += 1;
                deliver(self);
            }
        }
    }

    /// A call from one node to another; nothing is answered where it gets lost.
    fn call(&mut self, ends: (HostId, HostId), call: (Bytes, Bytes), answer: Answer) {
        let at = clock::now() + self.delay();
        let what = (name(&call.0), digest(&call.0));
        if self.dice.chance(self.weather.loss) {
            self.count("calls lost");
            if self.dice.chance(500) {
                let lost = Err(CallError::Lost("the connection was lost".to_owned()));
                self.send(at, (ends.1, ends.0), ("lost", what.1), false, |_| {
                    drop(answer.send(lost));
                });
            }
            return;
        }
        // A stream of QUIC carries a call at most once; that Raft and the batches bear more is asked of
        // them all the same, of a command it cannot be.
        if what.0 != "propose" && self.dice.chance(self.weather.twice) {
            self.count("calls twice");
            let (again, copy) = (at + self.delay() * 4, call.clone());
            self.send(again, ends, ("copy", what.1), false, move |network| {
                network.knock(ends, copy, None);
            });
        }
        self.send(at, ends, what, false, move |network| network.knock(ends, call, Some(answer)));
    }

    fn knock(
        &mut self,
        (from, to): (HostId, HostId),
        (bytes, file): (Bytes, Bytes),
        answer: Option<Answer>,
    ) {
        if let Some(door) = self.doors.get(&to) {
            // The host may be about to go down.
            let _ = door.calls.send(Inbound { from, bytes, file, answer });
        }
    }

    /// The answer to a call of `to`.
    pub(crate) fn answer(&mut self, ends: (HostId, HostId), bytes: Bytes, answer: Answer) {
        let at = clock::now() + self.delay();
        if self.dice.chance(self.weather.loss) {
            return self.count("answers lost");
        }
        self.send(at, ends, ("answer", digest(&bytes)), false, |_| {
            drop(answer.send(Ok(bytes)));
        });
    }
}

/// What a call asks, by its kind: the second byte of a request.
fn name(request: &[u8]) -> &'static str {
    match request.get(1) {
        Some(1) => "append",
        Some(2 | 3) => "vote",
        Some(4) => "snapshot",
        Some(6) => "submit",
        Some(7) => "propose",
        Some(8) => "read-index",
        _ => "call",
    }
}

/// A node's way to the others.
pub(crate) struct Wire {
    pub(crate) from: HostId,
    pub(crate) network: Shared,
}

impl Carrier for Wire {
    fn exchange<'a>(
        &'a self,
        peer: &'a Peer,
        request: Bytes,
        file: Bytes,
    ) -> BoxFuture<'a, Result<Bytes, CallError>> {
        let named = peer.address.split([':', '-']).nth(1).and_then(|id| id.parse().ok());
        let to = named.expect("an address of the simulation");
        let (answer, answered) = oneshot::channel();
        // Its length comes first on a stream.
        self.network.lock().call((self.from, to), (request.slice(4..), file), answer);
        Box::pin(async {
            match answered.await {
                Ok(answer) => answer,
                Err(_) => std::future::pending().await,
            }
        })
    }
}
