//! The event log: append-only, in the order of commits. Must never change an event.

use serde_json::{Value, json};
use tracing::field;

use crate::domain::event::{EventKind, Source};
use crate::store::batch::changes::NewEvent;

/// Appends events in their order. Job and `taskId` are filled in from the task.
pub(crate) const APPEND: &str =
    "INSERT INTO events (kind, source, job_id, task_id, upstream_id, video_id, at, message, post)
     SELECT value->>0, value->>1, coalesce(value->>2, tasks.job_id), value->>3, tasks.upstream_id,
            value->>4, value->>5, value->>6, value->>7
     FROM json_each(?) LEFT JOIN tasks ON tasks.id = value->>3
     ORDER BY json_each.key";

/// The rows of [`APPEND`].
pub(crate) fn rows(events: &[NewEvent]) -> Vec<Value> {
    let row = |event: &NewEvent| {
        json!([
            event.kind,
            event.source,
            event.job,
            event.task,
            event.video,
            event.at.as_millis(),
            event.message,
            event.post,
        ])
    };
    events.iter().map(row).collect()
}

/// Writes committed events to the log, at level info for the creation and the end of jobs, and otherwise at debug.
pub(crate) fn log(events: &[NewEvent]) {
    for event in events {
        let (kind, source) = (event.kind, event.source);
        let (job, task) = (event.job.map(field::display), event.task.map(field::display));
        // The words of a callback are part of its body, so they are not logged. If the callback shares a commit with
        // the answer to its submit, the task fails with these words, and the source is the submit.
        let is_ours_to_tell = source != Source::Callback && kind != EventKind::TaskFailed;
        let words = event.message.as_deref().filter(|_| is_ours_to_tell);
        let video = event.video.as_deref();
        match kind {
            EventKind::JobCreated | EventKind::JobSettled => {
                tracing::info!(%kind, %source, job, words, "committed")
            }
            _ => tracing::debug!(%kind, %source, job, task, video, words, "committed"),
        }
    }
}
