//! `check-config`: reads the configuration as `serve` would, and prints the settings that matter most.
//!
//! It must never show a secret.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::app::StartError;
use crate::config::{Config, WithoutToken};
use crate::telemetry::Traces;
use crate::upstream::Upstream;

/// Arguments of `check-config`.
#[derive(Args, Debug)]
pub struct CheckConfig {
    /// Configuration file, like config.example.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Checks the configuration, and prints the settings that matter most.
///
/// # Errors
/// One line names the wrong setting.
pub fn run(args: &CheckConfig) -> anyhow::Result<()> {
    let config = Config::load(args.config.as_deref())?;
    config.check_for_serving()?;
    Upstream::new(&config.upstream.base_url, &config.upstream.api_key, config.upstream.timeout)
        .map_err(StartError::from)?;
    Traces::to(config.traces.endpoint.as_deref()).map_err(StartError::from)?;
    Ok(print(&mut anstream::stdout(), &config)?)
}

/// Prints the settings of a valid configuration.
pub(super) fn print(out: &mut impl Write, config: &Config) -> io::Result<()> {
    writeln!(out, "The configuration is valid.")?;
    for (name, value) in settings(config) {
        writeln!(out, "  {name:NAME_WIDTH$}  {value}")?;
    }
    Ok(())
}

/// The width of the longest name.
const NAME_WIDTH: usize = 22;

/// The settings that matter most, as they are in force. Settings that change who has access are shown only if they
/// are set.
fn settings(config: &Config) -> Vec<(&'static str, String)> {
    let public = config.server.public_url.as_deref().unwrap_or("not set: scrapehook polls every task");
    let address = |address: Option<SocketAddr>| address.map(|address| address.to_string());
    let accepts = config.callback.without_token == WithoutToken::Accept;
    let all = [
        ("server.listen", Some(config.server.listen.to_string())),
        ("callback.listen", address(config.callback.listen)),
        ("metrics.listen", address(config.metrics.listen)),
        ("server.public_url", Some(public.to_owned())),
        ("callback.without_token", accepts.then(|| "accept: anyone can report results of tasks".to_owned())),
        ("auth.api_keys", Some(config.auth.to_string())),
        ("auth.keyless", config.auth.keyless.then(|| keyless(config).to_owned())),
        ("store.path", Some(config.store.path.display().to_string())),
        ("backup.folder", Some(backup_folder(config))),
        ("upstream.base_url", Some(config.upstream.base_url.clone())),
        ("upstream.api_key", Some("set".to_owned())),
        ("reconcile.after", Some(humantime::format_duration(config.poll_after()).to_string())),
        ("log.level", Some(config.log.level.clone())),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn keyless(config: &Config) -> &'static str {
    if config.auth.is_keyless() { "true" } else { "true: no effect, because API keys are set" }
}

fn backup_folder(config: &Config) -> String {
    match &config.backup.folder {
        None => "not set: no backups are made automatically".to_owned(),
        Some(folder) if folder.is_dir() => format!("{} (exists)", folder.display()),
        Some(folder) => format!("{} (does not exist)", folder.display()),
    }
}
