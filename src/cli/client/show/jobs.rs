//! Jobs and their URLs, for people: tables, one job, and its progress in words.

use serde_json::Value;

use super::output::{Output, Row, age, style, text, time};
use super::queue::expected;
use super::words::{number, urls};
use crate::clock;
use crate::domain::outcome::UrlState;
use crate::domain::queue::Priority;

pub(in crate::cli) fn show_jobs(output: &mut Output, jobs: &[Value]) -> std::io::Result<()> {
    let now = clock::now();
    let has_priorities = jobs.iter().any(|job| !priority(job).is_empty());
    let row = |job: &Value| {
        let state = text(job, "state");
        let progress = &job["progress"];
        let good = number(progress, "indexed") + number(progress, "known");
        let indexed = format!("{good}/{}", number(progress, "urls"));
        let mut cells = vec![text(job, "id"), state.clone(), indexed, age(job, "created_at", now)];
        cells.extend(has_priorities.then(|| priority(job)));
        cells.push(text(job, "labels"));
        Row::new(&state, cells)
    };
    let mut header = vec!["job", "state", "indexed", "age"];
    header.extend(has_priorities.then_some("priority"));
    header.push("labels");
    output.table(&header, jobs.iter().map(row).collect())
}

/// The priority of a job. Empty if it is the default.
fn priority(job: &Value) -> String {
    Some(text(job, "priority")).filter(|word| word != Priority::Normal.as_str()).unwrap_or_default()
}

pub(in crate::cli) fn show_urls(output: &mut Output, urls: &[Value]) -> std::io::Result<()> {
    let row = |url: &Value| {
        let state = text(url, "state");
        let error = text(&url["error"], "code");
        Row::new(&state, vec![state.clone(), error, text(url, "video_ids"), text(url, "url")])
    };
    output.table(&["state", "error", "videos", "url"], urls.iter().map(row).collect())
}

pub(in crate::cli) fn show_job(output: &mut Output, job: &Value) -> std::io::Result<()> {
    output.fields(&[
        ("job", text(job, "id")),
        ("state", text(job, "state")),
        ("created", time(job, "created_at")),
        ("settled", time(job, "settled_at")),
        ("labels", text(job, "labels")),
        ("folder", format!("{}{}", text(job, "unique_id"), text(job, "folder_id"))),
        ("quality", text(job, "quality")),
        ("library", text(job, "library")),
        ("priority", priority(job)),
        ("progress", progress(&job["progress"])),
        ("queue", expected(job)),
    ])?;
    let tasks = job["tasks"].as_array().map(Vec::as_slice).unwrap_or_default();
    if tasks.is_empty() {
        return Ok(());
    }
    output.line("")?;
    let row = |task: &Value| {
        let state = text(task, "state");
        Row::new(&state, vec![text(task, "id"), state.clone(), text(task, "urls"), text(task, "platform")])
    };
    output.table(&["task", "state", "urls", "platform"], tasks.iter().map(row).collect())
}

/// The number of URLs in each state, without zeros.
pub(in crate::cli) fn progress(progress: &Value) -> String {
    let states = UrlState::ALL.iter().map(|state| (state.as_str(), number(progress, state.as_str())));
    let parts: Vec<_> =
        states.filter(|(_, count)| *count > 0).map(|(state, count)| format!("{count} {state}")).collect();
    format!("{}: {}", urls(number(progress, "urls")), parts.join(", "))
}

/// Shows the last line about a job, in the colour of its state.
pub(in crate::cli) fn show_end(output: &mut Output, job: &Value) -> std::io::Result<()> {
    let state = text(job, "state");
    let said = format!("{} is {state}. {}", text(job, "id"), progress(&job["progress"]));
    output.styled(style(&state), &said)
}
