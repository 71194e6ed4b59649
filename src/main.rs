//! The binary: parse, run, exit code.

use std::process::ExitCode;

use clap::Parser;
use scrapehook::cli::{self, Cli};

#[tokio::main]
async fn main() -> ExitCode {
    cli::run(Cli::parse()).await
}
