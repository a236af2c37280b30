//! `wardmesh-sensor`: see `wardmesh_sensor::cli`.

use std::process::ExitCode;

use clap::Parser;
use wardmesh_sensor::cli;

/// Sees every connected device of a site, passively, and tells the aggregator
#[derive(Parser)]
#[command(name = "wardmesh-sensor", version)]
struct Arguments {
    #[command(subcommand)]
    command: cli::Command,
}

fn main() -> ExitCode {
    cli::run(Arguments::parse().command)
}
