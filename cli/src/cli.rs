//! The tree of commands, and the way from a command to its exit code.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::access::note;
use crate::failure::{Exit, Failure};
use crate::{cluster, demo, devices, events, findings, sensors, simulate, sites, status};

/// Ask a Wardmesh cluster what is on the network, and try it out
#[derive(Debug, Parser)]
#[command(
    name = "wardmesh",
    version,
    arg_required_else_help = true,
    after_help = "Examples:\n  \
    wardmesh demo\n  \
    wardmesh status\n  \
    wardmesh devices list --site a -o json\n  \
    wardmesh simulate -o site-a.pcap --site a --seed 1\n\n\
    Exit codes: 0 done, 1 error, 2 usage, 3 bad configuration, 4 not allowed, 5 not found, \
    6 conflict, 7 unavailable, 8 partial, 130 interrupted"
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What `wardmesh` can be asked to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// What asks a cluster.
    #[command(flatten)]
    Ask(Ask),
    /// Write a small hospital's traffic as a capture file
    #[command(after_help = "Examples:\n  wardmesh simulate -o site-a.pcap --site a --seed 1\n  \
        wardmesh simulate -o large.pcap --devices 500 --minutes 60 --rate 10")]
    Simulate(simulate::Args),
    /// Run three nodes and three sites on this machine, with made-up hospital traffic
    #[command(after_help = demo::EXAMPLES)]
    Demo(demo::Args),
    /// Act as a sensor
    #[command(subcommand, hide = true)]
    Sensor(wardmesh_sensor::cli::Command),
    /// Act as an aggregator node
    #[command(subcommand, hide = true)]
    Node(wardmesh_aggregator::cli::Command),
}

/// What a cluster can be asked.
#[derive(Debug, Subcommand)]
pub enum Ask {
    /// Show on one screen how the cluster, its sites, sensors, devices and findings stand
    #[command(after_help = status::EXAMPLES)]
    Status(status::Args),
    /// List and show devices: what is on the network, and why we believe it
    Devices(devices::Args),
    /// List and show findings: what the rules raised
    Findings(findings::Args),
    /// List events: what the sensors saw
    Events(events::Args),
    /// List and add sites: the facilities
    Sites(sites::Args),
    /// List, admit and revoke sensors: the capture agents
    Sensors(sensors::Args),
    /// Found the cluster, change its members, look at its nodes and their agreement
    Cluster(cluster::Args),
}

impl Ask {
    /// Carries it out; data goes to `out`, remarks to standard error.
    ///
    /// # Errors
    /// [`Failure`]: of the cluster, of the way to it, or of the output.
    pub fn run(&self, out: &mut dyn Write) -> Result<(), Failure> {
        match self {
            Self::Status(args) => status::run(args, out),
            Self::Devices(args) => devices::run(args, out),
            Self::Findings(args) => findings::run(args, out),
            Self::Events(args) => events::run(args, out),
            Self::Sites(args) => sites::run(args, out),
            Self::Sensors(args) => sensors::run(args, out),
            Self::Cluster(args) => cluster::run(args, out),
        }
    }
}

/// Reads the command line and carries the command out; errors go to standard error.
#[must_use]
pub fn run() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Ask(ask) => printed(|out| ask.run(out)),
        Command::Simulate(args) => simulate::run(&args).map_err(Failure::from),
        Command::Demo(args) => demo::run(&args),
        Command::Sensor(command) => return wardmesh_sensor::cli::run(command),
        Command::Node(command) => return wardmesh_aggregator::cli::run(command),
    };
    exit(done).into()
}

/// Runs a command on buffered standard output. What was written before a failure is printed still.
fn printed(run: impl FnOnce(&mut dyn Write) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    let done = run(&mut out);
    let flushed = out.flush();
    if flushed.is_err() {
        // What is buffered has no reader; dropping the writer must not try it again.
        let _unread = out.into_parts();
    }
    done.and(flushed.map_err(Failure::from))
}

/// The exit code, after a line about what failed.
fn exit(done: Result<(), Failure>) -> Exit {
    let Err(failure) = done else { return Exit::Ok };
    if failure.exit() != Exit::Ok {
        tell(&failure);
    }
    failure.exit()
}

/// A server's words stay on one line, however many it sent; our own may take several.
fn tell(failure: &Failure) {
    let text = format!("error: {failure}");
    match failure {
        Failure::Other(_) => text.lines().for_each(note),
        _ => note(&text),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use clap::CommandFactory;

    use super::*;

    fn check(command: &clap::Command, seen: &mut usize) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(help.starts_with("Example"), "{}", command.get_name());
        *seen += 1;
        let ours = command.get_subcommands().filter(|below| !below.is_hide_set());
        ours.for_each(|below| check(below, seen));
    }

    #[test]
    fn the_tree_is_sound_and_each_help_ends_with_examples() {
        Arguments::command().debug_assert();
        let mut seen = 0;
        check(&Arguments::command(), &mut seen);
        assert!(seen > 20, "{seen}");
    }

    #[test]
    fn flags_of_access_come_after_the_verb() {
        let line = "wardmesh devices list --site a --server http://x:1,y:2 -o ndjson --token t";
        let parsed = Arguments::try_parse_from(line.split(' ')).unwrap();
        let text = format!("{parsed:?}");
        assert!(text.contains("http://x:1") && text.contains("http://y:2"), "{text}");
        assert!(text.contains("Ndjson"), "{text}");
    }

    #[test]
    fn an_id_of_another_kind_is_refused_at_once() {
        for id in ["../cluster", "fnd_01JGZ8K3M5N7P9Q1R3S5T7V9WX", "dev_1"] {
            let parsed = Arguments::try_parse_from(["wardmesh", "devices", "get", id]);
            assert_eq!(parsed.unwrap_err().exit_code(), Exit::Usage as i32, "{id}");
        }
    }

    #[test]
    fn spans_ago_are_values_not_flags() {
        for line in ["devices list --seen-since -24h", "events list --since=-1h --until -5m"] {
            let line = format!("wardmesh {line}");
            assert!(Arguments::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
    }
}
