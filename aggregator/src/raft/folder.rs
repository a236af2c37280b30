//! Making folders, and small files in them, that a power cut does not take away again.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Makes a folder and those above it, each synced into the one it lies in. Blocking.
///
/// # Errors
/// The disk's.
pub(super) fn make(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
    if let Some(above) = above {
        make(above)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    File::open(above.unwrap_or(Path::new(".")))?.sync_all()
}

/// Writes a line into a file, all of it or nothing, over what it held; the folder is made. Blocking.
///
/// # Errors
/// The disk's.
pub(super) fn write_line(folder: &Path, name: &str, line: &str) -> io::Result<()> {
    make(folder)?;
    let temporary = folder.join(format!("{name}.tmp"));
    let mut file = File::create(&temporary)?;
    writeln!(file, "{line}")?;
    file.sync_all()?;
    fs::rename(&temporary, folder.join(name))?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn folders_are_made_down_to_the_last_and_again_without_harm() {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("data/raft/log");
        make(&folder).unwrap();
        make(&folder).unwrap();
        assert!(folder.is_dir());
        fs::write(above.path().join("file"), "").unwrap();
        assert!(make(&above.path().join("file/log")).is_err());
    }
}
