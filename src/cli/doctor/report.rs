//! The results of checks, and their presentation. Must never decide about a check.

use std::io;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::cli::client::show::output::Output;

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Ok,
    Failed,
    NotProven,
    Skipped,
}

/// A check with its result.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    #[serde(rename = "check")]
    pub(super) name: &'static str,
    pub(super) state: State,
    pub(super) seen: String,
    pub(super) action: Option<String>,
}

impl Check {
    pub(super) fn ok(name: &'static str, seen: impl Into<String>) -> Self {
        Self { name, state: State::Ok, seen: seen.into(), action: None }
    }

    pub(super) fn skipped(name: &'static str, seen: impl Into<String>) -> Self {
        Self { name, state: State::Skipped, seen: seen.into(), action: None }
    }

    pub(super) fn failed(name: &'static str, seen: impl Into<String>, action: impl Into<String>) -> Self {
        Self { name, state: State::Failed, seen: seen.into(), action: Some(action.into()) }
    }

    pub(super) fn not_proven(name: &'static str, seen: impl Into<String>, action: impl Into<String>) -> Self {
        Self { name, state: State::NotProven, seen: seen.into(), action: Some(action.into()) }
    }
}

/// Shows the result of each check as soon as it is known.
pub(super) struct Report {
    pub(super) output: Output,
    pub(super) is_json: bool,
    pub(super) has_failed: bool,
}

/// The widths of the longest state and of the longest name.
const STATE_WIDTH: usize = 10;
const NAME_WIDTH: usize = 13;
const INDENT: usize = 4;

impl Report {
    /// Shows a check. A closed output is no reason to stop, because the exit code reports the other checks.
    pub(super) fn show(&mut self, check: &Check) -> io::Result<()> {
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
