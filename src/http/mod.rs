//! HTTP: the route table.
//!
//! Must never know SQL or ask upstream. Handlers read from the store and write to it.

mod api;
mod callback;
mod context;
mod dashboard;
mod docs_page;
mod drop_in;
mod edge;
mod hint_limit;
mod openapi;
mod operate;

use std::sync::Arc;

use axum::routing::{get, post};
use axum::{Router, middleware};
use tower::ServiceExt;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::api::{
    events, jobs, pause, quarantine, queue, session, stats, status, stream, subscribers, tasks, videos,
};
use self::context::Context;
use self::drop_in::{lookup, submit};
use self::edge::middleware::{Measured, answer_panic, finish};
use self::edge::{auth, callback_path};
use self::operate::{health, metrics};
use crate::config::Config;

pub use self::context::{Credentials, Shared};
pub use self::edge::keys::Keys;
pub use self::edge::listener::{Limits as ConnectionLimits, serve};

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

/// The described routes, except those of metrics, and the description.
fn described() -> (Router<Context>, Router<Context>, String) {
    let (api, document) = OpenApiRouter::with_openapi(openapi::Described::openapi())
        .routes(routes!(jobs::submit_job, jobs::list_jobs))
        .routes(routes!(jobs::get_job, jobs::patch::patch_job))
        .routes(routes!(jobs::list_job_urls))
        .routes(routes!(jobs::cancel_job))
        .routes(routes!(jobs::retry::retry_job))
        .routes(routes!(subscribers::deliveries::list_job_deliveries))
        .routes(routes!(subscribers::deliveries::replay_job))
        .routes(routes!(queue::get_queue))
        .routes(routes!(tasks::list_tasks))
        .routes(routes!(tasks::get_task))
        .routes(routes!(tasks::list_task_callbacks))
        .routes(routes!(tasks::retry_task))
        .routes(routes!(tasks::adopt_task))
        .routes(routes!(tasks::refresh_task))
        .routes(routes!(tasks::cancel_task))
        .routes(routes!(pause::pause_sending))
        .routes(routes!(pause::resume_sending))
        .routes(routes!(videos::list_videos))
        .routes(routes!(videos::get_video))
        .routes(routes!(events::list_events))
        .routes(routes!(stream::stream_events))
        .routes(routes!(status::get_status))
        .routes(routes!(stats::get_stats))
        .routes(routes!(subscribers::list_subscribers, subscribers::add_subscriber))
        .routes(routes!(
            subscribers::get_subscriber,
            subscribers::patch_subscriber,
            subscribers::remove_subscriber
        ))
        .routes(routes!(subscribers::rotate_secret))
        .routes(routes!(subscribers::trial::test_subscriber))
        .routes(routes!(subscribers::deliveries::replay))
        .routes(routes!(subscribers::deliveries::list_deliveries))
        .routes(routes!(session::get_session, session::sign_in, session::sign_out))
        .routes(routes!(quarantine::list_quarantine))
        .routes(routes!(submit::submit_scrape))
        .routes(routes!(submit::submit_public_scrape))
        .routes(routes!(lookup::list_scraped_videos))
        .routes(routes!(health::get_health))
        .routes(routes!(health::get_readiness))
        .split_for_parts();
    let (metrics, metrics_document) =
        OpenApiRouter::new().routes(routes!(metrics::get_metrics)).split_for_parts();
    let document = openapi::complete(document.merge_from(metrics_document));
    (api, metrics, document.to_pretty_json().unwrap_or_default())
}

/// All routes of the service.
pub fn routes(config: &Config, shared: Shared) -> Routes {
    let (api, metrics, document) = described();
    let measured = Measured {
        metrics: shared.metrics.clone(),
        proxies: Arc::new(config.server.trusted_proxies.clone()),
    };
    let context = Context::new(config, shared, document);
    let callbacks = Router::new()
        // Everything after the slash is the token, because a hint may have any path.
        .route("/callback", post(callback::receive_hint))
        .route("/callback/", post(callback::receive_hint))
        .route("/callback/{*token}", post(callback::receive_callback));
    let mut main = api
        .route("/openapi.json", get(openapi::get_document))
        .merge(docs_page::routes())
        .merge(dashboard::routes());
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
    let mut separate = |address: Option<_>, router: Router<Context>| match address {
        Some(_) => Some(complete(router)),
        None => {
            main = std::mem::take(&mut main).merge(router);
            None
        }
    };
    let callbacks = separate(config.callback.listen, callbacks);
    let metrics = separate(config.metrics.listen, metrics);
    Routes { main: complete(main), callbacks, metrics }
}
