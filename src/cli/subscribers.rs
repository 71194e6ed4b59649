//! `subscribers`: the receivers of webhooks, and the secret that signs them.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use secrecy::ExposeSecret;

use super::client::{self, SubscriberCommand};
use crate::config::Config;
use crate::store;

/// Arguments of `subscribers`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Subscribers {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: client::SubscriberList,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Client(SubscriberCommand),
    Secret(Secret),
}

/// Print the secret that signs webhooks to the callback URLs of jobs
#[derive(Args, Debug)]
#[command(after_help = "\
Receivers need it to verify signatures (https://www.standardwebhooks.com), also those of subscribers in the \
configuration that have no secret. Run this on the machine of the service, \
with its configuration. The secret is forward.secret, or else the one that the database keeps.

Example:
  scrapehook subscribers secret --config /etc/scrapehook.toml")]
struct Secret {
    /// Configuration file that names the database
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// The configuration is wrong, there is no secret yet, or this machine has failed.
pub async fn run(args: Subscribers) -> anyhow::Result<ExitCode> {
    match args.command {
        Some(Command::Secret(args)) => print_secret(args).await.map(|()| ExitCode::SUCCESS),
        Some(Command::Client(command)) => client::run_subscribers(Some(command), args.list).await,
        None => client::run_subscribers(None, args.list).await,
    }
}

async fn print_secret(Secret { config }: Secret) -> anyhow::Result<()> {
    let config = Config::load(config.as_deref())?;
    let secret = match &config.forward.secret {
        Some(secret) => secret.expose(),
        None => stored(&config).await?,
    };
    Ok(writeln!(anstream::stdout(), "{secret}")?)
}

/// The secret that the database keeps.
async fn stored(config: &Config) -> anyhow::Result<String> {
    let base = config.upstream.base_url.trim_end_matches('/');
    let inspected = store::inspect_database(&config.store.path, base).await?;
    let secret = inspected.and_then(|inspected| inspected.forward_secret);
    let secret = secret.with_context(|| {
        format!("{} has no secret for webhooks yet. Start the service once", config.store.path.display())
    })?;
    Ok(secret.expose_secret().to_owned())
}
