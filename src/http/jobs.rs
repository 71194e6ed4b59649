//! `/v1/jobs`: submitting, and where a job and its URLs stand.

use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;

use super::Context;
use super::auth::Caller;
use super::body;
use super::error::{Code, Problem};
use super::job_body;
use super::query::{self, Page, Params};
use super::wait;
use crate::clock;
use crate::domain::id::JobId;
use crate::domain::job::{Job, JobState};
use crate::domain::plan::fold;
use crate::domain::task::JobUrl;
use crate::store::{Awaited, JobFilter, NewJob, Store};

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
    let request = Request::from_parts(parts, stream);
    let body = body::read_json(request, BODY, context.limits.body_timeout).await?;
    let asked = job_body::read(&body, context.limits.urls_per_job)?;
    let at = clock::now();
    let id = JobId::new(at);
    let job = NewJob {
        id,
        at,
        created_by: caller.name,
        options: asked.options,
        urls: fold(asked.urls),
        force: asked.force,
    };
    let job = context.store.create_job(job).await?;
    let location = [(header::LOCATION, format!("/v1/jobs/{id}"))];
    Ok((StatusCode::ACCEPTED, location, Json(job)).into_response())
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

pub(super) async fn get_job(
    State(context): State<Context>,
    Path(id): Path<String>,
    Params(params): Params<WaitParams>,
) -> Result<Json<Job>, Problem> {
    let (id, wait) = (parse_id(&id)?, wait::duration(params.wait.as_deref())?);
    let read = move |store: Store| async move { store.job(id).await };
    let is_settled = |job: &Job| job.state != JobState::Running;
    let job = wait::until_settled(&context, Awaited::Job(id), wait, read, is_settled).await?;
    job.map(Json).ok_or_else(|| Problem::not_found("job"))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitParams {
    pub(super) wait: Option<String>,
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
