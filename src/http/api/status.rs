//! `/v1/status`: problems, each with its start and the action to take, then counts.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::callback_check::CallbackCheck;
use crate::clock;
use crate::domain;
use crate::domain::time::Timestamp;
use crate::http::context::Context;
use crate::http::edge::problem::Problem;
use crate::http::edge::query::{NoParams, Params};
use crate::problems::{self, Observed};
use crate::store::{Counts, LastError, Webhooks};

/// The status of the service.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Status {
    problems: Vec<domain::problem::Problem>,
    counts: Counts,
    #[schema(required)]
    last_callback_at: Option<Timestamp>,
    /// Whether `server.public_url` leads to this service, as far as scrapehook can tell from inside.
    callback_check: CallbackCheck,
    upstream: UpstreamStatus,
    webhooks: Webhooks,
    version: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
struct UpstreamStatus {
    #[schema(required)]
    last_error: Option<LastError>,
    /// Milliseconds between two requests, as learned so far.
    interval_ms: u64,
}

/// Lists problems, each with its start and the action to take, then counts.
#[utoipa::path(
    get,
    path = "/v1/status",
    tag = "operating",
    responses((status = 200, description = "The current status.", body = Status)),
)]
pub(in crate::http) async fn get_status(
    State(context): State<Context>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Json<Status>, Problem> {
    let mut observed = context.monitored.observe(&context.store, clock::now()).await?;
    observed.unproven = context.proof.make(&context.store).await.err();
    let problems = problems::find(&observed);
    let Observed { overview, callback_check, .. } = observed;
    let interval = context.monitored.budget.interval();
    Ok(Json(Status {
        problems,
        counts: overview.counts,
        last_callback_at: overview.last_callback_at,
        callback_check,
        upstream: UpstreamStatus {
            last_error: overview.last_error,
            interval_ms: u64::try_from(interval.as_millis()).unwrap_or(u64::MAX),
        },
        webhooks: context.store.read().webhooks().await?,
        version: env!("CARGO_PKG_VERSION"),
    }))
}
