//! Captures to read: generated ones, and the shared ones beside the checkout where they exist.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use wardmesh_cli::simulate::Scenario;
use wardmesh_sensor::capture::CaptureFile;

/// Ethernet, by its LINKTYPE number.
const ETHERNET: u32 = 1;

/// Nanoseconds between the repetitions of a capture: longer than any flow waits.
const PAUSE: u64 = 600_000_000_000;

/// Writes a generated site's traffic.
///
/// # Errors
/// Where the file cannot be written.
pub fn generate(path: &Path, site: &str, devices: u32, minutes: u32) -> anyhow::Result<()> {
    let scenario = Scenario { devices, minutes, ..Scenario::of_site(site, 1) };
    scenario.write(path).map(drop)
}

/// `shared/data/pcaps` beside the checkout, or beside a folder that checkouts are kept in.
fn shared_folder() -> Option<PathBuf> {
    let checkouts = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().skip(2).take(2);
    checkouts.map(|folder| folder.join("shared/data/pcaps")).find(|folder| folder.is_dir())
}

/// A shared capture by its path below the folder; `None` where there is none.
#[must_use]
pub fn shared(name: &str) -> Option<PathBuf> {
    shared_folder().map(|folder| folder.join(name)).filter(|path| path.is_file())
}

/// All shared captures that can be read, in the order of their paths.
#[must_use]
pub fn all_shared() -> Vec<PathBuf> {
    let mut found = Vec::new();
    shared_folder().iter().for_each(|folder| collect(folder, &mut found));
    found.retain(|path| CaptureFile::open(path).is_ok());
    found.sort();
    found
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Writes an Ethernet capture `times` over, each time later than the one before.
///
/// # Errors
/// Where it cannot be read or written.
pub fn repeat(capture: &Path, times: u64, to: &Path) -> anyhow::Result<()> {
    let mut out = BufWriter::new(File::create(to).with_context(|| to.display().to_string())?);
    // Nanosecond pcap, version 2.4 (draft-ietf-opsawg-pcap).
    out.write_all(&0xa1b2_3c4d_u32.to_le_bytes())?;
    out.write_all(&[2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0])?;
    out.write_all(&262_144_u32.to_le_bytes())?;
    out.write_all(&ETHERNET.to_le_bytes())?;
    let mut shift = 0;
    for _ in 0..times {
        let mut file = CaptureFile::open(capture)?;
        let (mut first, mut last) = (None, 0);
        while let Ok(Some(frame)) = file.next_frame() {
            let at = frame.at.as_nanos();
            first.get_or_insert(at);
            last = at.max(last);
            let at = at + shift;
            for word in [
                (at / 1_000_000_000) as u32,
                (at % 1_000_000_000) as u32,
                frame.bytes.len() as u32,
                frame.wire_length,
            ] {
                out.write_all(&word.to_le_bytes())?;
            }
            out.write_all(frame.bytes)?;
        }
        shift += last - first.unwrap_or(last) + PAUSE;
    }
    Ok(out.flush()?)
}
