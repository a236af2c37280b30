//! A child process that cannot outlive us: it ends when its standard input closes. It has a process
//! group of its own: Ctrl-C is for us, who then end it in order.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use wardmesh_common::shutdown::UNTIL_STDIN_CLOSES;

/// How long a child may take to end in an orderly way before it is killed.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked at.
const POLL: Duration = Duration::from_millis(20);

/// A running node or sensor. Dropping it kills it.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    /// Held open as long as the child is to live.
    stdin: Option<ChildStdin>,
    log: PathBuf,
}

impl Child {
    /// Starts `program` with its standard error appended to `log`.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start(
        program: &Path,
        arguments: impl Iterator<Item = OsString>,
        log: &Path,
    ) -> anyhow::Result<Self> {
        Self::launch(&[], program, arguments, log)
    }

    /// The same by a command that becomes the program, such as `env` or `nsenter` with its flags.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn launch(
        launcher: &[OsString],
        program: &Path,
        arguments: impl Iterator<Item = OsString>,
        log: &Path,
    ) -> anyhow::Result<Self> {
        let words = launcher.iter().cloned().chain([program.as_os_str().to_owned()]);
        let mut words = words.chain(arguments);
        let first = words.next().context("a program")?;
        let file = OpenOptions::new().create(true).append(true).open(log)?;
        let mut process = Command::new(&first)
            .args(words)
            .env(UNTIL_STDIN_CLOSES, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file)
            .process_group(0)
            .spawn()
            .with_context(|| first.display().to_string())?;
        let stdin = process.stdin.take();
        Ok(Self { process, stdin, log: log.to_owned() })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Where its standard error goes.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn is_running(&mut self) -> anyhow::Result<bool> {
        Ok(self.process.try_wait()?.is_none())
    }

    /// How it has ended, if it has.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn end(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.process.try_wait()?)
    }

    /// That it still runs.
    ///
    /// # Errors
    /// Where it has ended; the end of its log is quoted.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.process.try_wait()? {
            None => Ok(()),
            Some(status) => Err(self.ended(status)),
        }
    }

    /// Waits until it ends by itself and returns what it printed.
    ///
    /// # Errors
    /// Where it fails; the end of its log is quoted.
    pub fn finish(mut self) -> anyhow::Result<String> {
        let mut output = String::new();
        if let Some(mut stdout) = self.process.stdout.take() {
            stdout.read_to_string(&mut output)?;
        }
        let status = self.process.wait()?;
        if status.success() { Ok(output) } else { Err(self.ended(status)) }
    }

    /// Kills it at once (SIGKILL).
    ///
    /// # Errors
    /// Where it cannot be waited for.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Asks several to end, waits for all, and kills those that do not.
    ///
    /// # Errors
    /// Where one cannot be waited for.
    pub fn stop_all(mut children: Vec<Self>) -> anyhow::Result<()> {
        children.iter_mut().for_each(|child| drop(child.stdin.take()));
        let begun = Instant::now();
        for child in &mut children {
            while child.is_running()? && begun.elapsed() < PATIENCE {
                std::thread::sleep(POLL);
            }
        }
        Ok(())
    }

    fn ended(&self, status: ExitStatus) -> anyhow::Error {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(5)..].join("\n");
        anyhow::anyhow!("a child ended early ({status}); {} ends with:\n{tail}", self.log.display())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended: then there is nothing to kill and its status is collected.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
