//! `/healthz`, `/readyz` and the quarantine: what an operator looks at first.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::Context;
use super::error::Problem;
use super::query::{self, Page, Params};
use crate::clock;
use crate::domain::callback::Hint;
use crate::store::{Store, WriteError};

/// The last commit that was made as a proof. Whoever asks shares one that began after the question: strangers
/// who ask a lot must not fill the queue of the callbacks.
#[derive(Debug, Default)]
pub(super) struct Proof(Mutex<Option<Instant>>);

impl Proof {
    pub(super) async fn make(&self, store: &Store) -> Result<(), WriteError> {
        let asked = Instant::now();
        let mut last = self.0.lock().await;
        if last.is_some_and(|last| last >= asked) {
            return Ok(());
        }
        let began = Instant::now();
        store.prove(clock::now()).await?;
        *last = Some(began);
        Ok(())
    }
}

/// The process answers.
pub(super) async fn get_health() -> Json<Value> {
    Json(json!({ "status": "alive" }))
}

/// A commit works, proven by one.
pub(super) async fn get_readiness(State(context): State<Context>) -> Result<Json<Value>, Problem> {
    context.proof.make(&context.store).await?;
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
