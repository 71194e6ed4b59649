//! `scraper_url` and `scraper_url_public`: submits in upstream's form, each of which makes a job.
//!
//! Must never give an id before the job is on disk, and never obey a field that upstream does not know.

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::domain::event::EventKind;
use crate::domain::id::JobId;
use crate::domain::job::{Library, MAX_BODY, Quality};
use crate::domain::webhook::callback::JobCallback;
use crate::domain::webhook::format::Format;
use crate::domain::webhook::pattern::Pattern;
use crate::http::api::jobs;
use crate::http::api::jobs::json::{self, AskedJob, Rules};
use crate::http::context::Context;
use crate::http::drop_in::envelope::Envelope;
use crate::http::edge::auth::Caller;
use crate::http::edge::body;
use crate::http::edge::problem::{Code, Faults, Problem};
use crate::store::CreatedJob;

/// The fields of a submit. Upstream ignores all others.
const FIELDS: [&str; 7] =
    ["video_urls", "tiktok_post_urls", "unique_id", "folder_id", "quality", "callback_url", "callback"];
/// The fields that name a folder. The public library has none.
const FOLDERS: [&str; 2] = ["unique_id", "folder_id"];
/// The fields whose text may be sent as a number.
const TEXTS: [&str; 2] = ["unique_id", "quality"];

/// Body of a submit in the form of the memories.ai API. Other fields are ignored.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the reader of jobs reads the body; this is its description")]
pub(in crate::http) struct ScrapeRequest {
    /// URLs of posts on any platforms.
    #[schema(max_items = 10_000, example = json!(["https://www.youtube.com/watch?v=o9vgXOH4ET0"]))]
    video_urls: Option<Vec<String>>,
    /// Second list of post URLs. scrapehook treats both lists as one.
    #[schema(max_items = 10_000)]
    tiktok_post_urls: Option<Vec<String>>,
    /// Folder name in the account. Ignored for the public library.
    #[schema(max_length = 256)]
    unique_id: Option<String>,
    /// Folder number in the account, instead of `unique_id`. Ignored for the public library.
    folder_id: Option<i64>,
    /// Video resolution. Default: 360, and 720 for the public library.
    quality: Option<Quality>,
    /// URL that receives callbacks about the job. https only, and no private address.
    #[schema(max_length = 2048, format = "uri")]
    callback_url: Option<String>,
    /// Another name for `callback_url`.
    #[schema(max_length = 2048, format = "uri")]
    callback: Option<String>,
}

/// An accepted submit.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct SubmittedScrape {
    /// The id of the job.
    task_id: JobId,
}

/// Submits a job in the form of the memories.ai API.
///
/// Takes up to 10,000 URLs from any mix of platforms. The answer comes once the job is on disk, before anything is
/// sent.
#[utoipa::path(
    post,
    path = "/serve/api/v1/scraper_url",
    tag = "drop-in",
    params(("Idempotency-Key" = Option<String>, Header, description = "As for `POST /v1/jobs`.")),
    request_body(description = "The job.", content((ScrapeRequest = "application/json"))),
    responses((
        status = 200,
        description = "The id of the job, or a refusal with another `code` than `0000`.",
        body = Envelope<SubmittedScrape>,
    )),
)]
pub(in crate::http) async fn submit_scrape(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    submit(&context, caller, Library::Private, request).await
}

/// Submits a job for the public library in the form of the memories.ai API.
///
/// Its videos stay in the public library forever, for everybody.
#[utoipa::path(
    post,
    path = "/serve/api/v1/scraper_url_public",
    tag = "drop-in",
    params(("Idempotency-Key" = Option<String>, Header, description = "As for `POST /v1/jobs`.")),
    request_body(description = "The job.", content((ScrapeRequest = "application/json"))),
    responses((
        status = 200,
        description = "The id of the job, or a refusal with another `code` than `0000`.",
        body = Envelope<SubmittedScrape>,
    )),
)]
pub(in crate::http) async fn submit_public_scrape(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    submit(&context, caller, Library::Public, request).await
}

async fn submit(
    context: &Context,
    caller: Caller,
    library: Library,
    request: Request,
) -> Result<Response, Problem> {
    let key = jobs::idempotency_key(request.headers())?;
    let body = body::read_whole(request, MAX_BODY, context.limits.body_timeout).await?;
    let rules = Rules { most_urls: context.limits.urls_per_job, allowed: context.limits.targets };
    let length = body.len();
    let read = move || Ok(jobs::new_job(read(&body, library, rules)?, caller, key));
    let job = jobs::read_apart_if_long(length, read).await?;
    let (job, is_again) = match context.store.create_job(job).await? {
        CreatedJob::New(job) => (job, false),
        CreatedJob::Again(job) => (job, true),
        CreatedJob::OtherRequest => return Err(jobs::other_request()),
    };
    let mut response = Json(Envelope::success(SubmittedScrape { task_id: job.id })).into_response();
    if is_again {
        response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Reads a submit, whatever its content type is.
fn read(body: &[u8], library: Library, rules: Rules) -> Result<AskedJob, Problem> {
    let mut faults = Faults::default();
    let Value::Object(mut given) = body::parse_json(body)? else {
        return Err(Problem::new(Code::Invalid, "The request body must be a JSON object."));
    };
    for pointer in body::repeated(body, "") {
        if pointer.strip_prefix('/').is_some_and(|name| FIELDS.contains(&name)) {
            faults.push(pointer, "is given more than once");
        }
    }
    let mut fields = Map::new();
    let known = |name: &&str| library == Library::Private || !FOLDERS.contains(name);
    for name in FIELDS.into_iter().filter(known) {
        let value = match given.remove(name) {
            Some(Value::Number(number)) if TEXTS.contains(&name) => number.to_string().into(),
            // Clients send an empty text for a setting that they do not have.
            Some(Value::String(text)) if text.trim().is_empty() => continue,
            Some(value) => value,
            None => continue,
        };
        fields.insert(name.to_owned(), value);
    }
    fields.insert("library".to_owned(), library.as_str().into());
    let asked = json::read_fields(fields, faults, rules)?;
    Ok(AskedJob { callback: asked.callback.map(callback_of), ..asked })
}

/// The callback of a job that was submitted here: upstream's bodies, for the events that bring them.
fn callback_of(given: JobCallback) -> JobCallback {
    const EVENTS: [EventKind; 4] =
        [EventKind::JobCreated, EventKind::TaskDownloaded, EventKind::VideoIndexed, EventKind::JobSettled];
    JobCallback { events: EVENTS.map(Pattern::Kind).into(), format: Format::Upstream, ..given }
}
