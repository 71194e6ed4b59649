//! `/v1/tasks`: where a task stands, and the callbacks that arrived for it.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;

use super::Context;
use super::error::Problem;
use super::jobs::NoParams;
use super::query::{self, Page, Params};
use crate::domain::callback::Callback;
use crate::domain::id::TaskId;
use crate::domain::task::Task;
use crate::store::{CallbackPage, TaskFilter};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    state: Option<String>,
    job: Option<String>,
    platform: Option<String>,
    url: Option<String>,
    limit: Option<String>,
    after: Option<String>,
}

pub(super) async fn list_tasks(
    State(context): State<Context>,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<Task>>, Problem> {
    let limit = query::limit(params.limit.as_deref())?;
    let filter = TaskFilter {
        state: query::word("state", params.state.as_deref())?,
        job: query::word("job", params.job.as_deref())?,
        platform: params.platform,
        canonical: query::canonical(params.url.as_deref())?,
        before: query::place("tasks", params.after.as_deref())?,
        limit: limit + 1,
    };
    let tasks = context.store.tasks(&filter).await?;
    Ok(Json(Page::cut(tasks, limit, |task| query::cursor("tasks", task.id))))
}

/// The task with this id, ours or upstream's.
async fn find(context: &Context, id: &str) -> Result<TaskId, Problem> {
    context.store.find_task(id).await?.ok_or_else(|| Problem::not_found("task"))
}

pub(super) async fn get_task(
    State(context): State<Context>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Json<Task>, Problem> {
    let id = find(&context, &id).await?;
    context.store.task(id).await?.map(Json).ok_or_else(|| Problem::not_found("task"))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageParams {
    limit: Option<String>,
    after: Option<String>,
}

pub(super) async fn list_task_callbacks(
    State(context): State<Context>,
    Path(id): Path<String>,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<Callback>>, Problem> {
    let limit = query::limit(params.limit.as_deref())?;
    let before = query::place("callbacks", params.after.as_deref())?;
    let task = find(&context, &id).await?;
    let callbacks = context.store.callbacks(CallbackPage { task, before, limit: limit + 1 }).await?;
    Ok(Json(Page::cut(callbacks, limit, |callback| query::cursor("callbacks", callback.id))))
}
