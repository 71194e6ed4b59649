//! The command line: one file a command, and the exit codes: 0 done, 1 failed, 2 usage or configuration.

pub mod check_config;
pub mod demo;
pub mod health;
pub mod serve;
pub mod simulate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::app::StartError;
use crate::config::ConfigError;

/// Stands between your video URLs and a metered scrape API that calls back.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service
    Serve(serve::Serve),
    /// Simulator, service and one job in one process: see it work without a key
    Demo(demo::Demo),
    Simulate(Box<simulate::Simulate>),
    /// Check the configuration and say what is in force
    CheckConfig(check_config::CheckConfig),
    /// Ask a running service whether it is alive (for container checks)
    Health(health::Health),
}

/// Runs the command; an error is one line on standard error.
pub async fn run(cli: Cli) -> ExitCode {
    let result = match cli.command {
        Command::Serve(args) => serve::run(args).await,
        Command::Demo(args) => demo::run(args).await,
        Command::Simulate(args) => simulate::run(*args).await,
        Command::CheckConfig(args) => check_config::run(&args),
        Command::Health(args) => health::run(args).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if error.is::<ConfigError>() || error.is::<StartError>() {
                // These name their cause themselves.
                anstream::eprintln!("scrapehook: {error}");
                return ExitCode::from(2);
            }
            anstream::eprintln!("scrapehook: {error:#}");
            ExitCode::from(1)
        }
    }
}
