//! `/healthz` and `/readyz`: whether the process answers, and whether a commit works.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::context::Context;
use crate::http::edge::problem::Problem;

/// Answer of a healthy service.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct HealthAnswer {
    status: &'static str,
}

/// Checks that the process answers.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "operating",
    responses((status = 200, description = "The process answers.", body = HealthAnswer)),
)]
pub(in crate::http) async fn get_health() -> Json<HealthAnswer> {
    Json(HealthAnswer { status: "alive" })
}

/// Checks that the database can be written, by making a commit.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operating",
    responses(
        (status = 200, description = "The database can be written.", body = HealthAnswer),
        (status = 503, description = "The database cannot be written."),
    ),
)]
pub(in crate::http) async fn get_readiness(
    State(context): State<Context>,
) -> Result<Json<HealthAnswer>, Problem> {
    context.proof.make(&context.store).await.map_err(|unproven| unproven.error)?;
    Ok(Json(HealthAnswer { status: "ready" }))
}
