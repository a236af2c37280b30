//! The logs of a run: judged for panics, shown where something broke, copied where asked.

use std::path::{Path, PathBuf};

use wardmesh_tests::breach::Invariant;
use wardmesh_tests::rig::Rig;

/// Lines of each log that are shown.
const TAIL: usize = 25;

/// All files of nodes and sensors with this extension.
fn files(rig: &Rig, extension: &str) -> Vec<PathBuf> {
    let mut folders = vec![rig.folder().to_owned()];
    folders.extend(rig.sensors.iter().filter_map(|post| Some(post.files.config.parent()?.into())));
    let entries = folders.into_iter().filter_map(|folder| std::fs::read_dir(folder).ok());
    let paths = entries.flatten().flatten().map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|is| is == extension)).collect()
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

/// No log tells of a panic.
pub(crate) fn judge(rig: &Rig) {
    for path in files(rig, "log") {
        for line in read(&path).lines().filter(|line| line.contains("panicked")) {
            rig.breaches.note(Invariant::Panicked, format!("{}: {line}", path.display()));
        }
    }
}

/// The ends of the nodes' logs.
pub(crate) fn show(rig: &Rig) {
    for path in files(rig, "log").iter().filter(|path| path.parent() == Some(rig.folder())) {
        let text = read(path);
        let lines: Vec<_> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n");
        eprintln!("--- {} ends with:\n{tail}", path.display());
    }
}

/// Copies logs and ledgers.
pub(crate) fn copy(rig: &Rig, folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    for path in files(rig, "log").into_iter().chain(files(rig, "ndjson")) {
        let inside = path.strip_prefix(rig.folder())?;
        let name = inside.to_string_lossy().replace('/', "-");
        std::fs::copy(&path, folder.join(name))?;
    }
    Ok(())
}
