//! `/healthz`, `/readyz` and the quarantine: what an operator looks at first.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Context;
use super::error::Problem;
use super::query::{self, Page, Params};
use crate::clock;
use crate::domain::callback::Hint;

/// The process answers.
pub(super) async fn get_health() -> Json<Value> {
    Json(json!({ "status": "alive" }))
}

/// A commit works, proven by one.
pub(super) async fn get_readiness(State(context): State<Context>) -> Result<Json<Value>, Problem> {
    context.store.prove(clock::now()).await?;
    Ok(Json(json!({ "status": "ready" })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageParams {
    limit: Option<String>,
    after: Option<String>,
}

/// The hints kept.
pub(super) async fn list_quarantine(
    State(context): State<Context>,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<Hint>>, Problem> {
    let limit = query::limit(params.limit.as_deref())?;
    let before = query::place("quarantine", params.after.as_deref())?;
    let hints = context.store.quarantine(before, limit + 1).await?;
    Ok(Json(Page::cut(hints, limit, |hint| query::cursor("quarantine", hint.id))))
}
