//! `/v1/videos`: the state of videos, found by their ids or by any spelling of their posts' URLs.

use axum::Json;
use axum::extract::{Path, State};

use crate::domain::id::JobId;
use crate::domain::video::{Video, VideoState};
use crate::http::context::Context;
use crate::http::edge::problem::Problem;
use crate::http::edge::query::{self, NoParams, Page, Params};
use crate::store::VideoFilter;

query::list_params! {
    ListParams {
        /// Only items in this state.
        #[param(value_type = Option<VideoState>)]
        state: Option<String>,
        /// Only items of this task, by its id or its `taskId`.
        #[param(value_type = Option<String>)]
        task: Option<String>,
        /// Only items of this job.
        #[param(value_type = Option<JobId>)]
        job: Option<String>,
        /// Only items of this post, by any spelling of its URL.
        #[param(value_type = Option<String>, max_length = 2048)]
        url: Option<String>,
    }
}

/// Lists videos, newest first.
#[utoipa::path(
    get,
    path = "/v1/videos",
    tag = "videos",
    params(ListParams),
    responses((status = 200, description = "A page of videos.", body = Page<Video>)),
)]
pub(in crate::http) async fn list_videos(
    State(context): State<Context>,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<Video>>, Problem> {
    let limit = query::limit(params.limit.as_deref())?;
    let mut filter = VideoFilter {
        state: query::word("state", params.state.as_deref())?,
        task: None,
        job: query::id("job", params.job.as_deref())?,
        canonical: query::canonical(params.url.as_deref())?,
        before: query::place("videos", params.after.as_deref())?,
        limit: limit + 1,
    };
    if let Some(id) = &params.task {
        filter.task = context.store.read().find_task(id).await?;
        // An unknown task has no videos.
        if filter.task.is_none() {
            return Ok(Json(Page::cut(Vec::new(), limit, |video: &Video| video.id.clone())));
        }
    }
    let videos = context.store.read().videos(&filter).await?;
    let page = Page::cut(videos, limit, |(number, _)| query::cursor("videos", number));
    Ok(Json(page.map(|(_, video)| video)))
}

/// Shows one video.
#[utoipa::path(
    get,
    path = "/v1/videos/{video_id}",
    tag = "videos",
    params(("video_id" = String, Path, description = "The video's id in the memories.ai API.")),
    responses((status = 200, description = "The video.", body = Video)),
)]
pub(in crate::http) async fn get_video(
    State(context): State<Context>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Json<Video>, Problem> {
    context.store.read().video(&id).await?.map(Json).ok_or_else(|| Problem::not_found("video"))
}
