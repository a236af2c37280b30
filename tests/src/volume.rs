//! A file system of our own on a loop device, that can be cut off as a power failure does it: what
//! was not synced is gone, files and folders that were made without a sync as well.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::shell::run;

/// `FS_IOC_SHUTDOWN` with `NOLOGFLUSH`, for ext4, xfs and f2fs (linux/fs.h): `_IOR('X', 125, u32)`.
/// No call of the standard library makes it, and we have no unsafe code: Python does it.
const SHUTDOWN: &str = "import fcntl, os, struct, sys
folder = os.open(sys.argv[1], os.O_RDONLY)
fcntl.ioctl(folder, 0x8004587D, struct.pack('I', 2))";

/// How long an unmounted file system may linger: some milliseconds, and seconds while others probe disks.
const RELEASED_WITHIN: Duration = Duration::from_secs(20);

/// A mounted file system in an image file.
#[derive(Debug)]
pub struct Volume {
    image: PathBuf,
    folder: PathBuf,
}

impl Volume {
    /// Makes an ext4 of so many bytes (the image is sparse) and mounts it.
    ///
    /// # Errors
    /// Where this is not allowed.
    pub fn make(image: PathBuf, folder: PathBuf, bytes: u64) -> anyhow::Result<Self> {
        std::fs::File::create(&image)?.set_len(bytes)?;
        std::fs::create_dir_all(&folder)?;
        let volume = Self { image, folder };
        run(&["mkfs.ext4", "-q", "-E", "lazy_itable_init=1", text(&volume.image)?])?;
        volume.mount()?;
        Ok(volume)
    }

    /// Where it is mounted.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Cuts it off: nothing reaches the image any more, and what had not reached it is lost.
    ///
    /// # Errors
    /// The ioctl's.
    pub fn cut_power(&self) -> anyhow::Result<()> {
        run(&["python3", "-c", SHUTDOWN, text(&self.folder)?]).map(drop)
    }

    /// Mounts it again after a cut; nothing may have a file of it open.
    ///
    /// # Errors
    /// mount's.
    pub fn power_up(&self) -> anyhow::Result<()> {
        run(&["umount", text(&self.folder)?])?;
        self.released()?;
        self.mount()
    }

    /// Waits until nothing holds the file system any more: what runs beside in a mount namespace of its
    /// own may, and to mount the image then gives back the one that was cut off.
    fn released(&self) -> anyhow::Result<()> {
        let until = Instant::now() + RELEASED_WITHIN;
        while !run(&["losetup", "-j", text(&self.image)?])?.trim().is_empty() {
            let what = "is held by another mount namespace: run this alone";
            anyhow::ensure!(Instant::now() < until, "{} {what}", self.image.display());
            std::thread::sleep(RELEASED_WITHIN / 100);
        }
        Ok(())
    }

    fn mount(&self) -> anyhow::Result<()> {
        // What is freed inside is freed outside as well: an image stays as small as what it holds.
        run(&["mount", "-o", "loop,discard", text(&self.image)?, text(&self.folder)?]).map(drop)
    }
}

/// What the folder of every run begins with; our process id follows.
pub const FOLDER: &str = "wardmesh-nemesis-";

/// Takes down and removes what runs left behind that were killed before they could.
pub fn sweep() {
    let entries = std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    for folder in entries.map(|entry| entry.path()).filter(|path| is_abandoned(path)) {
        let nodes = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        for mounted in nodes.map(|node| node.path().join("data")).filter(|path| path.is_dir()) {
            let _ = text(&mounted).and_then(|mounted| run(&["umount", "-l", mounted]));
        }
        // Where something cannot be taken down, its files must not be removed either.
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
        if !mounts.contains(&*folder.to_string_lossy()) {
            let _ = std::fs::remove_dir_all(&folder);
        }
    }
}

fn is_abandoned(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let pid = name.strip_prefix(FOLDER).and_then(|rest| rest.split('-').next());
    let pid = pid.filter(|pid| pid.parse::<u32>().is_ok());
    pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists())
}

impl Drop for Volume {
    fn drop(&mut self) {
        let Ok(folder) = text(&self.folder) else { return };
        if run(&["umount", folder]).is_err() {
            let _ = run(&["umount", "-l", folder]);
        }
        let _ = std::fs::remove_file(&self.image);
    }
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().ok_or_else(|| anyhow::anyhow!("{} is not UTF-8", path.display()))
}
