//! A sensor of the simulation: the product's pipeline, spool and uplink, fed with frames of its own.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use wardmesh_common::event::Event;
use wardmesh_common::id::{SensorId, TenantId};
use wardmesh_common::map::HashKey;
use wardmesh_common::tls::Principal;
use wardmesh_common::wire::v1;
use wardmesh_common::{clock, random};
use wardmesh_sensor::batch::{Archive, Batcher};
use wardmesh_sensor::capture::{Frame, LinkType};
use wardmesh_sensor::dissect::DISSECTORS;
use wardmesh_sensor::flow::Limits;
use wardmesh_sensor::ledger::Ledger;
use wardmesh_sensor::pipeline::Pipeline;
use wardmesh_sensor::spool::{Desk, Spool};
use wardmesh_sensor::uplink::{Uplink, UplinkConfig};

use crate::dice::Dice;
use crate::disk::{Mounted, SensorDisk};
use crate::judge::{Fact, Judge};
use crate::link::Dialler;
use crate::network::Shared;
use crate::node::CLUSTER;
use crate::plant::Plant;
use crate::trace::digest;

/// Bytes that a spool may hold: far more than a run's, or so little that it is full after some seconds
/// without a node; the largest batch here has a third of it.
const BUDGETS: [u64; 3] = [64 * 1024 * 1024, 64 * 1024 * 1024, 16 * 1024];

/// What a sensor listens at, over all its runs.
pub(crate) struct Tap {
    /// Frames so far: each has a name of its own.
    seen: AtomicU64,
    /// Whether there is still something to see.
    pub(crate) busy: AtomicBool,
    /// Whether it has seen what is in no batch yet.
    pub(crate) in_hand: AtomicBool,
    /// Bytes that its spool may hold.
    budget: u64,
    /// It cannot wait for room, as one that listens live.
    live: bool,
    plant: Option<Plant>,
}

impl Tap {
    pub(crate) fn new(dice: &mut Dice, plant: Option<Plant>) -> Self {
        Self {
            seen: AtomicU64::new(0),
            busy: AtomicBool::new(true),
            in_hand: AtomicBool::new(false),
            budget: dice.pick(&BUDGETS),
            live: dice.chance(500),
            plant,
        }
    }
}

/// What a run of a sensor is made of.
pub(crate) struct Start {
    pub(crate) host: u64,
    pub(crate) disk: Arc<Mutex<SensorDisk>>,
    pub(crate) dice: Dice,
    pub(crate) network: Shared,
    pub(crate) judge: Arc<Mutex<Judge>>,
    pub(crate) addresses: Vec<String>,
    pub(crate) tap: Arc<Tap>,
}

/// The sensor's id.
pub(crate) fn id(host: u64) -> SensorId {
    SensorId([host as u8; 16])
}

/// Runs a sensor until its runtime is dropped or its disk fails.
pub(crate) async fn run(start: Start) {
    let on = Mounted { disk: start.disk.clone(), judge: start.judge.clone(), sensor: start.host };
    let ledger = Ledger::over(&start.disk.lock().ledger.clone(), Box::new(on.clone()));
    let epoch = random::u64();
    let opened =
        Spool::over(Arc::new(on), Path::new("spool"), start.tap.budget, epoch, Some(ledger));
    // The power may fail at any write, the first included.
    let Ok((spool, desk)) = opened else { return };
    let sensor = id(start.host);
    let tenant = TenantId::default_tenant();
    let dialler = Dialler {
        from: start.host,
        principal: Principal::Sensor { cluster: CLUSTER.to_owned(), tenant, sensor },
        network: Arc::clone(&start.network),
    };
    let config = UplinkConfig { addresses: start.addresses.clone(), ..UplinkConfig::default() };
    let uplink = Uplink::over(config, sensor, Arc::new(dialler), spool.clone());
    let (stop, stopping) = tokio::sync::watch::channel(false);
    tokio::spawn(work(desk, start.dice.fork(1)));
    tokio::spawn(async move {
        uplink.run(stopping).await;
        drop(stop);
    });
    Feed::new(&start, spool).run(start.dice.fork(2)).await;
}

/// The spool's writer comes round every few milliseconds.
async fn work(mut desk: Desk, mut dice: Dice) {
    while desk.turn().is_ok() {
        tokio::time::sleep(dice.millis(1..8)).await;
    }
}

/// What brings frames into the spool.
struct Feed<'a> {
    start: &'a Start,
    spool: Spool,
    batcher: Batcher,
    pipeline: Pipeline,
    events: Vec<Event>,
    /// Batches that wait for room.
    waiting: VecDeque<Archive>,
    /// What the spool had refused when it was last asked.
    refused: u64,
}

impl<'a> Feed<'a> {
    fn new(start: &'a Start, spool: Spool) -> Self {
        let batcher = Batcher::new(id(start.host), vec!["eth0".to_owned()]);
        let pipeline = Pipeline::new(DISSECTORS, HashKey([7; 16]), Limits::default());
        let (events, waiting) = Default::default();
        Self { start, spool, batcher, pipeline, events, waiting, refused: 0 }
    }

    async fn run(mut self, mut dice: Dice) {
        loop {
            tokio::time::sleep(dice.millis(20..300)).await;
            // Who can wait for room reads no further.
            if self.start.tap.busy.load(Ordering::Relaxed) && self.waiting.is_empty() {
                (0..dice.between(1..6)).for_each(|_| self.capture());
            }
            self.batch();
            if !self.hand_over() {
                return;
            }
            self.declare();
        }
    }

    fn capture(&mut self) {
        let Start { host, tap, judge, .. } = self.start;
        let number = tap.seen.fetch_add(1, Ordering::Relaxed);
        tap.in_hand.store(true, Ordering::Relaxed);
        judge.lock().tell(&Fact::Captured { sensor: *host, number });
        if tap.plant == Some(Plant::FrameLost) && number % 50 == 49 {
            return;
        }
        let bytes = look_up(*host, number);
        let wire_length = bytes.len() as u32;
        let (at, link) = (clock::now(), LinkType::Ethernet);
        let frame = Frame { at, interface: 0, link, bytes: &bytes, wire_length };
        self.pipeline.push(&frame, &mut self.events);
    }

    fn batch(&mut self) {
        let Self { batcher, events, waiting, .. } = self;
        let full = events.drain(..).filter_map(|event| batcher.push(event, clock::now()));
        waiting.extend(full.collect::<Vec<_>>());
        waiting.extend(std::iter::from_fn(|| batcher.poll(clock::now())));
    }

    /// Hands over what there is room for; whether the spool still takes any.
    fn hand_over(&mut self) -> bool {
        let tap = &self.start.tap;
        while let Some(archive) = self.waiting.pop_front() {
            if !tap.live && !self.spool.has_room(archive.bytes.len()) {
                self.start.judge.lock().count("waits for room");
                self.waiting.push_front(archive);
                break;
            }
            if !offer(self.start, &self.spool, archive) {
                return false;
            }
        }
        let in_hand = !self.waiting.is_empty() || self.batcher.deadline().is_some();
        tap.in_hand.store(in_hand, Ordering::Relaxed);
        true
    }

    /// Says what the spool has refused.
    fn declare(&mut self) {
        let refused = self.spool.counts().refused.load(Ordering::Acquire);
        if refused != self.refused {
            let mut judge = self.start.judge.lock();
            judge.add("events refused", refused - self.refused);
            judge.tell(&Fact::Declared { sensor: self.start.host, refused });
            self.refused = refused;
        }
    }
}

/// Hands an archive over; whether the spool still takes any.
fn offer(start: &Start, spool: &Spool, archive: Archive) -> bool {
    let content = digest(&archive.bytes);
    let (sensor, events, frames) = (start.host, archive.events, frames(&archive));
    let mut judge = start.judge.lock();
    judge.count("offered");
    let bytes = archive.bytes.len();
    judge.note(format_args!("offer {sensor} {content:016x} {events} {bytes}"));
    judge.tell(&Fact::Offered { sensor, content, events, frames: &frames });
    drop(judge);
    spool.offer(archive).is_ok()
}

/// The numbers of the frames that an archive's events are about, by the names that were looked up.
fn frames(archive: &Archive) -> Vec<u64> {
    let batch = v1::open(&archive.bytes, archive.events).expect("a batch");
    let said = batch.events.iter().flat_map(|event| event.attributes.iter());
    let asked = said.filter(|one| batch.names[usize::from(one.key.to_native())] == "dns.query");
    let names = asked.flat_map(|one| one.values.iter());
    let number = |name: &str| name.split(['-', '.']).nth(2)?.parse().ok();
    names.map(|name| number(name.as_str()).expect("a name of the simulation")).collect()
}

/// How long after the last frame everything is in a batch.
pub(crate) const LINGER: Duration = Duration::from_secs(2);

/// A device's look-up of a name that nobody else looks up: Ethernet, IPv4, UDP, DNS (RFC 1035).
fn look_up(host: u64, number: u64) -> Vec<u8> {
    let name = format!("t-{host}-{number}");
    let device = (number % 20) as u8;
    let mut dns = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in [name.as_str(), "sim"] {
        dns.push(label.len() as u8);
        dns.extend_from_slice(label.as_bytes());
    }
    dns.extend_from_slice(&[0, 0, 1, 0, 1]);
    let udp_length = dns.len() as u16 + 8;
    let mut frame = vec![0, 9, 2, 0, 0, 1, 0, 9, 2, host as u8, 0, device, 8, 0];
    let mut ip = vec![0x45, 0];
    ip.extend_from_slice(&(udp_length + 20).to_be_bytes());
    ip.extend_from_slice(&[0, 0, 0, 0, 64, 17, 0, 0, 10, 0, host as u8, device, 10, 0, 0, 1]);
    frame.extend_from_slice(&ip);
    // As few flows as devices: one batch holds all their records, should a clock's jump end them.
    for word in [40_000 + u16::from(device), 53, udp_length, 0] {
        frame.extend_from_slice(&word.to_be_bytes());
    }
    frame.extend_from_slice(&dns);
    frame
}
