//! A volume that can be filled and made larger: a tmpfs in a mount namespace of the test's own, so that
//! nothing is left mounted however the test ends.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Set in a test that runs in a namespace of its own.
const INSIDE: &str = "WARDMESH_TEST_NAMESPACE";

/// A volume under test.
pub(crate) struct Volume {
    pub(crate) folder: PathBuf,
}

/// Runs the test of this name again, in a mount namespace of its own; true inside it. False outside:
/// the test is done then, or left out, loudly, where the system does not allow it.
#[track_caller]
pub(crate) fn inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private"]);
        command
    };
    let probe = "mount -t tmpfs -o size=64k tmpfs /mnt && umount /mnt";
    let allowed = unshare().args(["sh", "-c", probe]).output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        super::left_out(test, "no tmpfs can be mounted in a namespace here (needs root)");
        return false;
    }
    let program = std::env::current_exe().unwrap();
    let status = unshare()
        .arg(program)
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success(), "{test} failed in its namespace: {status}");
    false
}

fn mount(arguments: &[&str], folder: &Path) {
    let done = Command::new("mount").args(arguments).arg(folder).output().unwrap();
    assert!(done.status.success(), "mount: {}", String::from_utf8_lossy(&done.stderr));
}

impl Volume {
    /// Mounts an empty volume of so many MiB over a folder.
    pub(crate) fn mount(folder: &Path, mib: u32) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        mount(&["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"], folder);
        Self { folder: folder.to_owned() }
    }

    /// Writes until not a byte is left.
    pub(crate) fn fill(&self) {
        let mut filler = OpenOptions::new();
        let path = self.folder.join("filler");
        let mut filler = filler.create(true).append(true).open(path).unwrap();
        for block in [1 << 20, 4096, 1] {
            loop {
                match filler.write(&vec![0; block]) {
                    Ok(_) => {}
                    Err(cause) if cause.kind() == ErrorKind::StorageFull => break,
                    Err(cause) => panic!("{cause}"),
                }
            }
        }
    }

    /// Makes it so many MiB large; what is in it stays.
    pub(crate) fn grow(&self, mib: u32) {
        mount(&["-o", &format!("remount,size={mib}m")], &self.folder);
    }
}
