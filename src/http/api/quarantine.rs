//! `GET /v1/quarantine`: callbacks without a good token.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::blocking;
use crate::domain::callback::Hint;
use crate::http::context::Context;
use crate::http::edge::problem::Problem;
use crate::http::edge::query::{self, Page, Params};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct PageParams {
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
