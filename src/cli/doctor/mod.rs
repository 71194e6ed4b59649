//! `doctor`: checks everything that the service needs, and says for each check what it found and what to do.
//!
//! It must never change the database, never send anything that could be charged, and never show a secret.

mod callbacks;
mod checks;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use clap::Args;
use serde::Serialize;

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

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    Failed,
    NotProven,
    Skipped,
}

/// A check with its result.
#[derive(Debug, Serialize)]
struct Check {
    #[serde(rename = "check")]
    name: &'static str,
    state: State,
    seen: String,
    action: Option<String>,
}

impl Check {
    fn ok(name: &'static str, seen: impl Into<String>) -> Self {
        Self { name, state: State::Ok, seen: seen.into(), action: None }
    }

    fn skipped(name: &'static str, seen: impl Into<String>) -> Self {
        Self { name, state: State::Skipped, seen: seen.into(), action: None }
    }

    fn failed(name: &'static str, seen: impl Into<String>, action: impl Into<String>) -> Self {
        Self { name, state: State::Failed, seen: seen.into(), action: Some(action.into()) }
    }

    fn not_proven(name: &'static str, seen: impl Into<String>, action: impl Into<String>) -> Self {
        Self { name, state: State::NotProven, seen: seen.into(), action: Some(action.into()) }
    }
}

/// Shows the result of each check as soon as it is there.
struct Report {
    output: Output,
    is_json: bool,
    has_failed: bool,
}

/// As wide as the longest state, and the longest name.
const STATE_WIDTH: usize = 10;
const NAME_WIDTH: usize = 13;
const INDENT: usize = 4;

impl Report {
    /// A reader that went away is no reason to stop: the exit code tells what the other checks found.
    fn show(&mut self, check: &Check) -> io::Result<()> {
        self.has_failed |= check.state == State::Failed;
        self.print(check).or_else(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Ok(()),
            _ => Err(error),
        })
    }

    fn print(&mut self, check: &Check) -> io::Result<()> {
        if self.is_json {
            return self.output.line(&serde_json::to_string(check)?);
        }
        let (word, style) = match check.state {
            State::Ok => ("ok", AnsiColor::Green.on_default()),
            State::Failed => ("failed", AnsiColor::Red.on_default().bold()),
            State::NotProven => ("not proven", AnsiColor::Yellow.on_default()),
            State::Skipped => ("skipped", Style::new()),
        };
        let head = format!("{word:STATE_WIDTH$}  {:NAME_WIDTH$}", check.name);
        self.output.entry(style, &head, INDENT, &check.seen)?;
        if let Some(action) = &check.action {
            self.output.paragraph(INDENT, &format!("To do: {action}"))?;
        }
        Ok(())
    }
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

/// The configuration as `serve` would read it.
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
