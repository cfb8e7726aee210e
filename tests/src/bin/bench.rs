//! The `bench` binary: the fleet against a floor of our own (`make bench`, docs/performance.md).

use std::process::ExitCode;

use clap::Parser as _;
use tests::bench::{Arguments, execute};

fn main() -> ExitCode {
    match execute(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
