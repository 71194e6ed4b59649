//! HTTP: the route table, and what every request passes through.
//!
//! Must never know SQL or ask upstream: handlers read from and write to the store.

mod auth;
mod body;
mod callback;
mod error;
mod events;
mod health;
mod job_body;
mod job_lines;
mod jobs;
mod listener;
mod query;
mod sending;
mod status;
mod stream;
mod tasks;
mod videos;
mod wait;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

pub use listener::{Limits as ConnectionLimits, serve};
pub use status::Surroundings;

use self::error::{Code, Problem};
use crate::config::{Config, WithoutToken};
use crate::domain::token::TokenKeys;
use crate::store::Store;

/// What handlers work with; clones share it.
#[derive(Clone, Debug)]
struct Context {
    store: Store,
    tokens: Arc<TokenKeys>,
    keys: Arc<auth::Keys>,
    proof: Arc<health::Proof>,
    without_token: WithoutToken,
    /// What waits or streams ends with it.
    stop: CancellationToken,
    surroundings: Surroundings,
    limits: Limits,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    callback_body: usize,
    body_timeout: Duration,
    urls_per_job: usize,
}

/// Every route of the service.
pub fn routes(
    config: &Config,
    store: Store,
    tokens: Arc<TokenKeys>,
    surroundings: Surroundings,
    stop: CancellationToken,
) -> Router {
    let context = Context {
        store,
        tokens,
        keys: Arc::new(auth::Keys::new(&config.auth.api_keys)),
        proof: Arc::default(),
        without_token: config.callback.without_token,
        stop,
        surroundings,
        limits: Limits {
            callback_body: config.callback.max_body,
            body_timeout: config.server.body_timeout,
            urls_per_job: config.dispatch.max_urls_per_job,
        },
    };
    Router::new()
        .route("/callback", post(callback::receive_callback))
        .route("/callback/", post(callback::receive_callback))
        .route("/callback/{*token}", post(callback::receive_callback))
        .route("/v1/jobs", post(jobs::submit_job).get(jobs::list_jobs))
        .route("/v1/jobs/{id}", get(jobs::get_job))
        .route("/v1/jobs/{id}/urls", get(jobs::list_job_urls))
        .route("/v1/jobs/{id}/cancel", post(jobs::cancel_job))
        .route("/v1/tasks", get(tasks::list_tasks))
        .route("/v1/tasks/{id}", get(tasks::get_task))
        .route("/v1/tasks/{id}/callbacks", get(tasks::list_task_callbacks))
        .route("/v1/tasks/{id}/retry", post(tasks::retry_task))
        .route("/v1/tasks/{id}/adopt", post(tasks::adopt_task))
        .route("/v1/tasks/{id}/refresh", post(tasks::refresh_task))
        .route("/v1/tasks/{id}/cancel", post(tasks::cancel_task))
        .route("/v1/pause", post(sending::pause_sending))
        .route("/v1/resume", post(sending::resume_sending))
        .route("/v1/videos", get(videos::list_videos))
        .route("/v1/videos/{video_id}", get(videos::get_video))
        .route("/v1/events", get(events::list_events))
        .route("/v1/events/stream", get(stream::stream_events))
        .route("/v1/status", get(status::get_status))
        .route("/v1/quarantine", get(health::list_quarantine))
        .route("/healthz", get(health::get_health))
        .route("/readyz", get(health::get_readiness))
        .layer(middleware::from_fn_with_state(context.clone(), auth::check_key))
        .layer(CatchPanicLayer::custom(answer_panic))
        .layer(middleware::from_fn(finish))
        .with_state(context)
}

fn answer_panic(_: Box<dyn std::any::Any + Send>) -> Response {
    Problem::new(Code::Internal, "This is a fault of ours; the log has more.").into_response()
}

/// Gives every answer a request id and every error its body, and writes the log line.
async fn finish(request: Request, next: Next) -> Response {
    let request_id = uuid::Uuid::now_v7().simple().to_string();
    let method = request.method().clone();
    // The route, not the path: a path can hold a token.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let start = Instant::now();
    let response = next.run(request).await;
    let is_ours = error::is_ours(&response);
    let mut response = error::render(response, &request_id);
    let route = route.as_ref().map_or("-", MatchedPath::as_str);
    let status = response.status().as_u16();
    let millis = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    if is_ours {
        tracing::warn!(request_id, %method, route, status, millis, "answered");
    } else {
        tracing::debug!(request_id, %method, route, status, millis, "answered");
    }
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
    }
    response
}
