//! `/healthz`, `/readyz` and the quarantine, which operators check first.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use utoipa::{IntoParams, ToSchema};

use super::Context;
use super::body;
use super::error::Problem;
use super::query::{self, Page, Params};
use crate::clock;
use crate::domain::callback::Hint;
use crate::domain::time::Timestamp;
use crate::store::{Store, WriteError};

/// The last commit that was tried as a proof. Callers share one that began after they asked. So strangers who ask often
/// do not fill the queue of the callbacks, and if each try waits for a lock, no caller waits for several tries.
#[derive(Debug, Default)]
pub(super) struct Proof(Mutex<Option<Tried>>);

#[derive(Clone, Copy, Debug)]
struct Tried {
    began: Instant,
    result: Result<(), Unproven>,
}

/// A commit failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unproven {
    pub(super) error: WriteError,
    /// Time of the first try since the last commit.
    pub(super) since: Timestamp,
}

impl Proof {
    pub(super) async fn make(&self, store: &Store) -> Result<(), Unproven> {
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
pub(super) struct HealthAnswer {
    status: &'static str,
}

/// Checks that the process answers.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "operating",
    responses((status = 200, description = "The process answers.", body = HealthAnswer)),
)]
pub(super) async fn get_health() -> Json<HealthAnswer> {
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
pub(super) async fn get_readiness(State(context): State<Context>) -> Result<Json<HealthAnswer>, Problem> {
    context.proof.make(&context.store).await.map_err(|unproven| unproven.error)?;
    Ok(Json(HealthAnswer { status: "ready" }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PageParams {
    /// Items per page. Default: 50. At most 500.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 500)]
    limit: Option<String>,
    /// The `next` of the previous page.
    #[param(value_type = Option<String>)]
    after: Option<String>,
}

/// Lists the kept hints (callbacks without a good token), newest first.
#[utoipa::path(
    get,
    path = "/v1/quarantine",
    tag = "operating",
    params(PageParams),
    responses((status = 200, description = "A page of hints.", body = Page<Hint>)),
)]
pub(super) async fn list_quarantine(
    State(context): State<Context>,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<Hint>>, Problem> {
    let limit = query::limit(params.limit.as_deref())?;
    let before = query::place("quarantine", params.after.as_deref())?;
    let mut hints = context.store.read().quarantine(before, limit + 1).await?;
    let tokens = context.tokens.get();
    let hints = body::beside(move || {
        for hint in &mut hints {
            tokens.mask(&mut hint.body);
            if let Some(id) = &mut hint.upstream_id {
                tokens.mask(id);
            }
        }
        hints
    })
    .await?;
    Ok(Json(Page::cut(hints, limit, |hint| query::cursor("quarantine", hint.id))))
}
