//! Bytes that are promises: a test's bytes against a committed file, as hexadecimal lines.
//!
//! For tests only. A file is changed only by adding; `WARDMESH_WRITE_GOLDEN=1` writes it anew.

use std::fmt::Write;
use std::path::Path;

/// Compares named bytes with a golden file.
///
/// # Panics
/// Where they differ, naming the first that does.
pub fn check(path: &Path, samples: &[(&str, &[u8])]) {
    let mut text = String::new();
    for (name, bytes) in samples {
        let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
            // Writing into a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let _ = writeln!(text, "{name} {hex}");
    }
    if std::env::var_os("WARDMESH_WRITE_GOLDEN").is_some() {
        assert!(std::fs::write(path, &text).is_ok(), "{} cannot be written", path.display());
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    for (ours, theirs) in text.lines().zip(golden.lines().chain(std::iter::repeat(""))) {
        let name = ours.split(' ').next().unwrap_or_default();
        assert!(ours == theirs, "{name} has other bytes than {} promises", path.display());
    }
    assert_eq!(text.lines().count(), golden.lines().count(), "{}", path.display());
}
