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

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::client::ClientCommand;
use self::health::WrongAddress;
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

/// Who reads along may have seen enough, as `head` has: that is no failure.
fn as_far_as_read(result: anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
    result.or_else(|error| match error.downcast_ref::<io::Error>() {
        Some(closed) if closed.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        _ => Err(error),
    })
}

/// Runs the command; an error is told on standard error.
pub async fn run(cli: Cli) -> ExitCode {
    let done = |()| ExitCode::SUCCESS;
    let result = match cli.command {
        Command::Serve(args) => serve::run(args).await.map(done),
        Command::Demo(args) => as_far_as_read(demo::run(args).await.map(done)),
        Command::Simulate(args) => as_far_as_read(simulate::run(*args).await.map(done)),
        Command::Client(command) => as_far_as_read(client::run(command).await),
        Command::Backup(args) => as_far_as_read(backup::back_up(args).await.map(done)),
        Command::Restore(args) => as_far_as_read(backup::restore(args).await.map(done)),
        Command::CheckConfig(args) => as_far_as_read(check_config::run(&args).map(done)),
        Command::Doctor(args) => as_far_as_read(doctor::run(args).await),
        Command::Health(args) => as_far_as_read(health::run(args).await.map(done)),
    };
    result.unwrap_or_else(|error| {
        // Configuration and start errors name their cause themselves.
        let is_usage = error.is::<ConfigError>() || error.is::<StartError>() || error.is::<WrongAddress>();
        let (said, code) = if is_usage { (error.to_string(), 2) } else { (format!("{error:#}"), 1) };
        // Nobody may be there to read it.
        let _ = writeln!(anstream::stderr(), "scrapehook: {said}");
        ExitCode::from(code)
    })
}
