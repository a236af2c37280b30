//! What strace saw of a process: its calls on files, with their bytes and both their times.
//!
//! Reads `strace -f -ttt -T -y -xx`. A call that was interrupted in the listing is put together again;
//! one whose end is missing never ended.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Microseconds of the wall clock, the same in all processes of a machine.
pub(crate) type Micros = u64;

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// Its name: `fdatasync`.
    pub(crate) name: String,
    /// The file that its first argument stands for, or names.
    pub(crate) path: PathBuf,
    /// The second path of a rename.
    pub(crate) to: Option<PathBuf>,
    /// The bytes that were handed over, all buffers in their order.
    pub(crate) bytes: Vec<u8>,
    /// Whether it makes a file where there is none.
    pub(crate) creates: bool,
    /// What it returned; negative for an error.
    pub(crate) result: i64,
    pub(crate) begin: Micros,
    pub(crate) end: Micros,
}

/// Reads a listing; lines of signals and exits are passed over.
pub(crate) fn read(text: &str) -> Vec<Call> {
    let mut unfinished: HashMap<(&str, String), (Micros, String)> = HashMap::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let Some((pid, at, rest)) = head(line) else { continue };
        if let Some(resumed) = rest.strip_prefix("<... ") {
            let Some((name, tail)) = resumed.split_once(" resumed>") else { continue };
            let Some((begin, start)) = unfinished.remove(&(pid, name.to_owned())) else { continue };
            calls.extend(call(begin, &format!("{start}{tail}")));
        } else if let Some(start) = rest.strip_suffix(" <unfinished ...>") {
            let name = start.split('(').next().unwrap_or_default().to_owned();
            unfinished.insert((pid, name), (at, start.to_owned()));
        } else {
            calls.extend(call(at, rest));
        }
    }
    calls.sort_by_key(|call| call.begin);
    calls
}

/// `PID SECONDS.MICROS REST`, the first of which a single process lacks.
fn head(line: &str) -> Option<(&str, Micros, &str)> {
    let (first, rest) = line.split_once(' ')?;
    if first.contains('.') {
        return Some(("", micros(first)?, rest));
    }
    let (at, rest) = rest.trim_start().split_once(' ')?;
    Some((first, micros(at)?, rest))
}

fn micros(text: &str) -> Option<Micros> {
    let (seconds, micros) = text.split_once('.')?;
    (micros.len() == 6).then_some(())?;
    Some(seconds.parse::<u64>().ok()? * 1_000_000 + micros.parse::<u64>().ok()?)
}

/// `name(arguments) = result … <seconds>`.
fn call(begin: Micros, text: &str) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    let (arguments, outcome) = rest.rsplit_once(") = ").or_else(|| rest.rsplit_once(")= "))?;
    let outcome = outcome.trim();
    let number: String = outcome.chars().take_while(|c| c.is_ascii_digit() || *c == '-').collect();
    let took = outcome.rsplit_once('<').and_then(|(_, took)| took.strip_suffix('>'));
    let took = took.and_then(micros_of_duration).unwrap_or(0);
    let strings = quoted(arguments);
    let text = |at: usize| -> Option<PathBuf> {
        Some(PathBuf::from(String::from_utf8_lossy(strings.get(at)?).into_owned()))
    };
    let named =
        matches!(name, "openat" | "rename" | "renameat" | "renameat2" | "unlink" | "unlinkat");
    let path = if named { text(0) } else { described(arguments) };
    Some(Call {
        name: name.to_owned(),
        path: path?,
        to: name.starts_with("rename").then(|| text(1)).flatten(),
        bytes: if named { Vec::new() } else { strings.concat() },
        creates: arguments.contains("O_CREAT"),
        result: number.parse().ok()?,
        begin,
        end: begin + took,
    })
}

fn micros_of_duration(text: &str) -> Option<Micros> {
    micros(text)
}

/// The file of `7</path>`, the first argument.
fn described(arguments: &str) -> Option<PathBuf> {
    let first = arguments.split(", ").next()?;
    let (_, path) = first.split_once('<')?;
    let path = path.strip_suffix('>')?;
    Some(PathBuf::from(String::from_utf8_lossy(&unescaped(path)).into_owned()))
}

/// The contents of all string literals.
fn quoted(arguments: &str) -> Vec<Vec<u8>> {
    arguments.split('"').skip(1).step_by(2).map(unescaped).collect()
}

/// `\x41` is one byte; all else stands for itself.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4);
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.strip_prefix(b"x").and_then(|digits| digits.get(..2));
        let hex = hex.and_then(|digits| std::str::from_utf8(digits).ok());
        match hex.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| *first == b'\\')
        {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

impl Call {
    pub(crate) fn is_write(&self) -> bool {
        matches!(self.name.as_str(), "write" | "writev" | "pwrite64" | "pwritev") && self.result > 0
    }

    /// A sync that succeeded.
    pub(crate) fn is_sync_of(&self, path: &Path) -> bool {
        matches!(self.name.as_str(), "fsync" | "fdatasync") && self.result == 0 && self.path == path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_whole_and_in_two_pieces() {
        let text = r#"
100 10.000001 openat(AT_FDCWD, "\x2f\x61\x2f\x62", O_RDWR|O_CREAT|O_APPEND, 0666) = 7</a/b> <0.000100>
100 10.000200 write(7</a/b>, "\x01\xff\x41", 3) = 3 <0.000010>
101 10.000300 fdatasync(7</a/b> <unfinished ...>
100 10.000400 writev(7</a/b>, [{iov_base="\x61", iov_len=1}, {iov_base="\x62\x63", iov_len=2}], 2) = 3 <0.000001>
101 10.000900 <... fdatasync resumed>) = 0 <0.000550>
100 10.001000 fsync(8</a>) = -1 EIO (Input/output error) (INJECTED) <0.000020>
100 10.002000 rename("\x2f\x61\x2f\x62", "\x2f\x61\x2f\x63") = 0 <0.000020>
101 10.003000 fsync(8</a> <unfinished ...>
100 10.004000 --- SIGTERM {si_signo=SIGTERM} ---
100 10.004001 +++ exited with 0 +++
"#;
        let calls = read(text);
        let names: Vec<_> = calls.iter().map(|call| call.name.as_str()).collect();
        assert_eq!(names, ["openat", "write", "fdatasync", "writev", "fsync", "rename"]);
        assert!(calls[0].creates && calls[0].path == Path::new("/a/b"));
        assert_eq!(calls[1].bytes, [1, 255, 0x41]);
        assert_eq!((calls[2].begin, calls[2].end), (10_000_300, 10_000_850));
        assert!(calls[2].is_sync_of(Path::new("/a/b")) && !calls[2].is_sync_of(Path::new("/a")));
        assert_eq!((calls[3].bytes.as_slice(), calls[3].is_write()), (&b"abc"[..], true));
        assert_eq!(calls[4].result, -1);
        assert!(!calls[4].is_sync_of(Path::new("/a")), "it failed");
        assert_eq!(calls[5].to.as_deref(), Some(Path::new("/a/c")));
    }
}
