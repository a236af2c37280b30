//! `wardmesh-aggregator`: see `wardmesh_aggregator::cli`.

use std::process::ExitCode;

use clap::Parser;
use wardmesh_aggregator::cli;

/// One replica of the agreed state: takes in what sensors see, answers over HTTP
#[derive(Parser)]
#[command(name = "wardmesh-aggregator", version)]
struct Arguments {
    #[command(subcommand)]
    command: cli::Command,
}

fn main() -> ExitCode {
    cli::run(Arguments::parse().command)
}
