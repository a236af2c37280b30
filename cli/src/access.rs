//! The flags of every command that asks a cluster: where, as whom, how fresh, in which form.

use std::io::{self, BufRead, Write};
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use wardmesh_common::text::visible;

use crate::api::Client;
use crate::failure::Failure;
use crate::output::Format;

/// Where to ask, as whom, how fresh, in which form. Given after the command's name.
#[derive(Args, Clone, Debug)]
pub struct Access {
    /// An aggregator's HTTP address; several with commas or by repeating: the next is asked where
    /// one cannot be reached
    #[arg(
        long,
        value_name = "URL",
        env = "WARDMESH_SERVER",
        global = true,
        value_delimiter = ',',
        default_value = "http://127.0.0.1:8443",
        help_heading = "Connection"
    )]
    pub server: Vec<Server>,
    /// The token that `cluster init` printed; the node's own host needs none
    #[arg(
        long,
        value_name = "TOKEN",
        env = "WARDMESH_TOKEN",
        hide_env_values = true,
        global = true,
        help_heading = "Connection"
    )]
    pub token: Option<String>,
    /// How much an answer must know; the server's default is leader
    #[arg(long, value_enum, global = true, help_heading = "Connection")]
    pub consistency: Option<Consistency>,
    /// How long to wait for an answer, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, global = true,
        value_parser = clap::value_parser!(u64).range(1..=3_600), help_heading = "Connection")]
    pub timeout: u64,
    /// The form of the output: columns for people, an array as the API has it, or an object a line
    #[arg(short, long, value_enum, default_value_t = Format::Table, global = true)]
    pub output: Format,
}

impl Access {
    /// A client with these settings.
    #[must_use]
    pub fn client(&self) -> Client {
        let timeout = Duration::from_secs(self.timeout);
        Client::new(self.server.clone(), self.token.clone(), self.consistency, timeout)
    }
}

/// How much an answer must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Consistency {
    /// What the asked node has applied
    Local,
    /// Everything that the leader had committed
    Leader,
    /// The same, with a quorum's word that the leader still leads
    Linearizable,
}

impl Consistency {
    /// The word in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Leader => "leader",
            Self::Linearizable => "linearizable",
        }
    }
}

/// The base of an aggregator's URLs: `http://host:port`, without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server(String);

impl Server {
    /// The server at `host:port` of this machine.
    pub(crate) fn local(authority: &str) -> Self {
        Self(format!("http://{authority}"))
    }

    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Server {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let authority = match text.split_once("://") {
            None => text,
            Some(("http", rest)) => rest,
            Some(("https", _)) => {
                return Err("an aggregator's API speaks plain HTTP; put a proxy that ends TLS \
                    on this host and name it as http://"
                    .to_owned());
            }
            Some((scheme, _)) => {
                return Err(format!("'{scheme}' is no scheme of this API: http is"));
            }
        };
        let authority = authority.trim_end_matches('/');
        let url = format!("http://{authority}");
        let uri: ureq::http::Uri = url.parse().map_err(|cause| format!("{cause}"))?;
        match uri.host() {
            Some(host) if !host.is_empty() && !authority.contains(['@', '?', '#']) => Ok(Self(url)),
            _ => Err("a server is named as http://host:port".to_owned()),
        }
    }
}

/// Has a name typed again before something is done that cannot be undone.
///
/// # Errors
/// [`Failure::Usage`] where nobody can be asked, or something else was typed.
pub(crate) fn confirm(
    (what, name): (&str, &str),
    input: &mut dyn BufRead,
    terminal: bool,
) -> Result<(), Failure> {
    if !terminal {
        return Err(Failure::Usage(format!("{what}, for good: repeat with --yes")));
    }
    note(&format!("{what}, for good; type '{name}' to go on:"));
    let mut line = String::new();
    input.read_line(&mut line)?;
    let nothing = || Failure::Usage(format!("nothing was done: that was not '{name}'"));
    (line.trim() == name).then_some(()).ok_or_else(nothing)
}

/// A line to people, on standard error; what it quotes is made harmless.
pub fn note(line: &str) {
    // Standard error may be closed; there is nobody else to tell.
    let _ = writeln!(io::stderr(), "{}", visible(line));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_undone_has_its_name_typed() {
        let typed = |text: &str, terminal| {
            confirm(("node 2 will be removed", "2"), &mut text.as_bytes(), terminal)
        };
        assert!(typed("2\n", true).is_ok());
        assert!(matches!(typed("y\n", true), Err(Failure::Usage(_))));
        assert!(matches!(typed("2\n", false), Err(Failure::Usage(_))));
    }

    #[test]
    fn servers_are_plain_http() {
        let good = [
            ("127.0.0.1:8443", "http://127.0.0.1:8443"),
            (" http://agg-1.example:8443/ ", "http://agg-1.example:8443"),
            ("http://[::1]:8443", "http://[::1]:8443"),
            ("http://proxy/wardmesh", "http://proxy/wardmesh"),
        ];
        for (text, url) in good {
            assert_eq!(text.parse::<Server>().as_ref().map(Server::as_str), Ok(url));
        }
        for text in ["", "https://agg-1:8443", "ftp://agg-1", "http://", "u:p@host", "a b", "h?x"] {
            assert!(text.parse::<Server>().is_err(), "{text}");
        }
    }
}
