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
use crate::store::{Counts, LastError, ReadError, Webhooks};

/// The status of the service.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Status {
    problems: Vec<domain::problem::Problem>,
    counts: Counts,
    today: Today,
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

/// The URLs that were sent on this day, in UTC.
#[derive(Debug, Serialize, ToSchema)]
struct Today {
    /// Number of URLs that were sent and may be charged.
    urls_sent: u64,
    /// The most that may be sent, from `dispatch.max_urls_per_day`. Null if there is no limit.
    #[schema(required)]
    max_urls: Option<u64>,
    /// How many may still be sent. Null if there is no limit.
    #[schema(required)]
    urls_left: Option<u64>,
    /// Time when the next day begins.
    ends_at: Timestamp,
}

impl Today {
    async fn read(context: &Context, now: Timestamp) -> Result<Self, ReadError> {
        let urls_sent = context.store.read().urls_sent_since(now.start_of_day()).await?;
        let max_urls = context.monitored.urls_per_day;
        let urls_left = max_urls.map(|most| most.saturating_sub(urls_sent));
        Ok(Self { urls_sent, max_urls, urls_left, ends_at: now.next_day() })
    }
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
    let now = clock::now();
    let mut observed = context.monitored.observe(&context.store, now).await?;
    observed.unproven = context.proof.make(&context.store).await.err();
    let problems = problems::find(&observed);
    let Observed { overview, callback_check, .. } = observed;
    let interval = context.monitored.budget.interval();
    Ok(Json(Status {
        problems,
        counts: overview.counts,
        today: Today::read(&context, now).await?,
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
