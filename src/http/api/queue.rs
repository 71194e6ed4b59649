//! `/v1/queue`: the waiting URLs, and their estimated times of sending.

use axum::Json;
use axum::extract::State;

use crate::http::context::Context;
use crate::http::edge::problem::Problem;
use crate::http::edge::query::{NoParams, Params};
use crate::store::QueueStatus;

/// Shows the waiting URLs, and the estimated time when the last one has been sent.
#[utoipa::path(
    get,
    path = "/v1/queue",
    tag = "operating",
    responses((status = 200, description = "The waiting URLs.", body = QueueStatus)),
)]
pub(in crate::http) async fn get_queue(
    State(context): State<Context>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Json<QueueStatus>, Problem> {
    Ok(Json(context.store.read().queue(context.pacing()).await?))
}
