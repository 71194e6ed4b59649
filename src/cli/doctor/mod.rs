//! `doctor`: checks everything that the service needs, and reports for each check its result and the action to take.
//!
//! It must never change the database, never send anything that could be charged, and never show a secret.

mod callbacks;
mod checks;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use self::report::{Check, Report};
use super::client::show::output::Output;
use crate::config::Config;
use crate::upstream::{ClientError, Upstream};

const EXAMPLES: &str = "\
The result of a check is `ok`, `failed`, `not proven` (this machine can't tell) or `skipped` (nothing to check).
doctor changes nothing, and sends nothing that could be charged. To check callbacks, the service must be running.

Exit code: 0 if no check failed, 1 if one did, 2 if the configuration is wrong.

Examples:
  Beside the running service, with its environment:
    scrapehook doctor
    scrapehook doctor --config /etc/scrapehook.toml
  As the service's user, with its environment file:
    sudo -u scrapehook sh -c 'set -a; . /etc/scrapehook.env; scrapehook doctor'
  The failed checks, for a program:
    scrapehook doctor --json | jq -r 'select(.state == \"failed\") | \"\\(.check): \\(.seen)\"'";

/// Arguments of `doctor`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Doctor {
    /// Configuration file, like config.example.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON object per check
    #[arg(long)]
    json: bool,
}

/// Runs the checks, one after the other.
///
/// # Errors
/// Standard output can't be written.
pub async fn run(args: Doctor) -> anyhow::Result<ExitCode> {
    let mut report = Report { output: Output::new(), is_json: args.json, has_failed: false };
    let (config, upstream) = match load(&args) {
        Ok(loaded) => loaded,
        Err(check) => {
            report.show(&check)?;
            return Ok(ExitCode::from(2));
        }
    };
    let file = args.config.map_or_else(|| "the defaults".to_owned(), |file| file.display().to_string());
    let access = if config.auth.is_keyless() { config.auth.to_string() } else { api_keys(&config) };
    report.show(&Check::ok(checks::CONFIGURATION, format!("{file} and the environment, {access}")))?;
    let (check, database) = checks::database(&config).await;
    report.show(&check)?;
    report.show(&checks::permissions(&config))?;
    report.show(&checks::disk(&config.store.path))?;
    report.show(&checks::backups(&config))?;
    for check in checks::upstream(&config, &upstream).await {
        report.show(&check)?;
    }
    report.show(&callbacks::check(&config, database).await)?;
    Ok(if report.has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn api_keys(config: &Config) -> String {
    match config.auth.api_keys.0.len() {
        1 => "1 API key".to_owned(),
        keys => format!("{keys} API keys"),
    }
}

/// Loads the configuration as `serve` would.
fn load(args: &Doctor) -> Result<(Config, Upstream), Check> {
    let wrong = |seen: String| Check::failed(checks::CONFIGURATION, seen, "Correct this setting.");
    let no_roots = "Install the system's root certificates (the package `ca-certificates` in Debian).";
    let config = Config::load(args.config.as_deref()).map_err(|error| wrong(error.to_string()))?;
    config.check_for_serving().map_err(|error| wrong(error.to_string()))?;
    let settings = &config.upstream;
    let upstream = Upstream::new(&settings.base_url, &settings.api_key, settings.timeout);
    let upstream = upstream.map_err(|error| match error {
        ClientError::Tls(_) => Check::failed(checks::CONFIGURATION, error.to_string(), no_roots),
        ClientError::BaseUrl(_) | ClientError::ApiKey => wrong(error.to_string()),
    })?;
    Ok((config, upstream))
}
