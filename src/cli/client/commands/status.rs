//! `status`: problems, each with its start and the action to take, then the counts of everything.

use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use clap::Args;
use serde_json::Value;

use crate::cli::client::api::{Query, Service};
use crate::cli::client::show::output::{Output, age, text, time};
use crate::clock;
use crate::domain::time::Timestamp;

const EXAMPLES: &str = "\
Exit code: 0 if nothing is wrong, 1 if something is or if the service cannot be reached.

Examples:
    scrapehook status
  The codes of the problems, for a program:
    scrapehook status --json | jq -r '.problems[].code'";

/// Arguments of `status`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Status {
    #[command(flatten)]
    service: Service,
}

pub(in crate::cli) async fn run(args: Status) -> anyhow::Result<ExitCode> {
    let answer = args.service.connect()?.get(&["status"], &Query::new()).await?;
    let is_well = answer.value["problems"].as_array().is_some_and(Vec::is_empty);
    let shown = Output::new().answer(args.service.json, &answer, show);
    // The exit code reports the status, whether or not anybody reads the output.
    if is_well {
        shown?;
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

fn show(output: &mut Output, status: &Value) -> std::io::Result<()> {
    let now = clock::now();
    let problems = status["problems"].as_array().map(Vec::as_slice).unwrap_or_default();
    if problems.is_empty() {
        output.styled(AnsiColor::Green.on_default(), "Nothing is wrong.")?;
    }
    for problem in problems {
        let since = match time(problem, "since") {
            since if since.is_empty() => since,
            since => format!(" since {since} ({})", age(problem, "since", now)),
        };
        let head = format!("{}{since}", text(problem, "code"));
        output.styled(Style::new().bold().fg_color(Some(AnsiColor::Red.into())), &head)?;
        output.paragraph(2, &text(problem, "detail"))?;
        output.paragraph(2, &format!("To do: {}", text(problem, "action")))?;
    }
    output.line("")?;
    let counts = &status["counts"];
    let upstream = &status["upstream"];
    let with_age = |object: &Value, name: &str| match time(object, name) {
        at if at.is_empty() => "none".to_owned(),
        at => format!("{at} ({} ago)", age(object, name, now)),
    };
    let last_error = match text(upstream, "last_error") {
        error if error.is_empty() => "none".to_owned(),
        error => format!("{error}, {}", with_age(&upstream["last_error"], "at")),
    };
    output.fields(&[
        ("jobs", by_state(&counts["jobs"])),
        ("tasks", by_state(&counts["tasks"])),
        ("videos", by_state(&counts["videos"])),
        ("quarantine", text(counts, "quarantine")),
        ("sent today", sent_today(&status["today"])),
        ("last callback", with_age(status, "last_callback_at")),
        ("callback check", callback_check(&status["callback_check"])),
        ("webhooks", webhooks(&status["webhooks"], now)),
        ("last error", last_error),
        (
            "interval",
            format!("{} ms between two requests to the memories.ai API", text(upstream, "interval_ms")),
        ),
        ("version", text(status, "version")),
    ])
}

/// Describes the URLs of the day. Empty if the service is older than their count.
fn sent_today(today: &Value) -> String {
    let sent = match today["urls_sent"].as_u64() {
        None => return String::new(),
        Some(1) => "1 URL".to_owned(),
        Some(sent) => format!("{sent} URLs"),
    };
    match today["urls_left"].as_u64() {
        Some(left) => format!("{sent}, {left} left of {}", text(today, "max_urls")),
        None => sent,
    }
}

/// Describes the callback check. Empty if the service is older than the check.
fn callback_check(check: &Value) -> String {
    match text(check, "state").replace('_', " ") {
        state if state.is_empty() => state,
        state => format!("{state}, {}", text(check, "detail")),
    }
}

/// Describes the webhooks. Empty if there never was one, or if the service is older than they are.
fn webhooks(webhooks: &Value, now: Timestamp) -> String {
    let count = |state: &str| webhooks["deliveries"][state].as_i64().unwrap_or_default();
    let counts = ["waiting", "delivered", "dead"].map(|state| (count(state), state));
    if counts.iter().all(|(count, _)| *count == 0) {
        return String::new();
    }
    let mut said: Vec<String> = counts.iter().map(|(count, state)| format!("{count} {state}")).collect();
    let oldest = age(webhooks, "oldest_waiting_at", now);
    if !oldest.is_empty() {
        said.push(format!("the oldest has waited {oldest}"));
    }
    match webhooks["failing"].as_i64().unwrap_or_default() {
        0 => {}
        1 => said.push("1 subscriber fails".to_owned()),
        failing => said.push(format!("{failing} subscribers fail")),
    }
    said.join(", ")
}

fn by_state(counts: &Value) -> String {
    let counts = counts.as_object().into_iter().flatten();
    let words: Vec<_> = counts.map(|(state, count)| format!("{count} {state}")).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}
