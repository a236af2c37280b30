//! The `wardmesh` executable once more, under the name that the end-to-end tests start it by.

use std::process::ExitCode;

fn main() -> ExitCode {
    wardmesh_cli::run()
}
