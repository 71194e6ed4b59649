//! `/v1/events`: the event log, oldest first. Its cursor is the last `seq` that the client has seen.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::domain::event::{Event, EventKind};
use crate::domain::id::JobId;
use crate::http::context::Context;
use crate::http::edge::problem::{Code, Problem};
use crate::http::edge::query::{self, Page, Params};
use crate::store::EventFilter;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ListParams {
    /// Only items of this job.
    #[param(value_type = Option<JobId>)]
    job: Option<String>,
    /// Only items of this task, by its id or its `taskId`.
    #[param(value_type = Option<String>)]
    task: Option<String>,
    /// Only items of this kind.
    #[param(value_type = Option<EventKind>)]
    kind: Option<String>,
    /// Items per page. Default: 50. At most 500.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 500)]
    limit: Option<String>,
    /// The last `seq` that you have seen. 0 starts at the first event.
    #[param(value_type = Option<i64>, minimum = 0)]
    after: Option<String>,
}

/// Lists events, oldest first.
///
/// `next` is never null. It is the cursor for the next request.
#[utoipa::path(
    get,
    path = "/v1/events",
    tag = "events",
    params(ListParams),
    responses(
        (status = 200, description = "A page of events.", body = Page<Event>),
        (status = 410, description = "Some events after the cursor have been removed."),
    ),
)]
pub(in crate::http) async fn list_events(
    State(context): State<Context>,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<Event>>, Problem> {
    let limit = query::limit(params.limit.as_deref())?;
    let after = read_cursor("after", params.after.as_deref())?.unwrap_or(0);
    // Read before the page, so that an event that comes in between is on the next page and not skipped.
    let last = context.store.read().last_seq().await?;
    check_cursor(&context, after, last).await?;
    let filters = Filters { job: params.job, task: params.task, kind: params.kind };
    let Some(filter) = filters.read(&context, after, limit).await? else {
        return Ok(Json(Page::feed(Vec::new(), after.to_string())));
    };
    let events = context.store.read().events(&filter).await?;
    // Filtered events count as seen, so even an empty page moves the cursor on.
    let is_full = events.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
    let next = match events.last() {
        Some(event) if is_full => event.seq,
        Some(event) => event.seq.max(last),
        None => last,
    };
    Ok(Json(Page::feed(events, next.to_string())))
}

/// Reads a cursor, the `seq` of an event or 0. `name` is the parameter or header that has it.
pub(in crate::http) fn read_cursor(name: &str, text: Option<&str>) -> Result<Option<i64>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let cursor = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let bad = || Problem::new(Code::BadCursor, format!("{name}: must be the `seq` of an event, or 0."));
    cursor.map(Some).ok_or_else(bad)
}

/// Refuses a cursor before the oldest kept event or after the newest one. Zero is the beginning.
pub(in crate::http) async fn check_cursor(context: &Context, after: i64, last: i64) -> Result<(), Problem> {
    if after > last {
        return Err(Problem::new(Code::CursorAhead, format!("The `seq` of the newest event is {last}.")));
    }
    if after == 0 || after == last {
        return Ok(());
    }
    if after < context.store.read().events_removed_to().await? {
        return Err(Problem::new(
            Code::CursorGone,
            "Some events after this cursor have been removed. Start again at 0.",
        ));
    }
    Ok(())
}

/// The filters of a client, as it sent them.
pub(in crate::http) struct Filters {
    pub(in crate::http) job: Option<String>,
    pub(in crate::http) task: Option<String>,
    pub(in crate::http) kind: Option<String>,
}

impl Filters {
    /// Reads the filters. Returns none if the task does not exist.
    pub(in crate::http) async fn read(
        &self,
        context: &Context,
        after: i64,
        limit: i64,
    ) -> Result<Option<EventFilter>, Problem> {
        let job = query::id("job", self.job.as_deref())?;
        let kind = query::word("kind", self.kind.as_deref())?;
        let task = match &self.task {
            None => None,
            Some(id) => match context.store.read().find_task(id).await? {
                Some(task) => Some(task),
                None => return Ok(None),
            },
        };
        Ok(Some(EventFilter { after, job, task, kind, limit }))
    }
}
