//! Tasks and videos, for people: tables, and one of each.

use std::io;

use serde_json::Value;

use super::jobs::show_urls;
use super::output::{Output, Row, age, text, time};
use crate::clock;

pub(in crate::cli) fn show_tasks(output: &mut Output, tasks: &[Value]) -> io::Result<()> {
    let now = clock::now();
    let row = |task: &Value| {
        let state = text(task, "state");
        let (age, error) = (age(task, "created_at", now), text(&task["error"], "code"));
        Row::new(&state, vec![text(task, "id"), state.clone(), text(task, "platform"), age, error])
    };
    output.table(&["task", "state", "platform", "age", "error"], tasks.iter().map(row).collect())
}

/// Shows one task, in its present state or after a decision.
pub(in crate::cli) fn show_task(output: &mut Output, task: &Value) -> io::Result<()> {
    output.fields(&[
        ("task", text(task, "id")),
        ("state", text(task, "state")),
        ("error", text(task, "error")),
        ("job", text(task, "job_id")),
        ("upstream", text(task, "upstream_id")),
        ("platform", text(task, "platform")),
        ("created", time(task, "created_at")),
        ("accepted", time(task, "accepted_at")),
        ("downloaded", time(task, "downloaded_at")),
        ("settled", time(task, "settled_at")),
        ("retry of", text(task, "retry_of")),
        ("replaced by", text(task, "replaced_by")),
    ])?;
    let urls = task["urls"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !urls.is_empty() {
        output.line("")?;
        show_urls(output, urls)?;
    }
    Ok(())
}

pub(in crate::cli) fn show_videos(output: &mut Output, videos: &[Value]) -> io::Result<()> {
    let now = clock::now();
    let row = |video: &Value| {
        let state = text(video, "state");
        let age = age(video, "first_seen_at", now);
        Row::new(&state, vec![text(video, "id"), state.clone(), age, text(video, "url")])
    };
    output.table(&["video", "state", "age", "url"], videos.iter().map(row).collect())
}

pub(in crate::cli) fn show_video(output: &mut Output, video: &Value) -> io::Result<()> {
    output.fields(&[
        ("video", text(video, "id")),
        ("state", text(video, "state")),
        ("error", text(video, "error")),
        ("URL", text(video, "url")),
        ("first seen", time(video, "first_seen_at")),
        ("indexed", time(video, "indexed_at")),
        ("job", text(video, "job_id")),
        ("tasks", text(video, "tasks")),
    ])
}
