//! `serve`: runs the service until a signal. Must never end without an orderly stop, except after a second signal.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use anyhow::bail;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::notify::Manager;
use crate::app::{App, Reloader};
use crate::config::{Config, ConfigError};
use crate::network;
use crate::telemetry::{self, SetLevel};

/// Arguments of `serve`.
#[derive(Args, Debug)]
pub struct Serve {
    /// Configuration file, like config.example.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Use the database even though upstream.base_url has changed
    #[arg(long)]
    accept_upstream_change: bool,
}

/// The number of the signal on Linux and macOS.
const SIGXFSZ: i32 = 25;

/// The open files besides connections: the database, its readers, the connections to upstream.
const OTHER_FILES: u64 = 64;

/// Raises the limit of open files. Most systems let a process open fewer files than the configured connections until
/// it asks for more.
fn allow_connections(connections: usize) {
    let wanted = (connections as u64).saturating_add(OTHER_FILES);
    let allowed = network::raise_open_files(wanted);
    if allowed < wanted {
        tracing::warn!(
            allowed,
            wanted,
            "server.max_connections exceeds the number of files this process may open, raise that limit"
        );
    }
}

/// A configuration that was read again, or its error.
type Read = Result<Config, ConfigError>;

/// Starts a thread that reads the configuration on request and returns it. A file can be a pipe to which nobody
/// writes. With a separate thread, signals are still handled, and the process can end without waiting.
fn reader(file: Option<PathBuf>) -> io::Result<(SyncSender<()>, UnboundedReceiver<Read>)> {
    // One request that arrives while a file is read is kept. Further ones would be the same.
    let (ask, asked) = sync_channel(1);
    let (answer, answers) = unbounded_channel();
    thread::Builder::new()
        .name("reload".to_owned())
        .spawn(move || while asked.recv().is_ok() && answer.send(Config::load(file.as_deref())).is_ok() {})?;
    Ok((ask, answers))
}

/// Applies those settings that can change without a restart. A configuration with an error changes nothing.
async fn take_over(read: Read, reloader: &Reloader, set_level: &SetLevel) {
    let applied = match read {
        Ok(config) => reloader.apply(&config).await.map(|()| config),
        Err(error) => Err(error),
    };
    match applied {
        Ok(config) => {
            set_level(&config.log.level);
            let keys = config.auth.api_keys.0.len();
            tracing::info!(
                keys,
                level = config.log.level,
                "reloaded API keys, secrets, subscribers and log level"
            );
        }
        Err(error) => {
            tracing::error!(%error, "reload failed, so API keys, secrets, subscribers and log level stay as they are")
        }
    }
}

fn stopped_early() -> anyhow::Result<()> {
    tracing::info!("stopped before serving");
    Ok(())
}

/// Serves until the first signal, and then stops in order. A second signal ends the process at once, as a failure.
///
/// # Errors
/// A setting is wrong (exit 2), or a part of the service ended unexpectedly (exit 1).
pub async fn run(args: Serve) -> anyhow::Result<()> {
    let config = Config::load(args.config.as_deref())?;
    let set_level = telemetry::start(&config.log.level);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    // This signal is handled so that it does not kill the process. A limit on file sizes then has the effect of a
    // full disk, an answer of 503.
    let _file_too_large = signal(SignalKind::from_raw(SIGXFSZ))?;
    let separate = [config.callback.listen, config.metrics.listen];
    let listeners = 1 + separate.iter().flatten().count();
    allow_connections(config.server.max_connections.saturating_mul(listeners));
    // A large database is copied before it is migrated. Signals are handled meanwhile, for a user who does not want
    // to wait.
    let app = tokio::select! {
        app = App::bind(&config, args.accept_upstream_change) => app?,
        _ = interrupt.recv() => return stopped_early(),
        _ = terminate.recv() => return stopped_early(),
    };
    let (address, callbacks, metrics) = (app.address(), app.callback_address(), app.metrics_address());
    tracing::info!(%address, callbacks = callbacks.map(tracing::field::display),
        metrics = metrics.map(tracing::field::display), store = %config.store.path.display(),
        keyless = config.auth.is_keyless(), "serving");
    let manager = Manager::from_environment();
    manager.ready(&format!("serving on {address}"), app.pulse()).await;
    let (stop, reloader, longest_stop) = (app.stop_token(), app.reloader(), app.stop_deadline());
    let (reread, mut read_again) = reader(args.config)?;
    let mut joined = std::pin::pin!(app.join());
    loop {
        tokio::select! {
            ended = &mut joined => return ended,
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            // If a request is waiting already, it will read the present configuration.
            _ = hang_up.recv() => drop(reread.try_send(())),
            Some(read) = read_again.recv() => take_over(read, &reloader, &set_level).await,
        }
    }
    tracing::info!("stopping, a second signal stops at once");
    stop.cancel();
    manager.stopping(longest_stop).await;
    tokio::select! {
        ended = &mut joined => ended,
        _ = interrupt.recv() => bail!("stopped at once by a second signal"),
        _ = terminate.recv() => bail!("stopped at once by a second signal"),
    }
}
