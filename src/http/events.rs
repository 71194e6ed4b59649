//! `/v1/events`: the log of changes, oldest first; its cursor is the last `seq` seen.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;

use super::Context;
use super::error::{Code, Problem};
use super::query::{self, Page, Params};
use crate::domain::event::Event;
use crate::store::EventFilter;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    job: Option<String>,
    task: Option<String>,
    kind: Option<String>,
    limit: Option<String>,
    after: Option<String>,
}

pub(super) async fn list_events(
    State(context): State<Context>,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<Event>>, Problem> {
    let limit = query::limit(params.limit.as_deref())?;
    let after: i64 = match params.after.as_deref() {
        None => 0,
        Some(text) => text
            .parse()
            .ok()
            .filter(|after| *after >= 0)
            .ok_or_else(|| Problem::new(Code::BadCursor, "after: the `seq` of an event is expected."))?,
    };
    // Read before the page: an event that comes in between is on the next page, never skipped.
    let last = context.store.last_seq().await?;
    if after > last {
        return Err(Problem::new(Code::CursorAhead, format!("The newest event is {last}.")));
    }
    let job = query::word("job", params.job.as_deref())?;
    let kind = query::word("kind", params.kind.as_deref())?;
    let task = match &params.task {
        None => None,
        Some(id) => match context.store.find_task(id).await? {
            Some(task) => Some(task),
            None => return Ok(Json(Page::feed(Vec::new(), after.to_string()))),
        },
    };
    let filter = EventFilter { after, job, task, kind, limit };
    let events = context.store.events(&filter).await?;
    // Filtered out is seen, too: an empty page moves the cursor to the end of what was looked at.
    let is_full = events.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
    let next = match events.last() {
        Some(event) if is_full => event.seq,
        Some(event) => event.seq.max(last),
        None => last,
    };
    Ok(Json(Page::feed(events, next.to_string())))
}
