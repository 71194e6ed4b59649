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
mod openapi;
mod peer;
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
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::SwaggerUi;

pub use auth::Keys;
pub use jobs::BODY as JOB_BODY;
pub use listener::{Limits as ConnectionLimits, serve};
pub use status::Surroundings;

use self::error::{Code, Problem};
use crate::config::{Config, Live, Networks, WithoutToken};
use crate::domain::token::TokenKeys;
use crate::store::Store;

/// What handlers work with; clones share it.
#[derive(Clone, Debug)]
struct Context {
    store: Store,
    tokens: Arc<Live<TokenKeys>>,
    keys: Arc<Live<Keys>>,
    proof: Arc<health::Proof>,
    without_token: WithoutToken,
    /// What waits or streams ends with it.
    stop: CancellationToken,
    surroundings: Surroundings,
    /// The description of the API.
    document: Arc<str>,
    limits: Limits,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    callback_body: usize,
    body_timeout: Duration,
    urls_per_job: usize,
}

/// What a caller has to show; replaced while the service runs.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// API keys.
    pub keys: Arc<Live<Keys>>,
    /// What makes and checks callback tokens.
    pub tokens: Arc<Live<TokenKeys>>,
}

/// The routes of each listener.
#[derive(Debug)]
pub struct Routes {
    /// For `server.listen`.
    pub main: Router,
    /// For `callback.listen`; none where it is not set.
    pub callbacks: Option<Router>,
}

/// Every route of the service.
pub fn routes(
    config: &Config,
    store: Store,
    Credentials { keys, tokens }: Credentials,
    surroundings: Surroundings,
    stop: CancellationToken,
) -> Routes {
    let context = Context {
        store,
        tokens,
        keys,
        proof: Arc::default(),
        without_token: config.callback.without_token,
        stop,
        surroundings,
        document: "".into(),
        limits: Limits {
            callback_body: config.callback.max_body,
            body_timeout: config.server.body_timeout,
            urls_per_job: config.dispatch.max_urls_per_job,
        },
    };
    let (router, document) = OpenApiRouter::with_openapi(openapi::Described::openapi())
        .routes(routes!(jobs::submit_job, jobs::list_jobs))
        .routes(routes!(jobs::get_job))
        .routes(routes!(jobs::list_job_urls))
        .routes(routes!(jobs::cancel_job))
        .routes(routes!(tasks::list_tasks))
        .routes(routes!(tasks::get_task))
        .routes(routes!(tasks::list_task_callbacks))
        .routes(routes!(tasks::retry_task))
        .routes(routes!(tasks::adopt_task))
        .routes(routes!(tasks::refresh_task))
        .routes(routes!(tasks::cancel_task))
        .routes(routes!(sending::pause_sending))
        .routes(routes!(sending::resume_sending))
        .routes(routes!(videos::list_videos))
        .routes(routes!(videos::get_video))
        .routes(routes!(events::list_events))
        .routes(routes!(stream::stream_events))
        .routes(routes!(status::get_status))
        .routes(routes!(health::list_quarantine))
        .routes(routes!(health::get_health))
        .routes(routes!(health::get_readiness))
        .split_for_parts();
    let document = openapi::complete(document).to_pretty_json().unwrap_or_default().into();
    let context = Context { document, ..context };
    let callbacks = Router::new()
        // A token is whatever follows: a hint may have any path.
        .route("/callback", post(callback::receive_hint))
        .route("/callback/", post(callback::receive_hint))
        .route("/callback/{*token}", post(callback::receive_callback));
    let main = router
        .route("/openapi.json", get(openapi::get_document))
        .merge(SwaggerUi::new("/docs").config(utoipa_swagger_ui::Config::from("/openapi.json")))
        .layer(middleware::from_fn_with_state(context.clone(), auth::check_key));
    let proxies = Arc::new(config.server.trusted_proxies.clone());
    let complete = |router: Router<Context>| {
        router
            .layer(CatchPanicLayer::custom(answer_panic))
            .layer(middleware::from_fn_with_state(proxies.clone(), finish))
            .with_state(context.clone())
    };
    if config.callback.listen.is_some() {
        Routes { main: complete(main), callbacks: Some(complete(callbacks)) }
    } else {
        Routes { main: complete(main.merge(callbacks)), callbacks: None }
    }
}

fn answer_panic(_: Box<dyn std::any::Any + Send>) -> Response {
    Problem::new(Code::Internal, "This is a fault of ours; the log has more.").into_response()
}

/// Gives every answer a request id and every error its body, and writes the log line.
async fn finish(State(proxies): State<Arc<Networks>>, request: Request, next: Next) -> Response {
    let request_id = uuid::Uuid::now_v7().simple().to_string();
    let client = peer::client(&request, &proxies);
    let method = request.method().clone();
    // The route, not the path: a path can hold a token.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let start = Instant::now();
    // What goes wrong on the way is logged under the same id.
    let span = tracing::info_span!("request", request_id);
    let response = next.run(request).instrument(span).await;
    let is_ours = error::is_ours(&response);
    let mut response = error::render(response, &request_id);
    let route = route.as_ref().map_or("-", MatchedPath::as_str);
    let status = response.status().as_u16();
    let millis = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    if is_ours {
        tracing::warn!(request_id, client, %method, route, status, millis, "answered");
    } else {
        tracing::debug!(request_id, client, %method, route, status, millis, "answered");
    }
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
    }
    response
}
