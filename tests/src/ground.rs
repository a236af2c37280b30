//! What this machine allows: each injector is tried, not looked up, and what is missing is said.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use wardmesh_common::clock;

use crate::network::{Cut, Network};
use crate::volume::Volume;

/// Seconds of a year: a jump that nothing else explains.
const YEAR: u64 = 365 * 86_400;

/// Seconds that a probe may take.
const PROBE_OFF_MAX: u64 = 60;

/// Something that a fault may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Network namespaces, with a bridge between them.
    Namespaces,
    /// nft in them.
    Nft,
    /// File systems on loop devices that can be shut down.
    Loop,
    /// strace, and the right to attach it.
    Strace,
    /// libfaketime.
    Faketime,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Namespaces => "network namespaces (root, ip netns)",
            Self::Nft => "nft in network namespaces (root, nftables)",
            Self::Loop => "loop devices that can be mounted and shut down (root, python3)",
            Self::Strace => "strace with the right to attach",
            Self::Faketime => "libfaketime",
        })
    }
}

/// What is allowed here.
#[derive(Clone, Debug)]
pub struct Ground {
    namespaces: bool,
    nft: bool,
    loops: bool,
    strace: bool,
    faketime: Option<PathBuf>,
}

impl Ground {
    /// Tries everything; `scratch` is a folder for what that needs.
    #[must_use]
    pub fn survey(scratch: &Path) -> Self {
        let network = Network::make(2);
        Self {
            namespaces: network.is_ok(),
            nft: network.is_ok_and(|network| network.cut(0, &[1], Cut::Both).is_ok()),
            loops: shuts_down(scratch),
            strace: attaches(),
            faketime: faketime(scratch),
        }
    }

    /// The same without a network of its own, and without changed clocks.
    #[must_use]
    pub fn on_loopback(self) -> Self {
        Self { namespaces: false, nft: false, faketime: None, ..self }
    }

    /// The same with file systems of the nodes' own only where they are needed.
    #[must_use]
    pub fn with_only(&self, needs: &[Need]) -> Self {
        Self { loops: self.loops && needs.contains(&Need::Loop), ..self.clone() }
    }

    /// Whether a fault may have this.
    #[must_use]
    pub const fn has(&self, need: Need) -> bool {
        match need {
            Need::Namespaces => self.namespaces,
            Need::Nft => self.nft,
            Need::Loop => self.loops,
            Need::Strace => self.strace,
            Need::Faketime => self.faketime.is_some(),
        }
    }

    /// Variables under which a process takes its time from a file: an offset such as `-3600s`.
    #[must_use]
    pub fn clock_of(&self, file: &Path) -> Vec<OsString> {
        self.faketime.as_deref().map_or_else(Vec::new, |library| clock_by(library, file))
    }
}

/// The variables under which a library sets a process's clock by a file.
fn clock_by(library: &Path, file: &Path) -> Vec<OsString> {
    let variable = |name: &str, path: &Path| {
        let mut word = OsString::from(name);
        word.push("=");
        word.push(path);
        word
    };
    let fixed = [
        "FAKETIME_CACHE_DURATION=1",
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
        "FAKETIME_DISABLE_SHM=1",
        "NO_FAKE_STAT=1",
    ];
    let paths = [variable("LD_PRELOAD", library), variable("FAKETIME_TIMESTAMP_FILE", file)];
    paths.into_iter().chain(fixed.map(OsString::from)).collect()
}

/// Whether a file system can be cut off, and what was not synced is gone then.
fn shuts_down(scratch: &Path) -> bool {
    let (image, folder) = (scratch.join("probe.img"), scratch.join("probe"));
    let Ok(volume) = Volume::make(image, folder, 16 << 20) else { return false };
    let file = volume.folder().join("unsynced");
    let lost = std::fs::write(&file, "x").is_ok()
        && volume.cut_power().is_ok()
        && volume.power_up().is_ok()
        && !file.exists();
    drop(volume);
    lost
}

fn attaches() -> bool {
    let mut target = Command::new("sleep");
    let Ok(mut target) = target.arg("20").stdin(Stdio::null()).spawn() else { return false };
    let pid = target.id().to_string();
    let attached = traced(&["strace", "-qq", "-p", &pid]);
    // It may have ended.
    let _ = target.kill();
    let _ = target.wait();
    attached
}

/// Whether strace stays attached until it is interrupted: then `timeout` says 124.
fn traced(words: &[&str]) -> bool {
    let mut timeout = Command::new("timeout");
    let timeout = timeout.args(["--signal=INT", "1"]).args(words).stderr(Stdio::null());
    timeout.status().is_ok_and(|status| status.code() == Some(124))
}

fn faketime(scratch: &Path) -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
    let library = |folder: PathBuf| folder.join("faketime/libfaketimeMT.so.1");
    folders.map(library).find(|path| path.exists() && shifts(path, scratch))
}

/// Whether a process that is started as those of a mesh are takes its time from the file: asked for
/// next year, it must say so.
fn shifts(library: &Path, scratch: &Path) -> bool {
    let file = scratch.join("probe.clock");
    let now = || clock::now().as_nanos() / 1_000_000_000;
    let said = |offset: u64| {
        std::fs::write(&file, format!("+{offset}s\n")).ok()?;
        let mut process = Command::new("env");
        let output = process.args(clock_by(library, &file)).args(["date", "+%s"]).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse::<u64>().ok()
    };
    let shown = |offset: u64| {
        said(offset).is_some_and(|said| said.abs_diff(now() + offset) < PROBE_OFF_MAX)
    };
    shown(0) && shown(YEAR)
}
