//! `/v1/queue`: what waits to be sent, and how long that will take.

use axum::Json;
use axum::extract::State;

use super::Context;
use super::error::Problem;
use super::query::{NoParams, Params};
use crate::store::QueueStatus;

/// Shows what waits to be sent, and when it is expected to have been sent.
#[utoipa::path(
    get,
    path = "/v1/queue",
    tag = "operating",
    responses((status = 200, description = "What waits.", body = QueueStatus)),
)]
pub(super) async fn get_queue(
    State(context): State<Context>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Json<QueueStatus>, Problem> {
    Ok(Json(context.store.read().queue(context.pacing()).await?))
}
