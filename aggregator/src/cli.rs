//! The node's commands. The `wardmesh` binary runs the same in the role of a node.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use wardmesh_common::config::{ConfigError, EXIT_CODE, Layers};
use wardmesh_common::{shutdown, telemetry};

use crate::aggregator::Aggregator;
use crate::config::Config;

/// What a node can be asked to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run as configured until SIGTERM or Ctrl-C
    #[command(after_help = "Examples:\n  \
        wardmesh-aggregator run --config /etc/wardmesh-aggregator/aggregator.toml\n  \
        WARDMESH__LOG__FORMAT=json wardmesh-aggregator run --config aggregator.toml\n\n\
        A new node waits for 'wardmesh cluster init' on one of its cluster's nodes.")]
    Run {
        /// The configuration file (TOML); WARDMESH__… variables override it
        #[arg(short, long, value_name = "FILE", env = "WARDMESH_CONFIG")]
        config: PathBuf,
    },
    /// Check or show the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// See [`Command::Config`].
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Read the configuration and say what is wrong with it
    Check {
        /// The configuration file
        #[arg(short, long, value_name = "FILE", env = "WARDMESH_CONFIG")]
        config: PathBuf,
    },
    /// Print every value that is set and where it comes from
    Show {
        /// The configuration file
        #[arg(short, long, value_name = "FILE", env = "WARDMESH_CONFIG")]
        config: PathBuf,
        /// Print the layer beside each value
        #[arg(long)]
        origin: bool,
    },
}

/// Carries a command out; errors go to standard error.
#[must_use]
pub fn run(command: Command) -> ExitCode {
    let done = match command {
        Command::Run { config } => run_node(&config),
        Command::Config(ConfigCommand::Check { config }) => check(&config),
        Command::Config(ConfigCommand::Show { config, origin }) => show(&config, origin),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            // Standard error may be closed; there is nobody else to tell.
            let _ = writeln!(io::stderr(), "error: {cause:#}");
            match cause.is::<ConfigError>() {
                true => ExitCode::from(EXIT_CODE),
                false => ExitCode::FAILURE,
            }
        }
    }
}

fn load(path: &Path) -> anyhow::Result<Config> {
    Ok(Config::load(&Layers::of_process(Some(path), Vec::new()))?)
}

fn run_node(path: &Path) -> anyhow::Result<()> {
    let config = load(path)?;
    telemetry::init(&config.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let end = runtime.block_on(async {
        let mut signal = std::pin::pin!(shutdown::signal());
        let aggregator = tokio::select! {
            started = Aggregator::start(config) => started?,
            // A start may wait for room for as long as it takes.
            () = &mut signal => return Ok(()),
        };
        tokio::select! {
            () = signal => {
                aggregator.shutdown().await;
                Ok(())
            }
            // What is on disk is whole; a process that goes on would answer from the past.
            cause = aggregator.failed() => Err(anyhow::anyhow!("this node cannot go on: {cause}")),
        }
    });
    runtime.shutdown_background();
    end
}

fn check(path: &Path) -> anyhow::Result<()> {
    load(path)?;
    writeln!(io::stdout(), "the configuration is valid")?;
    Ok(())
}

fn show(path: &Path, origin: bool) -> anyhow::Result<()> {
    let shown = Layers::of_process(Some(path), Vec::new()).show(origin)?;
    Ok(io::stdout().write_all(shown.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_configuration_has_its_own_exit_code() {
        let config = || PathBuf::from("no-such-folder/aggregator.toml");
        let commands = [
            Command::Run { config: config() },
            Command::Config(ConfigCommand::Check { config: config() }),
            Command::Config(ConfigCommand::Show { config: config(), origin: true }),
        ];
        for command in commands {
            let text = format!("{command:?}");
            assert_eq!(run(command), ExitCode::from(3), "{text}");
        }
    }
}
