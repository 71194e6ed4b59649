//! `/v1/jobs`: submitting, and where a job and its URLs stand.

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;

use super::Context;
use super::auth::Caller;
use super::body::{self, Unread};
use super::error::{Code, Problem};
use super::job_body;
use super::query::{self, Page, Params};
use crate::clock;
use crate::domain::id::{JobId, TaskId};
use crate::domain::job::Job;
use crate::domain::plan::plan;
use crate::domain::task::JobUrl;
use crate::store::{JobFilter, NewJob};
use crate::upstream::wire::MAX_URLS_PER_TASK;

/// Most bytes of a job's body.
const BODY: usize = 8 * 1024 * 1024;

pub(super) async fn submit_job(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, stream) = request.into_parts();
    if parts.uri.query().is_some_and(|query| !query.is_empty()) {
        return Err(Problem::new(Code::BadQuery, "This route has no query parameters."));
    }
    // To take it and not keep its promise could make somebody pay twice.
    if parts.headers.contains_key("idempotency-key") {
        return Err(Problem::new(
            Code::IdempotencyUnsupported,
            "Send the job without this header; it is not resent by itself.",
        ));
    }
    if !is_json(&parts.headers) {
        return Err(Problem::new(Code::UnsupportedMediaType, "Content-Type must be application/json."));
    }
    let body = body::read(&parts.headers, stream, BODY, context.limits.body_timeout).await.map_err(unread)?;
    let asked = job_body::read(&body, context.limits.urls_per_job)?;
    let at = clock::now();
    let id = JobId::new(at);
    let tasks = plan(asked.urls, MAX_URLS_PER_TASK).into_iter().map(|task| (TaskId::new(at), task));
    let job = NewJob { id, at, created_by: caller.name, options: asked.options, tasks: tasks.collect() };
    let planned = job.as_planned();
    context.store.create_job(job).await?;
    // It is taken, and an error now would invite a second one: as planned is as good as what is read.
    let job = context.store.job(id).await.ok().flatten().unwrap_or(planned);
    let location = [(header::LOCATION, format!("/v1/jobs/{id}"))];
    Ok((StatusCode::ACCEPTED, location, Json(job)).into_response())
}

fn unread(unread: Unread) -> Problem {
    match unread {
        Unread::TooLarge => Problem::new(Code::TooLarge, format!("At most {BODY} bytes are taken.")),
        Unread::Late => Problem::new(Code::Timeout, "The body did not arrive in time."),
        Unread::Cut => Problem::new(Code::BadRequest, "The body did not arrive whole."),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    state: Option<String>,
    label: Option<String>,
    limit: Option<String>,
    after: Option<String>,
}

pub(super) async fn list_jobs(
    State(context): State<Context>,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<Job>>, Problem> {
    let limit = query::limit(params.limit.as_deref())?;
    let label = params.label.as_deref().map(|label| {
        let (key, value) = label
            .split_once(':')
            .ok_or_else(|| Problem::new(Code::BadQuery, "label: `key:value` is expected"))?;
        Ok::<_, Problem>((key.to_owned(), value.to_owned()))
    });
    let filter = JobFilter {
        state: query::word("state", params.state.as_deref())?,
        label: label.transpose()?,
        before: query::place("jobs", params.after.as_deref())?,
        limit: limit + 1,
    };
    let jobs = context.store.jobs(&filter).await?;
    Ok(Json(Page::cut(jobs, limit, |job| query::cursor("jobs", job.id))))
}

fn parse_id(id: &str) -> Result<JobId, Problem> {
    id.parse().map_err(|_| Problem::not_found("job"))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoParams {}

pub(super) async fn get_job(
    State(context): State<Context>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Json<Job>, Problem> {
    let job = context.store.job(parse_id(&id)?).await?;
    job.map(Json).ok_or_else(|| Problem::not_found("job"))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UrlParams {
    state: Option<String>,
    limit: Option<String>,
    after: Option<String>,
}

pub(super) async fn list_job_urls(
    State(context): State<Context>,
    Path(id): Path<String>,
    Params(params): Params<UrlParams>,
) -> Result<Json<Page<JobUrl>>, Problem> {
    let job = parse_id(&id)?;
    let limit = query::limit(params.limit.as_deref())?;
    let state = query::word("state", params.state.as_deref())?;
    let from = query::place::<i64>("urls", params.after.as_deref())?.map_or(0, |last| last.saturating_add(1));
    let urls = context.store.job_urls(job, state, from, limit + 1).await?;
    if urls.is_empty() && context.store.job(job).await?.is_none() {
        return Err(Problem::not_found("job"));
    }
    let page = Page::cut(urls, limit, |(position, _)| query::cursor("urls", position));
    Ok(Json(page.map(|(_, url)| url)))
}
