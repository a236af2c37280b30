//! N15: the volume of a follower, of the leader, or of all nodes runs full to the last byte. Nothing is
//! lost, nobody ends over and over, and half a minute after there is room all is as before.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use wardmesh_tests::breach::Invariant;
use wardmesh_tests::ground::Need;
use wardmesh_tests::rig::Rig;
use wardmesh_tests::shell::run;

use super::{Blow, Fault};

pub(super) const FAULT: Fault =
    Fault { id: "N15", what: "disk full: follower, leader, all", needs: &[Need::Loop], strike };

/// What a node whose disk failed ends with; a supervisor starts it again.
const EXIT_IO: i32 = 74;

/// How often that may be.
const RESTARTS_MAX: usize = 2;

/// Within so long of there being room all is as before.
const RECOVERY: Duration = Duration::from_secs(30);

/// For so long a node is ready before it is taken for recovered: one whose index found no room answers
/// all the while, and starts anew when it next looks and finds some.
const SETTLED: Duration = Duration::from_secs(4);

fn strike(blow: &mut Blow<'_>) -> anyhow::Result<bool> {
    let rig = blow.rig;
    let claims = match blow.turn % 3 {
        0 => rig.claim_follower(blow.turn).map(|claim| vec![claim]),
        1 => rig.claim_leader().map(|claim| vec![claim]),
        _ => rig.claim_all(),
    };
    let Some(claims) = claims else { return Ok(false) };
    let span = blow.span(4_000, 8_000);
    let mut wards: Vec<Ward> = claims.iter().map(|claim| Ward::of(claim.place)).collect();
    for ward in &mut wards {
        rig.expect_end(ward.node);
        ward.fill(rig)?;
    }
    let begun = Instant::now();
    let mut rested = Ok(());
    while begun.elapsed() < span && rested.is_ok() {
        wards.iter_mut().try_for_each(|ward| ward.supervise(rig))?;
        rested = rig.rest(Duration::from_millis(100));
    }
    wards.iter().try_for_each(|ward| ward.empty())?;
    rested?;
    let emptied = Instant::now();
    rig.until("nodes whose disks were full are as before", RECOVERY + SETTLED, || {
        wards.iter_mut().fold(true, |all, ward| ward.is_settled(rig) && all)
    })?;
    for ward in &wards {
        let took = ward.ready_since.map(|since| since.saturating_duration_since(emptied));
        anyhow::ensure!(
            took <= Some(RECOVERY),
            "node {} was as before after {took:?}",
            ward.node + 1
        );
    }
    wards.iter().for_each(|ward| rig.expect_life(ward.node));
    Ok(true)
}

/// A node whose volume is full, under a supervisor.
struct Ward {
    node: usize,
    restarts: usize,
    ballast: PathBuf,
    ready_since: Option<Instant>,
}

impl Ward {
    fn of(node: usize) -> Self {
        Self { node, restarts: 0, ballast: PathBuf::new(), ready_since: None }
    }

    fn fill(&mut self, rig: &Rig) -> anyhow::Result<()> {
        let folder = rig.volume(self.node)?.folder();
        self.ballast = folder.join("ballast");
        let text = folder.to_string_lossy();
        let free = run(&["df", "--output=avail", "-B1", &text])?;
        let free: u64 = free.lines().last().unwrap_or_default().trim().parse()?;
        // Most of it is reserved at once; the rest is written until there is no room.
        let length = free.saturating_sub(4 << 20).to_string();
        run(&["fallocate", "-l", &length, &self.ballast.to_string_lossy()])?;
        write_until_full(&self.ballast)
    }

    fn empty(&self) -> anyhow::Result<()> {
        Ok(std::fs::remove_file(&self.ballast)?)
    }

    /// Starts the node again if it ended as a node does whose disk failed.
    fn supervise(&mut self, rig: &Rig) -> anyhow::Result<()> {
        let Some(end) = rig.ended(self.node)? else { return Ok(()) };
        self.restarts += 1;
        let node = self.node + 1;
        if end.code() != Some(EXIT_IO) || self.restarts > RESTARTS_MAX {
            let what = format!("node {node} ended with {end}, {} times, disk full", self.restarts);
            rig.breaches.note(Invariant::Ended, what);
        }
        rig.start(self.node)?;
        rig.expect_end(self.node);
        self.ready_since = None;
        Ok(())
    }

    /// Whether it has been ready for long enough, under its supervisor until then.
    fn is_settled(&mut self, rig: &Rig) -> bool {
        let door = rig.door(self.node).patient(Duration::from_secs(2));
        let ready = self.supervise(rig).is_ok()
            && door.read("/readyz").is_ok_and(|answer| answer.is_good());
        let since = if ready {
            *self.ready_since.get_or_insert_with(Instant::now)
        } else {
            self.ready_since = None;
            return false;
        };
        since.elapsed() >= SETTLED
    }
}

fn write_until_full(path: &Path) -> anyhow::Result<()> {
    let mut file = std::fs::OpenOptions::new().append(true).open(path)?;
    for piece in [64 << 10, 4 << 10, 1] {
        while file.write_all(&vec![0; piece]).is_ok() {}
    }
    Ok(())
}
