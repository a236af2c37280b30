//! What a process costs, as Linux counts it; zero where it does not say.

use std::path::Path;

/// What one process has used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Time on cores, user and system, seconds.
    pub cpu_seconds: f64,
    /// The largest resident set so far, bytes (VmHWM).
    pub peak_bytes: u64,
    /// The resident set now, bytes (VmRSS).
    pub resident_bytes: u64,
    /// Bytes that it has sent towards a disk.
    pub written_bytes: u64,
}

impl Usage {
    /// Of a process by its id; `None` once it has ended.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let folder = format!("/proc/{pid}");
        let stat = std::fs::read_to_string(format!("{folder}/stat")).ok()?;
        // proc_pid_stat(5): the command's name may hold anything, so fields count from its end;
        // utime and stime are the 12th and 13th after it, in ticks of 1/100 s.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok());
        let cpu_seconds = (ticks(11)? + ticks(12)?) / 100.0;
        let status = std::fs::read_to_string(format!("{folder}/status")).ok()?;
        let peak_bytes = field(&status, "VmHWM:")? * 1024;
        let io = std::fs::read_to_string(format!("{folder}/io")).unwrap_or_default();
        Some(Self {
            cpu_seconds,
            peak_bytes,
            resident_bytes: field(&status, "VmRSS:").unwrap_or(0) * 1024,
            written_bytes: field(&io, "write_bytes:").unwrap_or(0),
        })
    }
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The largest resident set of this process since [`forget_peak`], bytes.
#[must_use]
pub fn own_peak() -> u64 {
    Usage::of(std::process::id()).map_or(0, |usage| usage.peak_bytes)
}

/// Begins a new peak from what is resident now (`clear_refs`, proc(5)).
pub fn forget_peak() {
    // Where it cannot be written the peak is that of the whole run: larger, never smaller.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Bytes of the files in a folder and those below it.
#[must_use]
pub fn folder_bytes(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => folder_bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}
