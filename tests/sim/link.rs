//! Connections between sensors and nodes in memory: streams that are delayed, broken at any byte, cut
//! off, and given up in silence as QUIC gives up.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use wardmesh_common::link::{Carried, Connection, Incoming, LinkError, Outgoing, Stream};
use wardmesh_common::tls::Principal;
use wardmesh_sensor::uplink::SessionEnd;
use wardmesh_sensor::uplink::dial::Dial;

use crate::clock;
use crate::network::{HostId, Network, Shared};

/// Silence after which an end gives up: the sensor's, the node's.
const IDLE: [Duration; 2] = [Duration::from_secs(6), Duration::from_secs(30)];

/// A connection: end 0 is the sensor's, end 1 the node's.
pub(crate) struct Link {
    pub(crate) hosts: [HostId; 2],
    ends: [End; 2],
}

#[derive(Default)]
struct End {
    state: Mutex<EndState>,
    changed: Notify,
}

#[derive(Default)]
struct EndState {
    closed: Option<String>,
    /// The host has gone down.
    gone: bool,
    heard: Duration,
    opened: VecDeque<Stream>,
    receiving: Vec<Arc<Half>>,
}

/// One direction of a stream.
#[derive(Default)]
struct Half {
    state: Mutex<HalfState>,
    changed: Notify,
}

#[derive(Default)]
struct HalfState {
    /// On its way: parcels say when the next of it arrives, not what. `None` is the stream's end.
    under_way: VecDeque<Option<Bytes>>,
    last_due: Duration,
    arrived: BytesMut,
    ended: bool,
    broken: Option<String>,
}

impl Half {
    /// Sends a chunk, or the end, behind what is under way.
    fn push(
        self: &Arc<Self>,
        link: &Arc<Link>,
        from: usize,
        net: &mut Network,
        chunk: Option<Bytes>,
    ) {
        let due = {
            let mut state = self.state.lock();
            state.last_due = state.last_due.max(clock::now() + net.delay());
            state.under_way.push_back(chunk.clone());
            state.last_due
        };
        let what =
            chunk.as_deref().map_or(("end", 0), |bytes| ("data", crate::trace::digest(bytes)));
        let (half, link) = (Arc::clone(self), Arc::clone(link));
        let ends = (link.hosts[from], link.hosts[1 - from]);
        net.send(due, ends, what, true, move |_| half.arrive(&link, 1 - from));
    }

    fn arrive(&self, link: &Link, at: usize) {
        if link.ends[at].state.lock().closed.is_some() {
            return;
        }
        let mut state = self.state.lock();
        match state.under_way.pop_front() {
            Some(Some(bytes)) => state.arrived.extend_from_slice(&bytes),
            Some(None) => state.ended = true,
            None => {}
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// The connection is lost; a part of what is under way may have got through.
    fn break_off(&self, cause: &str, cut_at: u64) {
        let mut state = self.state.lock();
        if let Some(Some(mut bytes)) = state.under_way.pop_front() {
            let arrived = bytes.split_to(bytes.len().min(cut_at as usize));
            state.arrived.extend_from_slice(&arrived);
        }
        state.under_way.clear();
        state.broken.get_or_insert_with(|| cause.to_owned());
        drop(state);
        self.changed.notify_waiters();
    }
}

impl Link {
    /// Ends one end; the other learns of it in time, or by silence.
    fn close(self: &Arc<Self>, at: usize, cause: &str, net: &mut Network, now: Duration) {
        if !self.end(at, cause, u64::MAX) {
            return;
        }
        let (link, told) = (Arc::clone(self), format!("closed by the peer: {cause}"));
        let due = now + net.delay();
        net.send(due, (self.hosts[at], self.hosts[1 - at]), ("close", 0), false, move |_| {
            link.end(1 - at, &told, u64::MAX);
        });
    }

    fn end(&self, at: usize, cause: &str, cut_at: u64) -> bool {
        let end = &self.ends[at];
        let mut state = end.state.lock();
        if state.closed.is_some() {
            return false;
        }
        state.closed = Some(cause.to_owned());
        let receiving = std::mem::take(&mut state.receiving);
        drop(state);
        receiving.iter().for_each(|half| half.break_off(cause, cut_at));
        end.changed.notify_waiters();
        true
    }

    /// Breaks in the midst of a byte sequence, at both ends at once.
    pub(crate) fn break_at(&self, byte: u64) {
        for at in 0..2 {
            self.end(at, "broken", byte);
        }
    }

    /// The host of this end has gone down: it says nothing any more.
    pub(crate) fn gone(&self, host: HostId) {
        for (at, end) in self.ends.iter().enumerate() {
            if self.hosts[at] == host {
                end.state.lock().gone = true;
            }
        }
    }

    /// Looks for silence; `false` once both ends are over.
    pub(crate) fn look(self: &Arc<Self>, net: &mut Network, now: Duration) -> bool {
        for (at, patience) in IDLE.into_iter().enumerate() {
            let other = &self.ends[1 - at].state;
            let mute = other.lock().gone || other.lock().closed.is_some();
            let mut state = self.ends[at].state.lock();
            if !mute && !net.is_cut(self.hosts[1 - at], self.hosts[at]) {
                state.heard = now;
            }
            let given_up = now > state.heard + patience && state.closed.is_none();
            drop(state);
            if given_up {
                self.close(at, "timed out", net, now);
            }
        }
        let over = |end: &End| {
            let state = end.state.lock();
            state.gone || state.closed.is_some()
        };
        !self.ends.iter().all(over)
    }

    fn half(self: &Arc<Self>, at: usize) -> Arc<Half> {
        let half = Arc::new(Half::default());
        self.ends[at].state.lock().receiving.push(Arc::clone(&half));
        half
    }
}

/// One end of a link, as a session holds it.
pub(crate) struct Dialled {
    link: Arc<Link>,
    at: usize,
    principal: Principal,
    network: Shared,
}

impl Dialled {
    fn stream(&self, ours: Arc<Half>, theirs: Arc<Half>, at: usize) -> Stream {
        let (link, network) = (Arc::clone(&self.link), Arc::clone(&self.network));
        Stream {
            send: Box::new(Sending { half: ours, link, at, network }),
            receive: Box::new(Receiving(theirs)),
        }
    }

    fn lost(&self) -> Option<LinkError> {
        let state = self.link.ends[self.at].state.lock();
        state.closed.clone().map(LinkError::Lost)
    }
}

impl Connection for Dialled {
    fn open(&self) -> Carried<'_, Result<Stream, LinkError>> {
        let opened = self.lost().map_or_else(
            || {
                let (at, link) = (self.at, Arc::clone(&self.link));
                let (ours, theirs) = (link.half(1 - at), link.half(at));
                let far = self.stream(Arc::clone(&theirs), Arc::clone(&ours), 1 - at);
                let mut net = self.network.lock();
                let due = clock::now() + net.delay();
                let ends = (link.hosts[at], link.hosts[1 - at]);
                net.send(due, ends, ("open", 0), true, move |_| {
                    link.ends[1 - at].state.lock().opened.push_back(far);
                    link.ends[1 - at].changed.notify_waiters();
                });
                drop(net);
                Ok(self.stream(ours, theirs, at))
            },
            Err,
        );
        Box::pin(std::future::ready(opened))
    }

    fn accept(&self) -> Carried<'_, Result<Stream, LinkError>> {
        Box::pin(async {
            let end = &self.link.ends[self.at];
            loop {
                let changed = end.changed.notified();
                if let Some(lost) = self.lost() {
                    return Err(lost);
                }
                let opened = end.state.lock().opened.pop_front();
                if let Some(stream) = opened {
                    return Ok(stream);
                }
                changed.await;
            }
        })
    }

    fn closed(&self) -> Carried<'_, String> {
        Box::pin(async {
            let end = &self.link.ends[self.at];
            loop {
                let changed = end.changed.notified();
                let closed = end.state.lock().closed.clone();
                if let Some(cause) = closed {
                    return cause;
                }
                changed.await;
            }
        })
    }

    fn close(&self, code: u32, reason: &str) {
        let mut net = self.network.lock();
        self.link.close(self.at, &format!("{code} {reason}"), &mut net, clock::now());
    }

    fn drained(&self) -> Carried<'_, ()> {
        Box::pin(tokio::time::sleep(Duration::from_millis(1)))
    }

    fn principal(&self) -> Result<Principal, String> {
        Ok(self.principal.clone())
    }

    fn remote(&self) -> String {
        format!("host {}", self.link.hosts[1 - self.at])
    }
}

struct Sending {
    half: Arc<Half>,
    link: Arc<Link>,
    at: usize,
    network: Shared,
}

impl Sending {
    fn push(&self, chunk: Option<Bytes>) -> Result<(), LinkError> {
        if let Some(cause) = self.link.ends[self.at].state.lock().closed.clone() {
            return Err(LinkError::Lost(cause));
        }
        self.half.push(&self.link, self.at, &mut self.network.lock(), chunk);
        Ok(())
    }
}

impl Outgoing for Sending {
    fn write(&mut self, [prefix, frame]: [Bytes; 2]) -> Carried<'_, Result<(), LinkError>> {
        let written = self.push(Some([prefix, frame].concat().into()));
        Box::pin(std::future::ready(written))
    }

    fn finish(&mut self) -> Carried<'_, ()> {
        let _ = self.push(None);
        Box::pin(tokio::time::sleep(Duration::from_millis(20)))
    }
}

struct Receiving(Arc<Half>);

impl Incoming for Receiving {
    fn fill<'a>(&'a mut self, buffer: &'a mut [u8]) -> Carried<'a, Result<bool, LinkError>> {
        Box::pin(async move {
            loop {
                let changed = self.0.changed.notified();
                {
                    let mut state = self.0.state.lock();
                    if state.arrived.len() >= buffer.len() {
                        state.arrived.copy_to_slice(buffer);
                        return Ok(true);
                    }
                    if let Some(cause) = &state.broken {
                        return Err(LinkError::Lost(cause.clone()));
                    }
                    if state.ended && state.arrived.is_empty() {
                        return Ok(false);
                    }
                    if state.ended {
                        return Err(LinkError::Lost("ended early".to_owned()));
                    }
                }
                changed.await;
            }
        })
    }
}

/// A sensor's way to the nodes.
pub(crate) struct Dialler {
    pub(crate) from: HostId,
    pub(crate) principal: Principal,
    pub(crate) network: Shared,
}

/// Numbers links over a process; they name nothing in a trace.
static LINKS: AtomicU64 = AtomicU64::new(0);

impl Dialler {
    /// The handshake: there, and back.
    fn knock(&self, to: HostId) -> oneshot::Receiver<Dialled> {
        let (dialled, answer) = oneshot::channel();
        let (from, principal) = (self.from, self.principal.clone());
        let network = Arc::clone(&self.network);
        let mut net = self.network.lock();
        let due = clock::now() + net.delay();
        net.send(due, (from, to), ("dial", 0), false, move |net| {
            let Some(door) = net.doors.get(&to) else { return };
            let link = Arc::new(Link { hosts: [from, to], ends: Default::default() });
            link.ends.iter().for_each(|end| end.state.lock().heard = due);
            let end = |at| Dialled {
                link: Arc::clone(&link),
                at,
                principal: principal.clone(),
                network: Arc::clone(&network),
            };
            let (ours, theirs) = (end(0), end(1));
            let _ = door.links.send(Arc::new(theirs));
            net.links.insert(LINKS.fetch_add(1, Ordering::Relaxed), link);
            let back = due + net.delay();
            net.send(back, (to, from), ("welcome", 0), false, move |_| {
                let _ = dialled.send(ours);
            });
        });
        answer
    }
}

impl Dial for Dialler {
    fn dial<'a>(
        &'a self,
        address: &'a str,
        patience: Duration,
    ) -> Carried<'a, Result<Arc<dyn Connection>, SessionEnd>> {
        Box::pin(async move {
            let named = address.split([':', '-']).nth(1).and_then(|id| id.parse().ok());
            let unknown = || SessionEnd::Resolve(address.to_owned());
            let answer = self.knock(named.ok_or_else(unknown)?);
            let late = || SessionEnd::Connect("no answer".to_owned());
            let answered = async {
                match answer.await {
                    Ok(dialled) => dialled,
                    Err(_) => std::future::pending().await,
                }
            };
            let dialled = tokio::time::timeout(patience, answered).await.map_err(|_| late())?;
            Ok(Arc::new(dialled) as Arc<dyn Connection>)
        })
    }
}
