//! `/v1/videos`: where a video stands, found by its id or by any spelling of its post's URL.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;

use super::Context;
use super::error::Problem;
use super::query::{self, NoParams, Page, Params};
use crate::domain::video::Video;
use crate::store::VideoFilter;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    state: Option<String>,
    task: Option<String>,
    job: Option<String>,
    url: Option<String>,
    limit: Option<String>,
    after: Option<String>,
}

pub(super) async fn list_videos(
    State(context): State<Context>,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<Video>>, Problem> {
    let limit = query::limit(params.limit.as_deref())?;
    let mut filter = VideoFilter {
        state: query::word("state", params.state.as_deref())?,
        task: None,
        job: query::word("job", params.job.as_deref())?,
        canonical: query::canonical(params.url.as_deref())?,
        before: query::place("videos", params.after.as_deref())?,
        limit: limit + 1,
    };
    if let Some(id) = &params.task {
        filter.task = context.store.find_task(id).await?;
        // A task that is not known brought no videos.
        if filter.task.is_none() {
            return Ok(Json(Page::cut(Vec::new(), limit, |video: &Video| video.id.clone())));
        }
    }
    let videos = context.store.videos(&filter).await?;
    let page = Page::cut(videos, limit, |(number, _)| query::cursor("videos", number));
    Ok(Json(page.map(|(_, video)| video)))
}

pub(super) async fn get_video(
    State(context): State<Context>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Json<Video>, Problem> {
    context.store.video(&id).await?.map(Json).ok_or_else(|| Problem::not_found("video"))
}
