//! The command line: its commands, and the exit codes: 0 done, 1 failed, 2 usage or configuration.

pub mod backup;
pub mod check_config;
pub mod client;
pub mod demo;
pub mod doctor;
pub mod health;
mod notify;
pub mod serve;
pub mod simulate;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::client::ClientCommand;
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
    #[command(flatten)]
    Client(ClientCommand),
    /// Copy the database to a new file, also while it is served
    Backup(backup::Backup),
    /// Put a copy in the place of a database that is lost
    Restore(backup::Restore),
    /// Check the configuration and say what is in force
    CheckConfig(check_config::CheckConfig),
    /// Look at everything that a good service needs, and say what to do
    Doctor(doctor::Doctor),
    /// Ask a running service whether it is alive (for container checks)
    Health(health::Health),
}

/// Runs the command; an error is told on standard error.
pub async fn run(cli: Cli) -> ExitCode {
    let done = |()| ExitCode::SUCCESS;
    let result = match cli.command {
        Command::Serve(args) => serve::run(args).await.map(done),
        Command::Demo(args) => demo::run(args).await.map(done),
        Command::Simulate(args) => simulate::run(*args).await.map(done),
        Command::Client(command) => client::run(command).await,
        Command::Backup(args) => backup::back_up(args).await.map(done),
        Command::Restore(args) => backup::restore(args).await.map(done),
        Command::CheckConfig(args) => check_config::run(&args).map(done),
        Command::Doctor(args) => doctor::run(args).await,
        Command::Health(args) => health::run(args).await.map(done),
    };
    result.unwrap_or_else(|error| {
        // Configuration and start errors name their cause themselves.
        let (said, code) = if error.is::<ConfigError>() || error.is::<StartError>() {
            (error.to_string(), 2)
        } else {
            (format!("{error:#}"), 1)
        };
        // Nobody may be there to read it.
        let _ = writeln!(anstream::stderr(), "scrapehook: {said}");
        ExitCode::from(code)
    })
}
