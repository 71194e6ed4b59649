//! `/v1/tasks`: the state of a task, its callbacks, and the decisions of an operator about it.

use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::blocking;
use crate::clock;
use crate::domain::callback::Callback;
use crate::domain::id::{JobId, TaskId};
use crate::domain::nearest::unknown;
use crate::domain::task::{Task, TaskState};
use crate::http::api::conflict;
use crate::http::api::jobs::WaitParams;
use crate::http::context::Context;
use crate::http::edge::auth::Caller;
use crate::http::edge::body::{self, NoBody, escape};
use crate::http::edge::problem::{Faults, Problem};
use crate::http::edge::query::{self, NoParams, Page, PageParams, Params};
use crate::http::edge::wait;
use crate::store::{Awaited, CallbackPage, Decided, Decision, Store, TaskFilter};

query::list_params! {
    ListParams {
        /// Only items in this state.
        #[param(value_type = Option<TaskState>)]
        state: Option<String>,
        /// Only items of this job.
        #[param(value_type = Option<JobId>)]
        job: Option<String>,
        /// Only items of this platform: its name, such as `tiktok`, `youtube`, `instagram` or `x`, or else its host.
        #[param(value_type = Option<String>)]
        platform: Option<String>,
        /// Only items of this post, by any spelling of its URL.
        #[param(value_type = Option<String>, max_length = 2048)]
        url: Option<String>,
    }
}

/// Lists tasks, newest first.
#[utoipa::path(
    get,
    path = "/v1/tasks",
    tag = "tasks",
    params(ListParams),
    responses((status = 200, description = "A page of tasks.", body = Page<Task>)),
)]
pub(in crate::http) async fn list_tasks(
    State(context): State<Context>,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<Task>>, Problem> {
    let limit = query::limit(params.limit.as_deref())?;
    let filter = TaskFilter {
        state: query::word("state", params.state.as_deref())?,
        job: query::id("job", params.job.as_deref())?,
        platform: params.platform,
        canonical: query::canonical(params.url.as_deref())?,
        before: query::place("tasks", params.after.as_deref())?,
        limit: limit + 1,
    };
    let tasks = context.store.read().tasks(&filter).await?;
    Ok(Json(Page::cut(tasks, limit, |task| query::cursor("tasks", task.id))))
}

/// Finds a task by its id or its `taskId`.
async fn find(context: &Context, id: &str) -> Result<TaskId, Problem> {
    context.store.read().find_task(id).await?.ok_or_else(|| Problem::not_found("task"))
}

/// Shows one task with its URLs and videos.
#[utoipa::path(
    get,
    path = "/v1/tasks/{id}",
    tag = "tasks",
    params(TaskPath, WaitParams),
    responses((status = 200, description = "The task.", body = Task)),
)]
pub(in crate::http) async fn get_task(
    State(context): State<Context>,
    Path(id): Path<String>,
    Params(params): Params<WaitParams>,
) -> Result<Json<Task>, Problem> {
    let (id, wait) = (find(&context, &id).await?, wait::duration(params.wait.as_deref())?);
    let read = move |store: Store| async move { store.read().task(id).await };
    let is_settled = |task: &Task| task.state.is_settled();
    let task = wait::until_settled(&context, Awaited::Task(id), wait, read, is_settled).await?;
    task.map(Json).ok_or_else(|| Problem::not_found("task"))
}

/// The task after a decision.
async fn show(context: &Context, id: TaskId) -> Result<Json<Task>, Problem> {
    context.store.read().task(id).await?.map(Json).ok_or_else(|| Problem::not_found("task"))
}

/// Has the store carry out a decision. `rule` tells the client which tasks the decision is for.
async fn decide(context: &Context, decision: Decision, caller: Caller, rule: &str) -> Result<(), Problem> {
    match context.store.decide(decision, caller.name, clock::now()).await? {
        Decided::Done => Ok(()),
        Decided::Impossible(conflict) => Err(conflict::problem(conflict, rule)),
    }
}

/// The path of a route about one task.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it describes the parameter, which handlers read as text")]
pub(in crate::http) struct TaskPath {
    /// The task's id or its `taskId`.
    id: String,
}

/// Cancels a task that was not sent, or gives up an unconfirmed one.
///
/// This ends the task for every job that it serves. `jobs_total` counts them. To end it for one job only, cancel that
/// job. The URLs of a task that is given up fail with `unconfirmed`, and a new job sends them again.
#[utoipa::path(
    post,
    path = "/v1/tasks/{id}/cancel",
    tag = "tasks",
    params(TaskPath),
    responses(
        (status = 200, description = "The task.", body = Task),
        (status = 409, description = "The task was sent or has ended."),
    ),
)]
pub(in crate::http) async fn cancel_task(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
    _: NoBody,
) -> Result<Json<Task>, Problem> {
    let id = find(&context, &id).await?;
    let rule = "Only a task that was not sent, or is unconfirmed, can be canceled. To cancel the waiting URLs of \
                one job, cancel the job.";
    decide(&context, Decision::Cancel(id), caller, rule).await?;
    show(&context, id).await
}

/// Polls a task now.
#[utoipa::path(
    post,
    path = "/v1/tasks/{id}/refresh",
    tag = "tasks",
    params(TaskPath),
    responses(
        (status = 200, description = "The task.", body = Task),
        (status = 409, description = "The `taskId` of the task is unknown."),
    ),
)]
pub(in crate::http) async fn refresh_task(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
    _: NoBody,
) -> Result<Json<Task>, Problem> {
    let id = find(&context, &id).await?;
    let rule = "scrapehook can't poll it. If your memories.ai account shows the taskId, adopt it.";
    decide(&context, Decision::Refresh(id), caller, rule).await?;
    show(&context, id).await
}

/// Gives a task whose submit was not answered the `taskId` from your memories.ai account.
#[utoipa::path(
    post,
    path = "/v1/tasks/{id}/adopt",
    tag = "tasks",
    params(TaskPath),
    request_body = AdoptRequest,
    responses(
        (status = 200, description = "The task.", body = Task),
        (status = 408, description = "The request body arrived too late."),
        (
            status = 409,
            description = "The submit of the task was answered, or there is better evidence for the `taskId` that it \
                has, or another task holds the new `taskId`. `detail` names that task.",
        ),
        (status = 413, description = "The request body is too large."),
        (status = 415, description = "The request body is not JSON, is compressed, or is not in UTF-8."),
        (status = 422, description = "The request body is invalid."),
    ),
)]
pub(in crate::http) async fn adopt_task(
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
    let rule = "Only a task whose submit was not answered can adopt a taskId, and only if it has none or a guessed \
                one.";
    decide(&context, adopt, caller, rule).await?;
    show(&context, id).await
}

/// Body of `adopt`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the body is read field by field, to name every fault; this is its description")]
pub(in crate::http) struct AdoptRequest {
    /// The `taskId` in the memories.ai account.
    #[schema(min_length = 1, max_length = 256, example = "31b0fccb-d6f9-4135-922d-1e8828499812")]
    upstream_id: String,
}

/// The most bytes of the body of `adopt`, and the most characters of a `taskId`.
const ADOPT_BODY: usize = 4_096;
const ID_CHARS: usize = 256;

fn adopt_body(bytes: &[u8]) -> Result<String, Problem> {
    let body = body::parse_json(bytes)?;
    let mut faults = Faults::default();
    let Value::Object(fields) = body else {
        faults.push("", "must be an object");
        return Err(Problem::faults(faults));
    };
    for name in fields.keys().filter(|name| *name != "upstream_id") {
        faults.push(format_args!("/{}", escape(name)), unknown("unknown field", name, ["upstream_id"]));
    }
    body::repeated(bytes, "").iter().for_each(|pointer| faults.push(pointer, "is given more than once"));
    let id = fields.get("upstream_id").and_then(Value::as_str).map(str::trim).unwrap_or_default();
    if id.is_empty() || id.chars().count() > ID_CHARS || id.contains(char::is_control) {
        faults.push(
            "/upstream_id",
            format_args!("must be a taskId of memories.ai, a string of at most {ID_CHARS} characters"),
        );
    }
    if faults.is_empty() { Ok(id.to_owned()) } else { Err(Problem::faults(faults)) }
}

/// Makes a new task for the URLs of this one that are not indexed.
///
/// The new task is sent and charged. Retry an `unconfirmed` task only if the memories.ai API did not take it, or if it
/// may be paid for again.
#[utoipa::path(
    post,
    path = "/v1/tasks/{id}/retry",
    tag = "tasks",
    params(TaskPath),
    responses(
        (
            status = 200,
            description = "No new task was needed, because other tasks have all of its URLs by now.",
            body = Task,
        ),
        (
            status = 202,
            description = "The new task.",
            body = Task,
            headers(("Location" = String, description = "The path of the new task.")),
        ),
        (status = 409, description = "The task has no URL to send again."),
    ),
)]
pub(in crate::http) async fn retry_task(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
    _: NoBody,
) -> Result<Response, Problem> {
    let id = find(&context, &id).await?;
    let new = TaskId::new(clock::now());
    let rule = "A task can be retried if it has ended or is unconfirmed, and a job waits for one of its URLs that is \
                not indexed. To try the failed URLs of a job again, retry the job.";
    decide(&context, Decision::Retry { task: id, new }, caller, rule).await?;
    if context.store.read().task(new).await?.is_none() {
        // Other tasks have all of the URLs, so there is no new task.
        return Ok(show(&context, id).await?.into_response());
    }
    let location = [(header::LOCATION, format!("/v1/tasks/{new}"))];
    Ok((StatusCode::ACCEPTED, location, show(&context, new).await?).into_response())
}

/// Lists the callbacks that arrived for a task, newest first.
#[utoipa::path(
    get,
    path = "/v1/tasks/{id}/callbacks",
    tag = "tasks",
    params(TaskPath, PageParams),
    responses((status = 200, description = "A page of callbacks.", body = Page<Callback>)),
)]
pub(in crate::http) async fn list_task_callbacks(
    State(context): State<Context>,
    Path(id): Path<String>,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<Callback>>, Problem> {
    let limit = query::limit(params.limit.as_deref())?;
    let task = find(&context, &id).await?;
    // A cursor of another task's callbacks is not valid here.
    let list = format!("callbacks {task}");
    let before = query::place(&list, params.after.as_deref())?;
    let mut callbacks =
        context.store.read().callbacks(CallbackPage { task, before, limit: limit + 1 }).await?;
    let tokens = context.tokens.get();
    let callbacks = blocking::run(move || {
        for body in callbacks.iter_mut().filter_map(|callback| callback.body.as_mut()) {
            tokens.mask(body);
        }
        callbacks
    })
    .await?;
    Ok(Json(Page::cut(callbacks, limit, |callback| query::cursor(&list, callback.id))))
}
