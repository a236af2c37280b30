//! Making folders, and small files in them, that a power cut does not take away again.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// For `map_err`: names the file or folder in what the disk answers.
pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> io::Error {
    move |cause| io::Error::new(cause.kind(), format!("{}: {cause}", path.display()))
}

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
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(at(folder)(error));
        }
        _ => {}
    }
    sync(above.unwrap_or(Path::new(".")))
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))
}

/// Writes a line into a file, all of it or nothing, over what it held; the folder is made. Blocking.
///
/// # Errors
/// The disk's.
pub(super) fn write_line(folder: &Path, name: &str, line: &str) -> io::Result<()> {
    make(folder)?;
    let temporary = folder.join(format!("{name}.tmp"));
    let write = || {
        let mut file = File::create(&temporary)?;
        writeln!(file, "{line}")?;
        file.sync_all()?;
        fs::rename(&temporary, folder.join(name))
    };
    write().map_err(at(&temporary))?;
    sync(folder)
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
        let refused = make(&above.path().join("file/log")).unwrap_err().to_string();
        assert!(refused.contains("file"), "{refused}");
        let refused = write_line(&above.path().join("file"), "mark", "1").unwrap_err().to_string();
        assert!(refused.contains("file"), "{refused}");
    }
}
