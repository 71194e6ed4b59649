//! `/v1/pause` and `/v1/resume`: stop sending, and continue it.

use axum::extract::State;
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;

use crate::clock;
use crate::domain::pause::Pause;
use crate::http::context::Context;
use crate::http::edge::auth::Caller;
use crate::http::edge::body::NoBody;
use crate::http::edge::problem::Problem;
use crate::http::edge::query::{NoParams, Params};
use crate::store::Decision;

/// The pauses in force, each with its reason.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Sending {
    paused: Vec<Pause>,
}

/// Stops sending until `resume`.
#[utoipa::path(
    post,
    path = "/v1/pause",
    tag = "operating",
    responses((status = 200, description = "The pauses in force, each with its reason.", body = Sending)),
)]
pub(in crate::http) async fn pause_sending(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    Params(NoParams {}): Params<NoParams>,
    _: NoBody,
) -> Result<Json<Sending>, Problem> {
    context.store.decide(Decision::Pause, caller.name, clock::now()).await?;
    Ok(Json(Sending { paused: context.store.read().pauses().await? }))
}

/// Lifts every pause, whatever its reason.
#[utoipa::path(
    post,
    path = "/v1/resume",
    tag = "operating",
    responses((status = 200, description = "Sending is no longer paused.", body = Sending)),
)]
pub(in crate::http) async fn resume_sending(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    Params(NoParams {}): Params<NoParams>,
    _: NoBody,
) -> Result<Json<Sending>, Problem> {
    context.store.decide(Decision::Resume, caller.name, clock::now()).await?;
    Ok(Json(Sending { paused: context.store.read().pauses().await? }))
}
