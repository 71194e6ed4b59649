//! `/healthz` and `/readyz`: whether the process answers, and whether a commit works.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use crate::clock;
use crate::domain::time::Timestamp;
use crate::http::context::Context;
use crate::http::edge::problem::Problem;
use crate::store::{Store, WriteError};

/// The last commit that was tried as a proof. Callers share one that began after they asked. So strangers who ask often
/// do not fill the queue of the callbacks, and if each try waits for a lock, no caller waits for several tries.
#[derive(Debug, Default)]
pub(in crate::http) struct Proof(Mutex<Option<Tried>>);

#[derive(Clone, Copy, Debug)]
struct Tried {
    began: Instant,
    result: Result<(), Unproven>,
}

/// A commit failed.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Unproven {
    pub(in crate::http) error: WriteError,
    /// Time of the first try since the last commit.
    pub(in crate::http) since: Timestamp,
}

impl Proof {
    pub(in crate::http) async fn make(&self, store: &Store) -> Result<(), Unproven> {
        let asked = Instant::now();
        let mut last = self.0.lock().await;
        if let Some(tried) = last.filter(|tried| tried.began >= asked) {
            return tried.result;
        }
        let (began, now) = (Instant::now(), clock::now());
        let since = last.and_then(|tried| tried.result.err()).map_or(now, |unproven| unproven.since);
        let result = store.prove(now).await.map_err(|error| Unproven { error, since });
        *last = Some(Tried { began, result });
        result
    }
}

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
