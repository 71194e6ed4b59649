//! The binary. It parses the arguments, runs the command, and returns its exit code.

use std::process::ExitCode;

use clap::FromArgMatches;
use scrapehook::cli::{self, Cli};

fn main() -> ExitCode {
    let cli = Cli::from_arg_matches(&cli::command().get_matches());
    cli::run(cli.unwrap_or_else(|error| error.exit()))
}
