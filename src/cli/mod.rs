//! The command line: its commands and exit codes (0 for success, 1 for failure, 2 for wrong usage or configuration).
//! Must never print a secret.

pub mod backup;
pub mod check_config;
pub mod client;
mod completions;
pub mod demo;
pub mod doctor;
mod first_screen;
pub mod health;
pub mod init;
mod notify;
pub mod serve;
pub mod simulate;
pub mod subscribers;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use self::client::ClientCommand;
use self::health::WrongAddress;
use crate::app::StartError;
use crate::config::ConfigError;

/// Submits video URLs to memories.ai, and follows each until it has its video.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service
    Serve(serve::Serve),
    /// Run a simulated API, the service and one job, without an API key
    Demo(Box<demo::Demo>),
    /// Write a configuration file
    Init(init::Init),
    Simulate(Box<simulate::Simulate>),
    #[command(flatten)]
    Client(ClientCommand),
    /// Copy the database to a new file, even while the service runs
    Backup(backup::Backup),
    /// Put a copy in place of a lost database
    Restore(backup::Restore),
    /// Check the configuration and print the settings in force
    CheckConfig(check_config::CheckConfig),
    /// List, add and try receivers of webhooks
    Subscribers(subscribers::Subscribers),
    /// Check configuration, database, network and API key, and advise
    Doctor(doctor::Doctor),
    /// Exit with 0 if the service is alive, for container health checks
    Health(health::Health),
    /// Print shell completions
    Completions(completions::Completions),
}

/// Returns the command line, with its commands in groups.
pub fn command() -> clap::Command {
    first_screen::in_groups(Cli::command())
}

/// Accepts a closed output, because a reader such as `head` may have seen enough.
fn as_far_as_read(result: anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
    result.or_else(|error| match error.downcast_ref::<io::Error>() {
        Some(closed) if closed.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        _ => Err(error),
    })
}

/// Runs the command, and writes an error to standard error.
// The runtime is started here and not in the binary, because a future is compiled in the crate that polls it.
#[tokio::main]
pub async fn run(cli: Cli) -> ExitCode {
    let done = |()| ExitCode::SUCCESS;
    let Some(command) = cli.command else {
        // Nobody may be there to read it.
        let _ = writeln!(anstream::stdout(), "{}", first_screen::NEXT_STEPS);
        return ExitCode::SUCCESS;
    };
    let result = match command {
        Command::Serve(args) => serve::run(args).await.map(done),
        Command::Demo(args) => as_far_as_read(demo::run(*args).await.map(done)),
        Command::Init(args) => as_far_as_read(init::run(&args).map(done)),
        Command::Simulate(args) => as_far_as_read(simulate::run(*args).await.map(done)),
        Command::Client(command) => as_far_as_read(client::run(command).await),
        Command::Backup(args) => as_far_as_read(backup::back_up(args).await.map(done)),
        Command::Restore(args) => as_far_as_read(backup::restore(args).await.map(done)),
        Command::CheckConfig(args) => as_far_as_read(check_config::run(&args).map(done)),
        Command::Subscribers(args) => as_far_as_read(subscribers::run(args).await),
        Command::Doctor(args) => as_far_as_read(doctor::run(args).await),
        Command::Health(args) => as_far_as_read(health::run(args).await.map(done)),
        Command::Completions(args) => as_far_as_read(completions::run(&args, Cli::command()).map(done)),
    };
    result.unwrap_or_else(|error| {
        // Configuration and start errors already contain their cause.
        let is_usage = error.is::<ConfigError>() || error.is::<StartError>() || error.is::<WrongAddress>();
        let (said, code) = if is_usage { (error.to_string(), 2) } else { (format!("{error:#}"), 1) };
        // Nobody may be there to read it.
        let _ = writeln!(anstream::stderr(), "scrapehook: {said}");
        ExitCode::from(code)
    })
}
