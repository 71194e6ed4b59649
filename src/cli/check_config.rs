//! `check-config`: reads the configuration as `serve` would, and prints the settings that matter most.
//!
//! It must never show a secret.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::app::StartError;
use crate::config::Config;
use crate::telemetry::Traces;
use crate::upstream::Upstream;

/// Arguments of `check-config`.
#[derive(Args, Debug)]
pub struct CheckConfig {
    /// Configuration file; see config.example.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Checks the configuration, and prints the settings that matter most.
///
/// # Errors
/// One line names the setting that is wrong.
pub fn run(args: &CheckConfig) -> anyhow::Result<()> {
    let config = Config::load(args.config.as_deref())?;
    config.check_for_serving()?;
    Upstream::new(&config.upstream.base_url, &config.upstream.api_key, config.upstream.timeout)
        .map_err(StartError::from)?;
    Traces::to(config.traces.endpoint.as_deref()).map_err(StartError::from)?;
    let public = config.server.public_url.as_deref().unwrap_or("not set: scrapehook polls every task");
    let mut out = anstream::stdout();
    writeln!(out, "The configuration is valid.")?;
    writeln!(out, "  server.listen      {}", config.server.listen)?;
    writeln!(out, "  server.public_url  {public}")?;
    writeln!(out, "  auth.api_keys      {}", config.auth)?;
    writeln!(out, "  store.path         {}", config.store.path.display())?;
    writeln!(out, "  upstream.base_url  {}", config.upstream.base_url)?;
    writeln!(out, "  upstream.api_key   set")?;
    writeln!(out, "  reconcile.after    {}", humantime::format_duration(config.poll_after()))?;
    writeln!(out, "  log.level          {}", config.log.level)?;
    Ok(())
}
