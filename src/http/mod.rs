//! HTTP: the route table, and the layers that every request passes through.
//!
//! Must never know SQL or ask upstream. Handlers read from the store and write to it.

mod auth;
mod body;
mod callback;
mod callback_path;
mod docs_page;
mod error;
mod events;
mod health;
mod hint_limit;
mod job_body;
mod job_lines;
mod job_patch;
mod job_retry;
mod jobs;
mod lingering;
mod listener;
mod metrics;
mod openapi;
mod peer;
mod query;
mod queue;
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
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use auth::Keys;
pub use jobs::BODY as JOB_BODY;
pub use listener::{Limits as ConnectionLimits, serve};
pub use status::Monitored;

use self::error::{Code, Problem};
use crate::clock;
use crate::config::{Config, Live, Networks, WithoutToken};
use crate::domain::token::TokenKeys;
use crate::store::{Pacing, Store};
use crate::telemetry::{Metrics, Traces};

/// The state of all handlers. Clones share it.
#[derive(Clone, Debug)]
struct Context {
    store: Store,
    tokens: Arc<Live<TokenKeys>>,
    keys: Arc<Live<Keys>>,
    metrics: Arc<Metrics>,
    traces: Traces,
    proof: Arc<health::Proof>,
    hint_limit: Arc<hint_limit::HintLimit>,
    without_token: WithoutToken,
    /// Ends waiting requests and streams.
    stop: CancellationToken,
    monitored: Monitored,
    /// The description of the API.
    document: Arc<str>,
    limits: Limits,
}

impl Context {
    /// The present input of estimates.
    fn pacing(&self) -> Pacing {
        let least = self.monitored.budget.interval();
        Pacing { now: clock::now(), least, urls_per_day: self.limits.urls_per_day }
    }
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    callback_body: usize,
    body_timeout: Duration,
    urls_per_job: usize,
    urls_per_day: Option<u64>,
}

/// The secrets that callers must have. They can be replaced while the service runs.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// API keys.
    pub keys: Arc<Live<Keys>>,
    /// The keys that make and check callback tokens.
    pub tokens: Arc<Live<TokenKeys>>,
}

/// The routes of each listener.
#[derive(Debug)]
pub struct Routes {
    /// For `server.listen`.
    pub main: Router,
    /// For `callback.listen`, if it is set.
    pub callbacks: Option<Router>,
    /// For `metrics.listen`, if it is set.
    pub metrics: Option<Router>,
}

/// All routes of the service.
pub fn routes(
    config: &Config,
    store: Store,
    Credentials { keys, tokens }: Credentials,
    monitored: Monitored,
    metrics: Arc<Metrics>,
    traces: Traces,
    stop: CancellationToken,
) -> Routes {
    let context = Context {
        store,
        tokens,
        keys,
        metrics: metrics.clone(),
        traces,
        proof: Arc::default(),
        hint_limit: Arc::new(hint_limit::HintLimit::new(Instant::now())),
        without_token: config.callback.without_token,
        stop,
        monitored,
        document: "".into(),
        limits: Limits {
            callback_body: config.callback.max_body,
            body_timeout: config.server.body_timeout,
            urls_per_job: config.dispatch.max_urls_per_job,
            urls_per_day: config.dispatch.max_urls_per_day,
        },
    };
    let (router, document) = OpenApiRouter::with_openapi(openapi::Described::openapi())
        .routes(routes!(jobs::submit_job, jobs::list_jobs))
        .routes(routes!(jobs::get_job, job_patch::patch_job))
        .routes(routes!(jobs::list_job_urls))
        .routes(routes!(jobs::cancel_job))
        .routes(routes!(job_retry::retry_job))
        .routes(routes!(queue::get_queue))
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
    let (metrics_router, metrics_document) =
        OpenApiRouter::new().routes(routes!(metrics::get_metrics)).split_for_parts();
    let document = document.merge_from(metrics_document);
    let document = openapi::complete(document).to_pretty_json().unwrap_or_default().into();
    let context = Context { document, ..context };
    let callbacks = Router::new()
        // Everything after the slash is the token, because a hint may have any path.
        .route("/callback", post(callback::receive_hint))
        .route("/callback/", post(callback::receive_hint))
        .route("/callback/{*token}", post(callback::receive_callback));
    let mut main = router.route("/openapi.json", get(openapi::get_document)).merge(docs_page::routes());
    let measured = Measured { metrics, proxies: Arc::new(config.server.trusted_proxies.clone()) };
    let complete = |router: Router<Context>| {
        let router = router
            .layer(middleware::from_fn_with_state(context.clone(), auth::check_key))
            .layer(CatchPanicLayer::custom(answer_panic))
            .layer(middleware::from_fn_with_state(measured.clone(), finish))
            .with_state(context.clone());
        // Routes are matched exactly, so this comes first.
        Router::new().fallback_service(router.map_request(callback_path::make_plain))
    };
    // Routes with a separate listener are served only there.
    let mut apart = |address: Option<_>, router: Router<Context>| match address {
        Some(_) => Some(complete(router)),
        None => {
            main = std::mem::take(&mut main).merge(router);
            None
        }
    };
    let callbacks = apart(config.callback.listen, callbacks);
    let metrics = apart(config.metrics.listen, metrics_router);
    Routes { main: complete(main), callbacks, metrics }
}

fn answer_panic(_: Box<dyn std::any::Any + Send>) -> Response {
    Problem::new(Code::Internal, "This is a bug in scrapehook. The log has details.").into_response()
}

/// The parts that measure and log every request.
#[derive(Clone, Debug)]
struct Measured {
    metrics: Arc<Metrics>,
    proxies: Arc<Networks>,
}

/// The method, if a route has it. Strangers can send any method, and each would be another metric.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}

/// Gives each answer a request id, gives errors their body, measures the request and writes the log line.
async fn finish(State(measured): State<Measured>, request: Request, next: Next) -> Response {
    let request_id = uuid::Uuid::now_v7().simple().to_string();
    let client = peer::client(&request, &measured.proxies);
    let method = request.method().clone();
    // The route, not the path: a path can hold a token.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let start = Instant::now();
    // At every log level, errors on the way are logged with the same id. A disabled span would have no id.
    let span = tracing::error_span!("request", request_id);
    let response = next.run(request).instrument(span).await;
    let is_ours = error::is_ours(&response);
    let mut response = error::render(response, &request_id);
    let route = route.as_ref().map_or("-", MatchedPath::as_str);
    let status = response.status().as_u16();
    let took = start.elapsed();
    measured.metrics.answered(known(&method), route, status, took);
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
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
