//! `GET /v1/quarantine`: callbacks without a good token.

use axum::Json;
use axum::extract::State;

use crate::blocking;
use crate::domain::callback::Hint;
use crate::http::context::Context;
use crate::http::edge::problem::Problem;
use crate::http::edge::query::{self, Page, PageParams, Params};

/// Lists the kept hints (callbacks without a good token), newest first.
#[utoipa::path(
    get,
    path = "/v1/quarantine",
    tag = "operating",
    params(PageParams),
    responses((status = 200, description = "A page of hints.", body = Page<Hint>)),
)]
pub(in crate::http) async fn list_quarantine(
    State(context): State<Context>,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<Hint>>, Problem> {
    let limit = query::limit(params.limit.as_deref())?;
    let before = query::place("quarantine", params.after.as_deref())?;
    let mut hints = context.store.read().quarantine(before, limit + 1).await?;
    let tokens = context.tokens.get();
    let hints = blocking::run(move || {
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
