//! The sensor's commands. The `wardmesh` binary runs the same in the role of a sensor.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use wardmesh_common::config::{ConfigError, EXIT_CODE, Layers};
use wardmesh_common::{shutdown, telemetry};

use crate::config::{Config, Speed};
use crate::dissect::DISSECTORS;
use crate::feed::FeedError;
use crate::inspect::{self, Format};
use crate::sensor::{EXIT_IO, Sensor, SpoolFailed, random_key, wait_for_room};
use crate::spool::{Spool, SpoolError};

/// What a sensor can be asked to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Parse capture files and print their events; needs no aggregator
    #[command(after_help = "Examples:\n  wardmesh-sensor inspect ward.pcap\n  \
        wardmesh-sensor inspect -o table *.pcapng.gz\n  \
        wardmesh-sensor inspect ward.pcap | jq 'select(.service.protocol == \"dicom\")'")]
    Inspect(Inspect),
    /// Run as configured until SIGTERM or Ctrl-C
    #[command(
        after_help = "Example:\n  wardmesh-sensor run --config /etc/wardmesh-sensor/sensor.toml"
    )]
    Run(Run),
    /// Send the events of capture files, wait until all are acknowledged, print a summary as JSON
    #[command(
        after_help = "Example:\n  wardmesh-sensor replay ward.pcap --speed 10x --config sensor.toml"
    )]
    Replay(Replay),
    /// Look at what is spooled and not acknowledged yet
    #[command(subcommand)]
    Spool(SpoolCommand),
    /// Check or show the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// See [`Command::Inspect`].
#[derive(Args, Debug)]
pub struct Inspect {
    /// pcap or pcapng files, gzip accepted
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// One JSON object a line, or aligned columns
    #[arg(short, long, value_enum, default_value_t = Output::Ndjson)]
    output: Output,
}

/// How events are printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    Ndjson,
    Table,
}

/// What `run` and `replay` share.
#[derive(Args, Debug)]
pub struct Common {
    /// The configuration file (TOML); WARDMESH__… variables and flags override it
    #[arg(short, long, value_name = "FILE", env = "WARDMESH_CONFIG")]
    config: PathBuf,
    /// Aggregator addresses, host:port with commas between; overrides uplink.addresses
    #[arg(long, value_name = "ADDRESSES")]
    aggregator: Option<String>,
    /// Append one synced JSON line for each batch emitted, acknowledged, given up or lost
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
}

/// See [`Command::Run`].
#[derive(Args, Debug)]
pub struct Run {
    #[command(flatten)]
    common: Common,
}

/// See [`Command::Replay`].
#[derive(Args, Debug)]
pub struct Replay {
    /// pcap or pcapng files, gzip accepted
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// max, or a multiple of the captures' own time: 1x, 10x
    #[arg(long)]
    speed: Option<Speed>,
    #[command(flatten)]
    common: Common,
}

/// See [`Command::Spool`].
#[derive(Debug, Subcommand)]
pub enum SpoolCommand {
    /// What the spool holds, as JSON; the sensor must not be running
    Status {
        /// The configuration file
        #[arg(short, long, value_name = "FILE", env = "WARDMESH_CONFIG")]
        config: PathBuf,
    },
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
        Command::Inspect(args) => return exit(inspect(&args)),
        Command::Run(args) => run_sensor(&args.common, None),
        Command::Replay(args) => run_sensor(&args.common, Some((args.files, args.speed))),
        Command::Spool(SpoolCommand::Status { config }) => spool_status(&config),
        Command::Config(ConfigCommand::Check { config }) => check(&config),
        Command::Config(ConfigCommand::Show { config, origin }) => show(&config, origin),
    };
    exit(done.map(|()| 0))
}

fn exit(done: anyhow::Result<u8>) -> ExitCode {
    match done {
        Ok(code) => ExitCode::from(code),
        Err(cause) => {
            // Standard error may be closed; there is nobody else to tell.
            let _ = writeln!(io::stderr(), "error: {cause:#}");
            if cause.is::<ConfigError>() {
                return ExitCode::from(EXIT_CODE);
            }
            match of_the_disk(&cause) {
                true => ExitCode::from(EXIT_IO),
                false => ExitCode::FAILURE,
            }
        }
    }
}

/// Whether the spool's disk failed, and not something else about it.
fn of_the_disk(cause: &anyhow::Error) -> bool {
    let spool = match cause.downcast_ref::<FeedError>() {
        Some(FeedError::Spool(spool)) => Some(spool),
        _ => cause.downcast_ref::<SpoolError>(),
    };
    let failed = matches!(spool, Some(SpoolError::Io { .. } | SpoolError::Closed));
    failed || cause.is::<SpoolFailed>()
}

fn inspect(args: &Inspect) -> anyhow::Result<u8> {
    let format = match args.output {
        Output::Ndjson => Format::Ndjson,
        Output::Table => Format::Table,
    };
    let (mut out, mut warn) = (io::stdout().lock(), io::stderr());
    let outcome =
        inspect::inspect(&args.files, format, DISSECTORS, random_key(), &mut out, &mut warn)?;
    Ok(outcome.exit_code())
}

fn layers(common: &Common) -> Layers {
    let addresses = common.aggregator.iter();
    let flags = addresses.map(|list| ("uplink.addresses".to_owned(), list.clone())).collect();
    Layers::of_process(Some(&common.config), flags)
}

fn run_sensor(
    common: &Common,
    replay: Option<(Vec<PathBuf>, Option<Speed>)>,
) -> anyhow::Result<()> {
    let mut config = Config::load(&layers(common))?;
    telemetry::init(&config.log)?;
    let drain = replay.is_some();
    let files = match replay {
        None => config.capture.files.clone(),
        Some((files, speed)) => {
            config.capture.speed = speed.unwrap_or(config.capture.speed);
            files
        }
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let end = runtime.block_on(async {
        let mut signal = std::pin::pin!(shutdown::signal());
        let began = tokio::select! {
            () = wait_for_room(&config) => true,
            () = &mut signal => false,
        };
        anyhow::ensure!(began, "stopped while it waited for room");
        let sensor = Sensor::start(&config, files, common.ledger.clone())?;
        if !drain {
            return sensor.run_until(signal).await;
        }
        let summary = tokio::select! {
            summary = sensor.drain() => summary?,
            () = signal => {
                anyhow::bail!("stopped before all was acknowledged; the rest stays in the spool");
            }
        };
        writeln!(io::stdout(), "{}", serde_json::to_string(&summary)?)?;
        Ok(())
    });
    runtime.shutdown_background();
    end
}

fn spool_status(config: &Path) -> anyhow::Result<()> {
    let config: Config = Layers::of_process(Some(config), Vec::new()).load()?;
    let folder = &config.spool.folder;
    anyhow::ensure!(folder.is_dir(), "{}: there is no spool", folder.display());
    let status = Spool::status(folder).context("is the sensor running?")?;
    writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&status)?)?;
    Ok(())
}

fn check(config: &Path) -> anyhow::Result<()> {
    Config::load(&Layers::of_process(Some(config), Vec::new()))?;
    writeln!(io::stdout(), "the configuration is valid")?;
    Ok(())
}

fn show(config: &Path, origin: bool) -> anyhow::Result<()> {
    let shown = Layers::of_process(Some(config), Vec::new()).show(origin)?;
    Ok(io::stdout().write_all(shown.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_configuration_has_its_own_exit_code() {
        let config = || PathBuf::from("no-such-folder/sensor.toml");
        let common = || Common { config: config(), aggregator: None, ledger: None };
        let commands = [
            Command::Run(Run { common: common() }),
            Command::Config(ConfigCommand::Check { config: config() }),
            Command::Config(ConfigCommand::Show { config: config(), origin: true }),
        ];
        for command in commands {
            let text = format!("{command:?}");
            assert_eq!(run(command), ExitCode::from(3), "{text}");
        }
    }
}
