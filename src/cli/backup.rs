//! `backup` and `restore`: makes a whole, verified copy of the database, and restores a lost database from a copy.
//! Must never overwrite a file.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::config::{Config, ConfigError};
use crate::domain::file_path::check_file;
use crate::store::{self, BackupError, OpenError};

/// Arguments of `backup`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  scrapehook backup /backups/today.db
  scrapehook backup --config /etc/scrapehook.toml /backups/$(date +%F).db")]
pub struct Backup {
    /// The new file. An existing file is never overwritten
    file: PathBuf,
    /// Configuration file that names the database
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Arguments of `restore`.
#[derive(Args, Debug)]
#[command(
    after_help = "The service then starts paused, because the URLs that wait in the copy may have been sent since. \
Cancel those that were, then run `scrapehook resume`.

Example:
  scrapehook restore /backups/today.db && scrapehook serve"
)]
pub struct Restore {
    /// The copy
    file: PathBuf,
    /// Configuration file that says where the database is to be
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Returns a token that the first signal cancels. Nothing is left half done.
fn on_signal() -> std::io::Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = CancellationToken::new();
    let canceled = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        canceled.cancel();
    });
    Ok(stop)
}

/// Refuses an argument that SQLite and the system would not read as the same path.
fn check_argument(file: &Path) -> Result<(), ConfigError> {
    check_file(file).map_err(|fault| ConfigError::new(format!("FILE: `{}`: {fault}", file.display())))
}

/// Reports a mounted database file as wrong usage, like `serve`.
fn named(error: BackupError) -> anyhow::Error {
    match error {
        BackupError::Refused(OpenError::Mounted { .. }) | BackupError::Copy(OpenError::Mounted { .. }) => {
            ConfigError::new(error.to_string()).into()
        }
        error => error.into(),
    }
}

/// Copies the database, even while it is served.
///
/// # Errors
/// There is no copy.
pub async fn back_up(args: Backup) -> anyhow::Result<()> {
    check_argument(&args.file)?;
    let path = Config::load(args.config.as_deref())?.store.path;
    store::backup(&path, &args.file, clock::now(), &on_signal()?).await.map_err(named)?;
    let bytes = std::fs::metadata(&args.file).context("the copy is gone")?.len();
    writeln!(anstream::stdout(), "{}: {bytes} bytes, undamaged", args.file.display())?;
    Ok(())
}

/// Puts the copy in the place of the database, if there is none.
///
/// # Errors
/// Nothing has changed.
pub async fn restore(args: Restore) -> anyhow::Result<()> {
    check_argument(&args.file)?;
    let path = Config::load(args.config.as_deref())?.store.path;
    store::restore(&args.file, &path, clock::now(), &on_signal()?).await.map_err(named)?;
    writeln!(
        anstream::stdout(),
        "{} is restored. `serve` sends nothing until you run `scrapehook resume`.",
        path.display()
    )?;
    Ok(())
}
