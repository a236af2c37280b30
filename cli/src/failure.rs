//! Why a command failed, and the exit code that scripts decide by.
//!
//! The texts may quote what a server said: they are escaped where they are printed.

use std::io;
use std::process::ExitCode;

use serde_json::Value;

/// What a finished command tells its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// It failed for a reason that has no code of its own.
    Error = 1,
    /// The command line, or a value in it, cannot be understood (clap ends with it as well).
    Usage = 2,
    /// A configuration is wrong.
    Config = 3,
    /// Who asks is not known, or may not.
    Auth = 4,
    /// There is no such thing.
    NotFound = 5,
    /// What is there forbids it.
    Conflict = 6,
    /// No server, no leader, or no answer in time: repeating may help.
    Unavailable = 7,
    /// A part was done, or is known.
    Partial = 8,
    /// It was stopped before it was done (128 + SIGINT, as shells have it).
    Interrupted = 130,
}

impl Exit {
    /// The code for an HTTP status (RFC 9110 section 15) of 400 or more.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            400 | 422 => Self::Usage,
            401 | 403 => Self::Auth,
            404 | 410 => Self::NotFound,
            409 | 412 | 428 => Self::Conflict,
            408 | 429 | 502..=504 | 507 => Self::Unavailable,
            _ => Self::Error,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error answer of the API (RFC 9457).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status code.
    pub status: u16,
    /// The stable name of the kind, such as `no-leader`; empty where the answer names none.
    pub code: String,
    /// The kind in one line.
    pub title: String,
    /// What happened this time.
    pub detail: Option<String>,
    /// A way out.
    pub hint: Option<String>,
    /// Names the request in the node's log.
    pub request_id: Option<String>,
}

impl Problem {
    /// Reads an answer's body; `None` where it is no problem.
    #[must_use]
    pub fn read(status: u16, body: &Value) -> Option<Self> {
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            status,
            code: text("code").unwrap_or_default(),
            title: text("title")?,
            detail: text("detail"),
            hint: text("hint"),
            request_id: text("request_id"),
        })
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.title)?;
        if let Some(detail) = &self.detail {
            write!(f, ": {detail}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        // Only where the fault is the node's is its log worth a look.
        match &self.request_id {
            Some(id) if self.status == 500 => write!(f, " [{id}]"),
            _ => Ok(()),
        }
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A server answered with an error.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// No server could be asked.
    #[error("no server could be reached: {tried} (name one with --server URL or WARDMESH_SERVER)")]
    Unreachable {
        /// Each server and why it could not be.
        tried: String,
    },
    /// A server was asked and the answer did not come.
    #[error("{server}: {cause}{}", if *.write { "; the change may still take effect: look before repeating it" } else { "" })]
    Broken {
        /// Which one.
        server: String,
        /// What happened.
        cause: String,
        /// Whether something was to be changed.
        write: bool,
    },
    /// What answers is not this API.
    #[error(
        "{server} answered {status} and no JSON of this API: {cause} (does the URL name an aggregator's HTTP port?)"
    )]
    Foreign {
        /// Which one.
        server: String,
        /// The HTTP status code.
        status: u16,
        /// What is wrong with it.
        cause: String,
    },
    /// A value on the command line cannot be used.
    #[error("{0}")]
    Usage(String),
    /// Some answers came, others did not; they were named on standard error.
    #[error("{0}")]
    Partial(String),
    /// It was stopped from outside before it could answer.
    #[error("stopped before it was done: there is no result")]
    Interrupted,
    /// Standard output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    /// Anything else.
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

impl Failure {
    /// The code to exit with. A reader who has seen enough (`| head`) is no failure.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Problem(problem) => Exit::of_status(problem.status),
            Self::Unreachable { .. } | Self::Broken { .. } => Exit::Unavailable,
            Self::Usage(_) => Exit::Usage,
            Self::Partial(_) => Exit::Partial,
            Self::Interrupted => Exit::Interrupted,
            Self::Output(cause) if cause.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
            Self::Foreign { .. } | Self::Output(_) | Self::Other(_) => Exit::Error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_a_code() {
        let cases = [
            (400, 2),
            (401, 4),
            (403, 4),
            (404, 5),
            (405, 1),
            (409, 6),
            (412, 6),
            (413, 1),
            (422, 2),
            (428, 6),
            (429, 7),
            (500, 1),
            (502, 7),
            (503, 7),
            (507, 7),
            (504, 7),
        ];
        for (status, code) in cases {
            assert_eq!(Exit::of_status(status) as u8, code, "{status}");
        }
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let gone = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(gone.exit(), Exit::Ok);
        assert_eq!(Failure::from(io::Error::other("disk full")).exit(), Exit::Error);
    }
}
