//! `/v1/tasks`: where a task stands, the callbacks that arrived for it, and what an operator decides about it.

use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::Value;

use super::Context;
use super::auth::Caller;
use super::body;
use super::error::{Code, Fault, Problem};
use super::jobs::WaitParams;
use super::query::{self, NoParams, Page, Params};
use super::wait;
use crate::clock;
use crate::domain::callback::Callback;
use crate::domain::id::TaskId;
use crate::domain::task::Task;
use crate::store::{Awaited, CallbackPage, Decision, Store, TaskFilter};

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
    Params(params): Params<WaitParams>,
) -> Result<Json<Task>, Problem> {
    let (id, wait) = (find(&context, &id).await?, wait::duration(params.wait.as_deref())?);
    let read = move |store: Store| async move { store.task(id).await };
    let is_settled = |task: &Task| task.state.is_settled();
    let task = wait::until_settled(&context, Awaited::Task(id), wait, read, is_settled).await?;
    task.map(Json).ok_or_else(|| Problem::not_found("task"))
}

/// The task as it is now that something was decided.
async fn show(context: &Context, id: TaskId) -> Result<Json<Task>, Problem> {
    context.store.task(id).await?.map(Json).ok_or_else(|| Problem::not_found("task"))
}

pub(super) async fn cancel_task(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Json<Task>, Problem> {
    let id = find(&context, &id).await?;
    if !context.store.decide(Decision::Cancel(id), caller.name, clock::now()).await? {
        let detail = "Only a task that was not sent can be canceled, and an unconfirmed one be given up.";
        return Err(Problem::new(Code::WrongState, detail));
    }
    show(&context, id).await
}

pub(super) async fn refresh_task(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Json<Task>, Problem> {
    let id = find(&context, &id).await?;
    if !context.store.decide(Decision::Refresh(id), caller.name, clock::now()).await? {
        return Err(Problem::new(Code::WrongState, "Its taskId is not known, so upstream can't be asked."));
    }
    show(&context, id).await
}

pub(super) async fn adopt_task(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
    request: Request,
) -> Result<Json<Task>, Problem> {
    let id = find(&context, &id).await?;
    let body = body::read_json(request, ADOPT_BODY, context.limits.body_timeout).await?;
    let upstream_id = adopt_body(&body)?;
    let adopt = Decision::Adopt(id, upstream_id);
    if !context.store.decide(adopt, caller.name, clock::now()).await? {
        let detail = "Only an unconfirmed task can be given a taskId, and only one that no other task holds.";
        return Err(Problem::new(Code::WrongState, detail));
    }
    show(&context, id).await
}

/// Most bytes of what `adopt` takes, and most characters of a `taskId`.
const ADOPT_BODY: usize = 4_096;
const ID_CHARS: usize = 256;

fn adopt_body(body: &[u8]) -> Result<String, Problem> {
    let body: Value =
        serde_json::from_slice(body).map_err(|error| Problem::new(Code::BadJson, format!("{error}.")))?;
    let fault =
        |pointer: &str, detail: &str| Fault { pointer: pointer.to_owned(), detail: detail.to_owned() };
    let Value::Object(fields) = body else {
        return Err(Problem::faults(vec![fault("", "an object is expected")]));
    };
    let mut faults: Vec<Fault> = fields
        .keys()
        .filter(|name| *name != "upstream_id")
        .map(|name| fault(&format!("/{}", name.replace('~', "~0").replace('/', "~1")), "unknown field"))
        .collect();
    let id = fields.get("upstream_id").and_then(Value::as_str).map(str::trim).unwrap_or_default();
    if id.is_empty() || id.chars().count() > ID_CHARS || id.contains(char::is_control) {
        faults
            .push(fault("/upstream_id", "upstream's taskId is expected, a string of at most 256 characters"));
    }
    if faults.is_empty() { Ok(id.to_owned()) } else { Err(Problem::faults(faults)) }
}

pub(super) async fn retry_task(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Response, Problem> {
    let id = find(&context, &id).await?;
    let now = clock::now();
    let new = TaskId::new(now);
    if !context.store.decide(Decision::Retry { task: id, new }, caller.name, now).await? {
        let detail = "A task can be sent again once, when it has ended or is unconfirmed, if it has a URL that is not \
                      indexed and that no other task carries by now.";
        return Err(Problem::new(Code::WrongState, detail));
    }
    let location = [(header::LOCATION, format!("/v1/tasks/{new}"))];
    Ok((StatusCode::ACCEPTED, location, show(&context, new).await?).into_response())
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
