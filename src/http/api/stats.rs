//! `/v1/stats`: figures of the last hour or day, for plots.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::clock;
use crate::domain::measure::{Figures, Window, figures};
use crate::http::context::Context;
use crate::http::edge::problem::Problem;
use crate::http::edge::query::{self, Params};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct StatsParams {
    /// The time that the figures cover. Default: `1h`.
    #[param(value_type = Option<Window>)]
    window: Option<String>,
}

/// Figures of the last hour or day.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Stats {
    window: Window,
    /// Length of a span: 60 for an hour, 900 for a day.
    span_seconds: u32,
    /// The spans, oldest first. The last one is not over.
    spans: Vec<Figures>,
}

/// Counts callbacks and URLs of the last hour by the minute, or of the last day by the quarter of an hour.
#[utoipa::path(
    get,
    path = "/v1/stats",
    tag = "operating",
    params(StatsParams),
    responses((status = 200, description = "The figures of each span.", body = Stats)),
)]
pub(in crate::http) async fn get_stats(
    State(context): State<Context>,
    Params(params): Params<StatsParams>,
) -> Result<Json<Stats>, Problem> {
    let window = query::word("window", params.window.as_deref())?.unwrap_or(Window::Hour);
    let now = clock::now();
    let (first, last) = window.minutes(now);
    let counted = context.store.read().minutes(first, last).await?;
    let (_, minutes) = window.spans();
    Ok(Json(Stats { window, span_seconds: minutes * 60, spans: figures(&counted, now, window) }))
}
