//! The sensors of a rig: the product's own, which read a generated capture over and over at a pace
//! that makes as many events a second as were asked for.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use wardmesh_cli::local::{Child, Mesh, SensorFiles};
use wardmesh_cli::simulate::Scenario;

use super::{Claim, Plan, Rig};
use crate::book::Book;

/// How often a sensor reads its capture before it comes to the end: for hours.
const ROUNDS: usize = 2_000;

/// Minutes of a capture: at 20 times its own time, a round takes 15 seconds.
const MINUTES: u32 = 5;

/// One sensor's place.
pub struct Post {
    /// Its name.
    pub name: String,
    /// Its files.
    pub files: SensorFiles,
    /// What it promised.
    pub book: Mutex<Book>,
    /// The file that sets its clock, where clocks can be set.
    pub clock: PathBuf,
    launcher: Vec<OsString>,
    child: Mutex<Option<Child>>,
    claimed: AtomicBool,
}

impl Post {
    pub(super) fn prepare(
        mesh: &mut Mesh,
        plan: &Plan,
        number: usize,
        site: &str,
        name: &str,
        mut launcher: Vec<OsString>,
        clock: PathBuf,
    ) -> anyhow::Result<Self> {
        let capture = mesh.folder().join(format!("{name}.pcap"));
        // The sensors of three sites share a seed: then a pump is at two of them at once, which is found.
        let seed = plan.seed.wrapping_add(number as u64 / 3);
        let scenario = Scenario {
            devices: 40,
            minutes: MINUTES,
            rate_per_mille: 4_000,
            ..Scenario::of_site(site, seed)
        };
        scenario.write(&capture)?;
        let events = count(&plan.program, &capture)?;
        let speed = (plan.events_per_second * u64::from(MINUTES) * 60).div_ceil(events.max(1));
        launcher.push(format!("WARDMESH__CAPTURE__SPEED={speed}x").into());
        let files = mesh.add_sensor(name, site, &vec![capture; ROUNDS])?;
        let book = Mutex::new(Book::of(files.ledger.clone()));
        let (child, claimed) = (Mutex::new(None), AtomicBool::new(false));
        Ok(Self { name: name.to_owned(), files, book, clock, launcher, child, claimed })
    }

    /// Its spool's folder.
    #[must_use]
    pub fn spool(&self) -> PathBuf {
        self.files.ledger.with_file_name("spool")
    }

    /// The command that starts a process where this sensor runs.
    #[must_use]
    pub fn launcher(&self) -> &[OsString] {
        &self.launcher
    }

    /// Its process, where it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.lock().unwrap().as_ref().map(Child::id)
    }

    /// Kills it with SIGKILL.
    ///
    /// # Errors
    /// Where it cannot be waited for.
    pub fn kill(&self) -> anyhow::Result<()> {
        self.child.lock().unwrap().take().map_or(Ok(()), Child::kill)
    }

    /// Asks it to end and waits.
    ///
    /// # Errors
    /// Where it cannot be waited for.
    pub fn stop(&self) -> anyhow::Result<()> {
        let child = self.child.lock().unwrap().take();
        Child::stop_all(child.into_iter().collect())
    }

    /// How it has ended by itself, if it has.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn ended(&self) -> anyhow::Result<Option<String>> {
        let mut child = self.child.lock().unwrap();
        let end = child.as_mut().map_or(Ok(None), Child::end)?;
        if end.is_some() {
            *child = None;
        }
        Ok(end.map(|status| status.to_string()))
    }

    /// Claims it, if no other fault has it.
    #[must_use]
    pub fn claim(&self, place: usize) -> Option<Claim<'_>> {
        Claim::of(&self.claimed, place)
    }
}

impl Rig {
    /// Starts a sensor; it reads its capture over and over.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn run_sensor(&self, sensor: usize) -> anyhow::Result<()> {
        let post = &self.sensors[sensor];
        let child = self
            .with_mesh(|mesh| mesh.launch_sensor(&post.launcher, &post.files, &["run".into()]))?;
        *post.child.lock().unwrap() = Some(child);
        Ok(())
    }

    /// Has a stopped sensor send what its spool holds, and nothing new; returns its summary.
    ///
    /// # Errors
    /// Where it cannot.
    pub fn drain_sensor(&self, sensor: usize) -> anyhow::Result<serde_json::Value> {
        let post = &self.sensors[sensor];
        let words = self.nothing_new()?;
        let child =
            self.with_mesh(|mesh| mesh.launch_sensor(&post.launcher, &post.files, &words))?;
        self.drained(child, &post.name)
    }

    /// Starts a copy of a sensor over a copy of its spool, with a ledger of its own.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn clone_sensor(
        &self,
        sensor: usize,
        spool: &Path,
        ledger: &Path,
        words: Option<&[OsString]>,
    ) -> anyhow::Result<Child> {
        let post = &self.sensors[sensor];
        let mut launcher = post.launcher.clone();
        let mut folder = OsString::from("WARDMESH__SPOOL__FOLDER=");
        folder.push(spool);
        launcher.push(folder);
        let files = SensorFiles { ledger: ledger.to_owned(), ..post.files.clone() };
        let run = ["run".into()];
        let words = words.unwrap_or(&run);
        self.with_mesh(|mesh| mesh.launch_sensor(&launcher, &files, words))
    }

    /// Has a stopped copy send what its spool holds, and nothing new.
    ///
    /// # Errors
    /// Where it cannot.
    pub fn drain_clone(&self, sensor: usize, spool: &Path, ledger: &Path) -> anyhow::Result<()> {
        let words = self.nothing_new()?;
        let child = self.clone_sensor(sensor, spool, ledger, Some(&words))?;
        self.drained(child, &format!("the copy of {}", self.sensors[sensor].name)).map(drop)
    }

    fn nothing_new(&self) -> anyhow::Result<[OsString; 4]> {
        let empty = self.folder().join("empty.pcap");
        std::fs::write(&empty, EMPTY)?;
        Ok(["replay".into(), empty.into_os_string(), "--speed".into(), "max".into()])
    }

    fn drained(&self, mut child: Child, name: &str) -> anyhow::Result<serde_json::Value> {
        let mut running = || child.is_running().unwrap_or(false);
        self.until(&format!("{name} drains"), DRAIN, || !running())?;
        Ok(serde_json::from_str(&child.finish()?)?)
    }
}

/// How long what is spooled may take to arrive once all is well.
const DRAIN: std::time::Duration = std::time::Duration::from_secs(180);

/// A capture without a frame: pcap's file header, little-endian, version 2.4, Ethernet.
const EMPTY: [u8; 24] =
    [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];

/// How many events a capture makes.
fn count(program: &Path, capture: &Path) -> anyhow::Result<u64> {
    let output = Command::new(program).args(["sensor", "inspect"]).arg(capture).output()?;
    anyhow::ensure!(output.status.success(), "{} cannot be read", capture.display());
    let lines = output.stdout.iter().filter(|byte| **byte == b'\n').count();
    u64::try_from(lines).context("a count")
}
