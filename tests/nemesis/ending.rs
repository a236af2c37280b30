//! After the last fault: everything heals by itself, nothing has grown without end, and what the nodes
//! hold is held against what was promised.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use wardmesh_tests::breach::Invariant;
use wardmesh_tests::clients::Clients;
use wardmesh_tests::register::check;
use wardmesh_tests::rig::{NODES, Rig};
use wardmesh_tests::verdict::{Found, agree, backfill, compare, drain};
use wardmesh_tests::watch::Watch;
use wardmesh_tests::worth::Outcomes;

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
    pub(crate) found: Found,
    /// What came of the operations on the register.
    pub(crate) register: Outcomes,
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
    pub(crate) fn reach(
        rig: &Rig,
        watch: &Watch,
        clients: &Clients,
        baseline: &[Weight],
    ) -> anyhow::Result<Self> {
        let history = clients.history();
        let mut ending = Self { register: Outcomes::of(&history), ..Self::default() };
        for fault in check(&history) {
            rig.breaches.note(Invariant::NotLinearizable, fault);
        }
        if let Err(cause) = (0..NODES).try_for_each(|node| rig.await_ready(node).map(drop)) {
            anyhow::ensure!(!rig.stopped.load(Ordering::Acquire), "stopped");
            rig.breaches.note(Invariant::NotHealed, format!("after the last fault: {cause:#}"));
            return Ok(ending);
        }
        ending.drained = drain(rig)?;
        println!("drained in {:.1?}", ending.drained);
        ending.agreed = agree(rig)?;
        println!("all nodes agree after {:.1?}", ending.agreed);
        watch.end();
        ending.weigh(rig, baseline);
        crate::logs::judge(rig);
        println!("every node has its history after {:.1?}", backfill(rig)?);
        let begun = Instant::now();
        ending.found = compare(rig)?;
        println!("read all events of all nodes in {:.1?}", begun.elapsed());
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
}
