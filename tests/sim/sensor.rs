//! A sensor of the simulation: the product's pipeline, spool and uplink, fed with frames of its own.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use wardmesh_common::id::{SensorId, TenantId};
use wardmesh_common::map::HashKey;
use wardmesh_common::tls::Principal;
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
use crate::trace::digest;

/// Bytes that a spool may hold: far more than a run's.
const BUDGET: u64 = 64 * 1024 * 1024;

/// What a run of a sensor is made of.
pub(crate) struct Start {
    pub(crate) host: u64,
    pub(crate) disk: Arc<Mutex<SensorDisk>>,
    pub(crate) dice: Dice,
    pub(crate) network: Shared,
    pub(crate) judge: Arc<Mutex<Judge>>,
    pub(crate) addresses: Vec<String>,
    /// Frames that it has seen over all its runs: each has a name of its own.
    pub(crate) seen: Arc<AtomicU64>,
    /// Whether there is still something to see.
    pub(crate) busy: Arc<AtomicBool>,
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
    let opened = Spool::over(Arc::new(on), Path::new("spool"), BUDGET, epoch, Some(ledger));
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
    feed(&start, spool, start.dice.fork(2)).await;
}

/// The spool's writer comes round every few milliseconds.
async fn work(mut desk: Desk, mut dice: Dice) {
    while desk.turn().is_ok() {
        tokio::time::sleep(dice.millis(1..8)).await;
    }
}

async fn feed(start: &Start, spool: Spool, mut dice: Dice) {
    let mut batcher = Batcher::new(id(start.host), vec!["eth0".to_owned()]);
    let mut pipeline = Pipeline::new(DISSECTORS, HashKey([7; 16]), Limits::default());
    let mut events = Vec::new();
    loop {
        tokio::time::sleep(dice.millis(20..300)).await;
        if start.busy.load(Ordering::Relaxed) {
            for _ in 0..dice.between(1..6) {
                let number = start.seen.fetch_add(1, Ordering::Relaxed);
                let bytes = look_up(start.host, number);
                let wire_length = bytes.len() as u32;
                let (at, link) = (clock::now(), LinkType::Ethernet);
                let frame = Frame { at, interface: 0, link, bytes: &bytes, wire_length };
                pipeline.push(&frame, &mut events);
            }
        }
        let full = events.drain(..).filter_map(|event| batcher.push(event, clock::now()));
        let full: Vec<_> = full.collect();
        let lingered = std::iter::from_fn(|| batcher.poll(clock::now()));
        for archive in full.into_iter().chain(lingered) {
            if spool.has_room(archive.bytes.len()) && !offer(start, &spool, archive) {
                return;
            }
        }
    }
}

/// Hands an archive over; whether the spool still takes any.
fn offer(start: &Start, spool: &Spool, archive: Archive) -> bool {
    let content = digest(&archive.bytes);
    let mut judge = start.judge.lock();
    judge.count("offered");
    judge.note(format_args!("offer {} {content:016x}", start.host));
    judge.tell(&Fact::Offered { sensor: start.host, content });
    drop(judge);
    spool.offer(archive).is_ok()
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
    for word in [40_000 + (number % 20_000) as u16, 53, udp_length, 0] {
        frame.extend_from_slice(&word.to_be_bytes());
    }
    frame.extend_from_slice(&dns);
    frame
}
