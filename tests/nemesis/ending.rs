//! After the last fault: everything heals by itself, the sensors drain, the nodes agree, and what they
//! hold is held against what was promised.

use std::time::{Duration, Instant};

use anyhow::Context;
use wardmesh_tests::breach::Invariant;
use wardmesh_tests::judge::{Held, judge};
use wardmesh_tests::rig::{NODES, Rig};
use wardmesh_tests::scan::scan;
use wardmesh_tests::watch::Watch;

/// How long nodes may take to agree once nothing more comes (I7).
const AGREE_WITHIN: Duration = Duration::from_secs(10);

/// A page of events of a busy node takes a moment.
const SCAN_PATIENCE: Duration = Duration::from_secs(30);

/// Memory that a node may have gained over its baseline beside as much again, KiB: its state and
/// indexes are larger at the end.
const GAIN_KIB: u64 = 192 * 1024;

/// Open files that a node may have gained.
const GAIN_FILES: u64 = 64;

/// What a node weighs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weight {
    pub(crate) resident_kib: u64,
    pub(crate) files: u64,
}

/// What the end was like.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    pub(crate) emitted: u64,
    pub(crate) acked: u64,
    /// Events that each node has.
    pub(crate) found: Vec<u64>,
    /// From which log index on each node has everything.
    pub(crate) history_from: Vec<u64>,
    pub(crate) drained: Duration,
    pub(crate) agreed: Duration,
    pub(crate) weights: Vec<(Weight, Weight)>,
}

/// What all nodes weigh now.
pub(crate) fn weights(rig: &Rig) -> Vec<Weight> {
    (0..NODES).map(|node| weight(rig.pid(node)).unwrap_or_default()).collect()
}

fn weight(pid: Option<u32>) -> Option<Weight> {
    let folder = std::path::Path::new("/proc").join(pid?.to_string());
    let status = std::fs::read_to_string(folder.join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let resident_kib = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(Weight { resident_kib, files: std::fs::read_dir(folder.join("fd")).ok()?.count() as u64 })
}

impl Ending {
    pub(crate) fn reach(rig: &Rig, watch: &Watch, baseline: &[Weight]) -> anyhow::Result<Self> {
        let mut ending = Self::default();
        (0..NODES).try_for_each(|node| rig.await_ready(node).map(drop))?;
        ending.drained = drain(rig)?;
        println!("drained in {:.1?}", ending.drained);
        ending.agreed = agree(rig)?;
        println!("all nodes agree after {:.1?}", ending.agreed);
        watch.end();
        ending.weigh(rig, baseline);
        logs(rig)?;
        ending.compare(rig)?;
        Ok(ending)
    }

    fn weigh(&mut self, rig: &Rig, baseline: &[Weight]) {
        for (node, (before, after)) in baseline.iter().copied().zip(weights(rig)).enumerate() {
            let grew = after.resident_kib > 2 * before.resident_kib + GAIN_KIB
                || after.files > before.files + GAIN_FILES;
            if grew {
                let what = format!("node {}: {before:?} became {after:?}", node + 1);
                rig.breaches.note(Invariant::Grew, what);
            }
            self.weights.push((before, after));
        }
    }

    fn compare(&mut self, rig: &Rig) -> anyhow::Result<()> {
        let begun = Instant::now();
        let nodes = std::thread::scope(|scope| {
            let scans: Vec<_> =
                (0..NODES).map(|node| scope.spawn(move || scan_all(rig, node))).collect();
            let joined = scans.into_iter().map(|scan| scan.join().expect("a scan panicked"));
            joined.collect::<anyhow::Result<Vec<Vec<Held>>>>()
        })?;
        println!("read all events of all nodes in {:.1?}", begun.elapsed());
        for held in &nodes {
            let events = held.iter().flat_map(|held| held.batches.values());
            self.found.push(events.map(|seen| seen.events).sum());
            self.history_from.push(held.iter().map(|held| held.history_from).max().unwrap_or(0));
        }
        for (sensor, post) in rig.sensors.iter().enumerate() {
            let book = post.book.lock().unwrap();
            self.emitted += book.emitted;
            self.acked += book.acked;
            let of_sensor: Vec<Held> = nodes.iter().map(|held| held[sensor].clone()).collect();
            for breach in judge(&post.name, &book, &of_sensor) {
                rig.breaches.note(breach.invariant, breach.what);
            }
            for line in &book.strange {
                rig.breaches.note(Invariant::Doubled, format!("{}: {line}", post.name));
            }
        }
        Ok(())
    }
}

fn scan_all(rig: &Rig, node: usize) -> anyhow::Result<Vec<Held>> {
    let door = rig.door(node).patient(SCAN_PATIENCE);
    rig.sensors.iter().map(|post| scan(node, &door, &post.files.sensor.to_string())).collect()
}

/// Stops the load and has every spool emptied.
fn drain(rig: &Rig) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    rig.sensors.iter().try_for_each(|post| post.stop())?;
    std::thread::scope(|scope| {
        let drains: Vec<_> = (0..rig.sensors.len())
            .map(|sensor| scope.spawn(move || rig.drain_sensor(sensor)))
            .collect();
        for (drain, post) in drains.into_iter().zip(&rig.sensors) {
            if let Err(cause) = drain.join().expect("a drain panicked") {
                anyhow::ensure!(!rig.stopped.load(std::sync::atomic::Ordering::Acquire), "stopped");
                let what = format!("{} did not drain: {cause:#}", post.name);
                rig.breaches.note(Invariant::NotHealed, what);
            }
        }
        Ok(())
    })?;
    for post in &rig.sensors {
        post.book.lock().unwrap().follow()?;
    }
    Ok(begun.elapsed())
}

/// Waits until all nodes have applied the same and say the same digest of it.
fn agree(rig: &Rig) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let (index, digests) = rig.with_mesh(|mesh| mesh.digests()).context("no common index")?;
    if digests.iter().any(|digest| *digest != digests[0]) || digests.len() < NODES {
        rig.breaches.note(Invariant::Diverged, format!("at index {index}: {digests:?}"));
    }
    let elapsed = begun.elapsed();
    if elapsed > AGREE_WITHIN {
        rig.breaches.note(Invariant::Diverged, format!("only after {elapsed:.1?}"));
    }
    Ok(elapsed)
}

/// No log tells of a panic.
fn logs(rig: &Rig) -> anyhow::Result<()> {
    let mut folders = vec![rig.folder().to_owned()];
    folders.extend(rig.sensors.iter().filter_map(|post| Some(post.files.config.parent()?.into())));
    for folder in folders {
        for entry in std::fs::read_dir(folder)?.flatten() {
            let path = entry.path();
            if path.extension().is_none_or(|extension| extension != "log") {
                continue;
            }
            let text = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
            for line in text.lines().filter(|line| line.contains("panicked")) {
                rig.breaches.note(Invariant::Panicked, format!("{}: {line}", path.display()));
            }
        }
    }
    Ok(())
}
