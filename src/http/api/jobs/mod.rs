//! `/v1/jobs`: submits jobs, shows the state of a job and its URLs, and cancels jobs.

pub(in crate::http) mod callback;
pub(in crate::http) mod json;
pub(in crate::http) mod patch;
pub(in crate::http) mod retry;
pub(in crate::http) mod settings;
mod text;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::http::api::conflict;
use crate::http::api::jobs::json::{AskedJob, JobRequest, Rules};
use crate::http::context::Context;
use crate::http::edge::auth::Caller;
use crate::http::edge::body::{self, Kind, NoBody};
use crate::http::edge::problem::{Code, Problem};

use crate::blocking;
use crate::clock;
use crate::domain::id::JobId;
use crate::domain::idempotency;
use crate::domain::job::{Job, JobPlan, JobState, MAX_BODY, Quality};
use crate::domain::outcome::UrlState;
use crate::domain::plan::fold;
use crate::domain::task::JobUrl;
use crate::http::edge::query::{self, NoParams, Page, Params};
use crate::http::edge::wait;
use crate::store::{
    Awaited, CreatedJob, Decided, Decision, FoundJobs, IdempotencyKey, JobFilter, JobSearch, NewJob, Store,
};

/// Reading a longer body takes so long that other requests would wait for it.
const LONG: usize = 64 * 1024;

/// The most URLs that one page of a search looks through. SQLite needs about a fifth of a second for them.
const SEARCHED_URLS: i64 = 100_000;

/// Submits a job of up to 10,000 URLs, from any mix of platforms.
///
/// With `text/plain` (one URL per line) or `text/csv` (a column `url`), the other fields are query parameters. Labels
/// are `label=key:value`. Videos in the library `public` stay there forever, for everybody. The same request with the
/// same `Idempotency-Key` gives the same job again.
#[utoipa::path(
    post,
    path = "/v1/jobs",
    tag = "jobs",
    params((
        "Idempotency-Key" = Option<String>,
        Header,
        min_length = 1,
        max_length = 255,
        pattern = "^[!-~]([ -~]*[!-~])?$",
        description = "A text of your choice for this request: visible ASCII characters, and blanks between them. \
                       scrapehook keeps it forever. `abc` and `\"abc\"` are the same key.",
    )),
    request_body(
        description = "The job.",
        content((JobRequest = "application/json"), (String = "text/plain"), (String = "text/csv")),
    ),
    responses(
        (status = 200, description = "The plan of a dry run.", body = JobPlan),
        (
            status = 202,
            description = "The job. It is stored on disk.",
            body = Job,
            headers(
                ("Location" = String, description = "The path of the job."),
                ("Idempotent-Replayed" = Option<String>, description = "`true` if the job existed already."),
            ),
        ),
        (status = 408, description = "The request body arrived too late."),
        (status = 413, description = "The request body is larger than 8 MiB."),
        (status = 415, description = "The content type or charset is not supported, or the body is compressed."),
        (status = 422, description = "The request body is invalid, or the Idempotency-Key belongs to another request."),
    ),
)]
pub(in crate::http) async fn submit_job(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let key = idempotency_key(request.headers())?;
    let kind = Kind::of(request.headers()).ok_or_else(|| {
        let detail = "Content-Type must be application/json, text/plain (one URL per line) or text/csv.";
        Problem::new(Code::UnsupportedMediaType, detail)
    })?;
    let query = request.uri().query().unwrap_or_default().to_owned();
    if kind == Kind::Json && !query.is_empty() {
        return Err(Problem::new(
            Code::BadQuery,
            "With a JSON body, put the settings into its fields instead of the query.",
        ));
    }
    query::check_text(&query)?;
    // Checked before the body, which may be long.
    let most = context.limits.urls_per_job;
    let rules = Rules { most_urls: most, allowed: context.limits.targets };
    let settings = json::read_query(&query, rules)?;
    let body = body::read_whole(request, MAX_BODY, context.limits.body_timeout).await?;
    let length = body.len();
    let read = move || {
        let asked = match kind {
            Kind::Json => json::read(&body, rules)?,
            Kind::Lines => settings.with(text::read_lines(&body, most)?),
            Kind::Csv => settings.with(text::read_csv(&body, most)?),
        };
        Ok::<_, Problem>((asked.dry_run, new_job(asked, caller, key)))
    };
    let (is_dry, job) = read_apart_if_long(length, read).await?;
    take(&context, job, is_dry).await
}

/// Reads a body of this length, outside the threads of the runtime if it is long.
pub(in crate::http) async fn read_apart_if_long<T: Send + 'static>(
    length: usize,
    read: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    if length > LONG { blocking::run(read).await? } else { read() }
}

/// Prepares a valid job for the store.
pub(in crate::http) fn new_job(asked: AskedJob, caller: Caller, key: Option<String>) -> NewJob {
    let at = clock::now();
    let idempotency = key.map(|key| IdempotencyKey {
        caller: caller.name.clone().unwrap_or_default(),
        key,
        request: asked.fingerprint(),
    });
    NewJob {
        id: JobId::new(at),
        at,
        created_by: caller.name,
        options: asked.options,
        urls: fold(asked.urls),
        force: asked.force,
        callback: asked.callback,
        idempotency,
    }
}

/// Stores a job, or answers with its plan.
async fn take(context: &Context, job: NewJob, is_dry: bool) -> Result<Response, Problem> {
    if is_dry {
        return Ok(Json(context.store.read().plan_job(&job, context.pacing()).await?).into_response());
    }
    let (job, is_again) = match context.store.create_job(job).await? {
        CreatedJob::New(job) => (job, false),
        CreatedJob::Again(job) => (job, true),
        CreatedJob::OtherRequest => return Err(other_request()),
    };
    let location = [(header::LOCATION, format!("/v1/jobs/{}", job.id))];
    let job = estimated(context, job).await?;
    let mut response = (StatusCode::ACCEPTED, location, Json(job)).into_response();
    if is_again {
        response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// The refusal of a request whose `Idempotency-Key` belongs to another one.
pub(in crate::http) fn other_request() -> Problem {
    Problem::new(Code::IdempotencyMismatch, "Use a different Idempotency-Key for each job.")
}

pub(in crate::http) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut keys = headers.get_all("idempotency-key").iter();
    let Some(key) = keys.next() else { return Ok(None) };
    let bad = |detail| Problem::new(Code::BadIdempotencyKey, detail);
    if keys.next().is_some() {
        return Err(bad("The header Idempotency-Key was sent more than once.".to_owned()));
    }
    let key = idempotency::read(key.as_bytes()).map_err(|error| bad(format!("Idempotency-Key: {error}.")))?;
    Ok(Some(key))
}

query::list_params! {
    ListParams {
        /// Only items in this state.
        #[param(value_type = Option<JobState>)]
        state: Option<String>,
        /// Only items with this label, as `key:value`.
        #[param(value_type = Option<String>, pattern = "^[^:]+:")]
        label: Option<String>,
        /// Only items that ask for this quality.
        #[param(value_type = Option<Quality>)]
        quality: Option<String>,
        /// Searches for jobs. The id of a job, a task or a video, or any spelling of a URL, finds the jobs that it
        /// names. Other text finds the jobs with this text in a label (`key:value`), an id, the folder or a URL. A page
        /// can have fewer items than `limit` and still a `next`, because older jobs were not searched yet.
        #[param(
            value_type = Option<String>,
            min_length = 1,
            max_length = 2048,
            pattern = r"^[^\u0000]*[^\s\u0000][^\u0000]*$"
        )]
        q: Option<String>,
    }
}

/// Lists jobs, newest first.
#[utoipa::path(
    get,
    path = "/v1/jobs",
    tag = "jobs",
    params(ListParams),
    responses((status = 200, description = "A page of jobs.", body = Page<Job>)),
)]
pub(in crate::http) async fn list_jobs(
    State(context): State<Context>,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<Job>>, Problem> {
    let limit = query::limit(params.limit.as_deref())?;
    let label = params.label.as_deref().map(|label| {
        let (key, value) = label
            .split_once(':')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| Problem::new(Code::BadQuery, "label: must be `key:value`."))?;
        Ok::<_, Problem>((key.to_owned(), value.to_owned()))
    });
    let filter = JobFilter {
        state: query::word("state", params.state.as_deref())?,
        label: label.transpose()?,
        quality: query::word("quality", params.quality.as_deref())?,
        among: None,
        before: query::place("jobs", params.after.as_deref())?,
        limit: limit + 1,
    };
    let FoundJobs { mut jobs, searched_to } = match query::text("q", params.q.as_deref())? {
        Some(text) => {
            let search = JobSearch { text, most_urls: SEARCHED_URLS };
            context.store.read().search_jobs(&search, &filter).await?
        }
        None => FoundJobs { jobs: context.store.read().jobs(&filter).await?, searched_to: None },
    };
    context.store.read().estimate(&mut jobs, context.pacing()).await?;
    let cursor = |id| query::cursor("jobs", id);
    Ok(Json(Page::cut(jobs, limit, |job| cursor(job.id)).or_next(searched_to.map(cursor))))
}

/// The path of a route about one job.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it describes the parameter, which handlers read as text")]
pub(in crate::http) struct JobPath {
    /// The job's id.
    id: JobId,
}

/// A job with its place in the queue.
pub(in crate::http) async fn read_job(context: &Context, id: JobId) -> Result<Job, Problem> {
    let job = context.store.read().job(id).await?.ok_or_else(|| Problem::not_found("job"))?;
    estimated(context, job).await
}

/// Adds the place in the queue to a job.
async fn estimated(context: &Context, job: Job) -> Result<Job, Problem> {
    let mut jobs = [job];
    context.store.read().estimate(&mut jobs, context.pacing()).await?;
    let [job] = jobs;
    Ok(job)
}

pub(in crate::http) fn parse_id(id: &str) -> Result<JobId, Problem> {
    id.parse().map_err(|_| Problem::not_found("job"))
}

/// Shows one job with its tasks.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}",
    tag = "jobs",
    params(JobPath, WaitParams),
    responses((status = 200, description = "The job.", body = Job)),
)]
pub(in crate::http) async fn get_job(
    State(context): State<Context>,
    Path(id): Path<String>,
    Params(params): Params<WaitParams>,
) -> Result<Json<Job>, Problem> {
    let (id, wait) = (parse_id(&id)?, wait::duration(params.wait.as_deref())?);
    let read = move |store: Store| async move { store.read().job(id).await };
    let is_settled = |job: &Job| job.state != JobState::Running;
    let job = wait::until_settled(&context, Awaited::Job(id), wait, read, is_settled).await?;
    let job = job.ok_or_else(|| Problem::not_found("job"))?;
    estimated(&context, job).await.map(Json)
}

/// Cancels the URLs of a job that have not been sent.
#[utoipa::path(
    post,
    path = "/v1/jobs/{id}/cancel",
    tag = "jobs",
    params(JobPath),
    responses(
        (status = 200, description = "The job.", body = Job),
        (status = 409, description = "No URL of the job waits to be sent."),
    ),
)]
pub(in crate::http) async fn cancel_job(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
    _: NoBody,
) -> Result<Json<Job>, Problem> {
    let id = parse_id(&id)?;
    if context.store.read().job(id).await?.is_none() {
        return Err(Problem::not_found("job"));
    }
    let decided = context.store.decide(Decision::CancelJob(id), caller.name, clock::now()).await?;
    if let Decided::Impossible(conflict) = decided {
        return Err(conflict::problem(conflict, "URLs that were sent cannot be canceled."));
    }
    read_job(&context, id).await.map(Json)
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct WaitParams {
    /// How long to wait until the job or task has settled, such as `30s`. Default: `0s`. At most `120s`.
    #[param(value_type = Option<String>, example = "30s", pattern = "^([0-9]|[1-9][0-9]|1[01][0-9]|120)s$")]
    pub(in crate::http) wait: Option<String>,
}

query::list_params! {
    UrlParams {
        /// Only items in this state.
        #[param(value_type = Option<UrlState>)]
        state: Option<String>,
    }
}

/// Lists the URLs of a job in the order of its plan.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}/urls",
    tag = "jobs",
    params(JobPath, UrlParams),
    responses((status = 200, description = "A page of URLs.", body = Page<JobUrl>)),
)]
pub(in crate::http) async fn list_job_urls(
    State(context): State<Context>,
    Path(id): Path<String>,
    Params(params): Params<UrlParams>,
) -> Result<Json<Page<JobUrl>>, Problem> {
    let job = parse_id(&id)?;
    let limit = query::limit(params.limit.as_deref())?;
    let state = query::word("state", params.state.as_deref())?;
    // A cursor of another job's URLs is not valid here.
    let list = format!("urls {job}");
    let from = query::place::<i64>(&list, params.after.as_deref())?.map_or(0, |last| last.saturating_add(1));
    let urls = context.store.read().job_urls(job, state, from, limit + 1).await?;
    if urls.is_empty() && context.store.read().job(job).await?.is_none() {
        return Err(Problem::not_found("job"));
    }
    let page = Page::cut(urls, limit, |(position, _)| query::cursor(&list, position));
    Ok(Json(page.map(|(_, url)| url)))
}
