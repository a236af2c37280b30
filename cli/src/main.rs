//! `wardmesh`: see `wardmesh_cli::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    wardmesh_cli::run()
}
