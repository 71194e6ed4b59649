//! `check-config`: reads the configuration as `serve` would, and says what is in force.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::app::StartError;
use crate::config::Config;
use crate::upstream::Upstream;

/// Arguments of `check-config`.
#[derive(Args, Debug)]
pub struct CheckConfig {
    /// Configuration file; see config.example.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Checks, and prints what matters most, secrets left out.
///
/// # Errors
/// A setting is wrong: one line that names it.
pub fn run(args: &CheckConfig) -> anyhow::Result<()> {
    let config = Config::load(args.config.as_deref())?;
    config.check_for_serving()?;
    Upstream::new(&config.upstream.base_url, &config.upstream.api_key, config.upstream.timeout)
        .map_err(StartError::from)?;
    let public = config.server.public_url.as_deref().unwrap_or("none: tasks are polled instead");
    let keys: Vec<_> =
        config.auth.api_keys.0.iter().map(|key| format!("{} ({})", key.name, key.role)).collect();
    let mut out = anstream::stdout();
    writeln!(out, "The configuration is good.")?;
    writeln!(out, "  server.listen      {}", config.server.listen)?;
    writeln!(out, "  server.public_url  {public}")?;
    writeln!(
        out,
        "  auth.api_keys      {}",
        if keys.is_empty() { "none: this machine alone may ask".to_owned() } else { keys.join(", ") }
    )?;
    writeln!(out, "  store.path         {}", config.store.path.display())?;
    writeln!(out, "  upstream.base_url  {}", config.upstream.base_url)?;
    writeln!(out, "  upstream.api_key   set")?;
    writeln!(out, "  reconcile.after    {:?}", config.poll_after()?)?;
    Ok(())
}
