//! The HTTP routes of the fake upstream, which pass each request to the account and write the answer.
//!
//! Must never decide anything.

use std::future::pending;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, FromRequest, Query, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::upstream::wire::{POLL, SUBMIT_PRIVATE, SUBMIT_PUBLIC};

use super::account::Verdict;
use super::answers::{Refusal, envelope, infrastructure};
use super::delivery;
use super::listed::ListedVideo;
use super::order::Library;
use super::server::HangUp;
use super::shared::Shared;
use super::spoiled::Spoiled;
use super::task::Listing;

const LIST: &str = "/serve/api/v1/list_videos";

/// All routes of the fake upstream.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route(SUBMIT_PRIVATE, post(submit_private))
        .route(SUBMIT_PUBLIC, post(submit_public))
        .route(POLL, get(poll_task))
        .route(LIST, post(list_videos))
        .fallback(refuse_path)
        .method_not_allowed_fallback(refuse_method)
        .with_state(shared)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewTask {
    task_id: String,
}

#[derive(Serialize)]
struct List {
    videos: Vec<ListedVideo>,
}

#[derive(Serialize)]
struct OlderList {
    #[serde(rename = "taskId")]
    task_id: String,
    video_ids: Vec<String>,
}

#[derive(Default, Deserialize)]
struct PollQuery {
    #[serde(default)]
    task_id: String,
    unique_id: Option<String>,
}

#[derive(Deserialize)]
struct ListBody {
    video_nos: Vec<String>,
}

/// A request to a submit route.
#[derive(FromRequest)]
struct Submit {
    #[from_request(via(Extension))]
    hang_up: HangUp,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
}

async fn submit_private(State(shared): State<Arc<Shared>>, request: Submit) -> Response {
    submit(&shared, Library::Private, request).await
}

async fn submit_public(State(shared): State<Arc<Shared>>, request: Submit) -> Response {
    submit(&shared, Library::Public, request).await
}

async fn submit(shared: &Arc<Shared>, library: Library, request: Submit) -> Response {
    let Submit { hang_up, headers, uri, body } = request;
    let Verdict { outcome, delay, spoiled } =
        shared.change(|account| account.submit(library, key(&headers), &body, Instant::now()));
    let answer = match outcome {
        Ok(accepted) => {
            for parcel in accepted.parcels {
                delivery::dispatch(shared, parcel).await;
            }
            sleep(delay).await;
            if accepted.cut {
                hang_up.now();
                // The connection ends, and this request with it.
                return pending().await;
            }
            match accepted.refusal {
                Some(refusal) => shared.refuse(&refusal, &uri),
                None => shared.agree(NewTask { task_id: accepted.task_id }),
            }
        }
        Err(refusal) => {
            sleep(delay).await;
            shared.refuse(&refusal, &uri)
        }
    };
    deliver(answer, spoiled, &uri).await
}

async fn poll_task(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<PollQuery>, QueryRejection>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let Query(PollQuery { task_id, unique_id }) = query.unwrap_or_default();
    let verdict =
        shared.change(|account| account.poll(key(&headers), &task_id, unique_id.as_deref(), Instant::now()));
    sleep(verdict.delay).await;
    let answer = match verdict.outcome {
        Ok(Listing::Videos(videos)) => {
            if shared.inspect(|account| account.settings.faults.poll_without_urls) {
                let video_ids = videos.into_iter().filter_map(|video| video.video_no).collect();
                shared.agree(OlderList { task_id, video_ids })
            } else {
                shared.agree(List { videos })
            }
        }
        Ok(Listing::NullVideos) => shared.agree(json!({ "videos": null })),
        Ok(Listing::NoVideos) => shared.agree(json!({})),
        Ok(Listing::NullData) => shared.agree(Value::Null),
        Err(refusal) => shared.refuse(&refusal, &uri),
    };
    deliver(answer, verdict.spoiled, &uri).await
}

async fn list_videos(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
) -> Response {
    let ids = serde_json::from_slice(&body).ok().map(|body: ListBody| body.video_nos);
    let verdict = shared.change(|account| account.list(key(&headers), ids.as_deref(), Instant::now()));
    sleep(verdict.delay).await;
    let answer = match verdict.outcome {
        Ok(videos) => shared.agree(List { videos }),
        Err(refusal) => shared.refuse(&refusal, &uri),
    };
    deliver(answer, verdict.spoiled, &uri).await
}

async fn deliver(answer: Response, spoiled: Option<Spoiled>, uri: &Uri) -> Response {
    match spoiled {
        Some(spoiled) => spoiled.in_place_of(answer, uri).await,
        None => answer,
    }
}

async fn refuse_path(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    shared.infrastructure(StatusCode::NOT_FOUND, &uri)
}

async fn refuse_method(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    shared.infrastructure(StatusCode::METHOD_NOT_ALLOWED, &uri)
}

fn key(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()
}

impl Shared {
    fn agree(&self, data: impl Serialize) -> Response {
        let integer_codes = self.inspect(|account| account.settings.faults.integer_codes);
        envelope("0000", "success", Some(data), integer_codes)
    }

    fn refuse(&self, refusal: &Refusal, uri: &Uri) -> Response {
        match refusal {
            Refusal::Application { code, msg } => {
                let integer_codes = self.inspect(|account| account.settings.faults.integer_codes);
                envelope(code, msg, None::<()>, integer_codes)
            }
            Refusal::Unavailable => self.infrastructure(StatusCode::SERVICE_UNAVAILABLE, uri),
        }
    }

    fn infrastructure(&self, status: StatusCode, uri: &Uri) -> Response {
        let request = self.change(|account| {
            account.infrastructure_errors += 1;
            account.infrastructure_errors
        });
        infrastructure(status, uri.path(), request)
    }
}
