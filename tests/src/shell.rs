//! Commands of the system, bounded in time, with what they said when they failed.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use anyhow::Context;

/// How long a command may take, seconds: a mount waits for a disk, nothing else waits at all.
const PATIENCE: &str = "30";

/// Runs a command and returns what it printed.
///
/// # Errors
/// Where it cannot be started, does not end in time or fails; its standard error is quoted.
pub fn run(words: &[&str]) -> anyhow::Result<String> {
    said(words, &output(words, "")?)
}

/// The same with something to read.
///
/// # Errors
/// As for [`run`].
pub fn feed(words: &[&str], input: &str) -> anyhow::Result<String> {
    said(words, &output(words, input)?)
}

/// Whether a command succeeds; one that is not installed does not.
#[must_use]
pub fn succeeds(words: &[&str]) -> bool {
    run(words).is_ok()
}

fn output(words: &[&str], input: &str) -> anyhow::Result<Output> {
    let mut process = Command::new("timeout")
        .args(["--kill-after=5", PATIENCE])
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| words.join(" "))?;
    if let Some(mut stdin) = process.stdin.take() {
        // One that does not read its input says why on standard error.
        let _ = stdin.write_all(input.as_bytes());
    }
    Ok(process.wait_with_output()?)
}

fn said(words: &[&str], output: &Output) -> anyhow::Result<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    let complaint = text(&output.stderr);
    anyhow::ensure!(output.status.success(), "{}: {}: {complaint}", words.join(" "), output.status);
    Ok(text(&output.stdout))
}
