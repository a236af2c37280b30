//! After the last fault: the sensors drain, the nodes agree, and what they hold is held against what
//! was promised.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::breach::Invariant;
use crate::heal;
use crate::judge::{Held, judge};
use crate::rig::{NODES, Rig};
use crate::scan::scan;

/// How long nodes may take to agree once nothing more comes (I7): a moment, and a slow machine's time.
const AGREE_WITHIN: Duration = Duration::from_secs(30);

/// How long a node may take to fetch what a snapshot did not bring.
const BACKFILL_WITHIN: Duration = Duration::from_secs(120);

/// A page of events of a busy node takes a moment.
const SCAN_PATIENCE: Duration = Duration::from_secs(30);

/// What was found on the nodes.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Events that were promised.
    pub emitted: u64,
    /// Events that were acknowledged.
    pub acked: u64,
    /// Events that each node has.
    pub events: Vec<u64>,
    /// From which log index on each node has everything.
    pub history_from: Vec<u64>,
}

/// Stops the load and has every spool emptied; how long that took.
///
/// # Errors
/// Where everything is to end; a spool that is not emptied is a breach.
pub fn drain(rig: &Rig) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    rig.sensors.iter().try_for_each(|post| post.stop())?;
    std::thread::scope(|scope| {
        let drains: Vec<_> = (0..rig.sensors.len())
            .map(|sensor| scope.spawn(move || rig.drain_sensor(sensor)))
            .collect();
        for (drain, post) in drains.into_iter().zip(&rig.sensors) {
            if let Err(cause) = drain.join().expect("a drain panicked") {
                anyhow::ensure!(!rig.stopped.load(Ordering::Acquire), "stopped");
                let what = format!("{} did not drain: {cause:#}", post.name);
                rig.breaches.note(Invariant::NotHealed, what);
            }
        }
        anyhow::Ok(())
    })?;
    for post in &rig.sensors {
        post.book.lock().unwrap().follow()?;
    }
    Ok(begun.elapsed())
}

/// Waits until all nodes have applied the same and say the same digest of it; how long that took.
///
/// # Errors
/// Where they come to no common index.
pub fn agree(rig: &Rig) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let (index, digests) = rig.with_mesh(|mesh| mesh.digests()).context("no common index")?;
    if digests.iter().any(|digest| *digest != digests[0]) {
        rig.breaches.note(Invariant::Diverged, format!("at index {index}: {digests:?}"));
    }
    let elapsed = begun.elapsed();
    if elapsed > AGREE_WITHIN {
        rig.breaches.note(Invariant::Diverged, format!("only after {elapsed:.1?}"));
    }
    Ok(elapsed)
}

/// Waits until every node has the whole history: one that came back by a snapshot fetches it from the
/// others. How long that took; a node that still lacks some of it then is a breach.
///
/// # Errors
/// Where everything is to end.
pub fn backfill(rig: &Rig) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let path = "/api/v1/events?limit=1&consistency=local";
    let whole = |node: usize| {
        let page = rig.door(node).json(path);
        heal::whole(node, &page.unwrap_or_default()["meta"])
    };
    while (0..NODES).any(|node| whole(node).is_err()) && begun.elapsed() < BACKFILL_WITHIN {
        rig.rest(Duration::from_millis(200))?;
    }
    let took = begun.elapsed();
    (0..NODES).for_each(|node| rig.breaches.expect(Invariant::NotHealed, whole(node)));
    Ok(took)
}

/// Reads every event of every sensor at every node and judges them.
///
/// # Errors
/// Where a node cannot be read.
pub fn compare(rig: &Rig) -> anyhow::Result<Found> {
    let players = rig.players.lock().unwrap();
    let of_posts = rig.sensors.iter().map(|post| (&post.name, post.files.sensor, &post.book));
    let of_players = players.iter().map(|player| (&player.name, player.sensor, &player.book));
    let sensors: Vec<_> = of_posts.chain(of_players).collect();
    let ids: Vec<String> = sensors.iter().map(|(_, sensor, _)| sensor.to_string()).collect();
    let nodes = std::thread::scope(|scope| {
        let ids = &ids;
        let scans: Vec<_> = (0..NODES)
            .map(|node| {
                let door = rig.door(node).patient(SCAN_PATIENCE);
                scope.spawn(move || ids.iter().map(|id| scan(node, &door, id)).collect())
            })
            .collect();
        let joined = scans.into_iter().map(|scan| scan.join().expect("a scan panicked"));
        joined.collect::<anyhow::Result<Vec<Vec<Held>>>>()
    })?;
    let mut found = Found::default();
    for held in &nodes {
        let batches = held.iter().flat_map(|held| held.batches.values());
        found.events.push(batches.map(|seen| seen.events).sum());
        found.history_from.push(held.iter().map(|held| held.history_from).max().unwrap_or(0));
    }
    for (at, (name, _, book)) in sensors.iter().enumerate() {
        let book = book.lock().unwrap();
        found.emitted += book.emitted;
        found.acked += book.acked;
        let of_sensor: Vec<Held> = nodes.iter().map(|held| held[at].clone()).collect();
        for breach in judge(name, &book, &of_sensor) {
            rig.breaches.note(breach.invariant, breach.what);
        }
        for line in &book.strange {
            rig.breaches.note(Invariant::Doubled, format!("{name}: {line}"));
        }
    }
    Ok(found)
}
