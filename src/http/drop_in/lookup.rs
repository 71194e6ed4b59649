//! `get_video_ids_by_task_id`: the videos of a job or a task in upstream's form.
//!
//! Must never ask upstream, and never leave out a video that a URL of the job has.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::id::JobId;
use crate::domain::video::{Video, VideoState};
use crate::http::context::Context;
use crate::http::drop_in::envelope::Envelope;
use crate::http::edge::problem::{Code, Problem};

/// The URLs of a job that are read at a time.
const PAGE: i64 = 500;

/// The videos of a job or a task.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ScrapedVideos {
    videos: Vec<ScrapedVideo>,
}

/// A video in the form of the memories.ai API. scrapehook does not keep the details that are null.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ScrapedVideo {
    /// Its id in the memories.ai API.
    video_no: String,
    /// Always null.
    #[schema(required)]
    video_name: Option<String>,
    /// URL of its post, as the client gave it. Null if it is not known.
    #[schema(required)]
    video_url: Option<String>,
    /// `PARSE`: indexed. `UNPARSE`: not yet. `FAIL`: it could not be indexed.
    status: &'static str,
    /// Always null.
    #[schema(required)]
    duration: Option<String>,
    /// Time of the first news about it, in milliseconds since 1970.
    create_time: String,
    /// Always null.
    #[schema(required)]
    size: Option<String>,
    /// Always null.
    #[schema(required)]
    fps: Option<String>,
    /// Always null.
    #[schema(required)]
    width: Option<String>,
    /// Always null.
    #[schema(required)]
    height: Option<String>,
    /// Always null.
    #[schema(required)]
    resolution_label: Option<String>,
}

impl ScrapedVideo {
    fn of(video: Video) -> Self {
        Self {
            video_no: video.id,
            video_name: None,
            video_url: video.url,
            status: match video.state {
                VideoState::Indexing => "UNPARSE",
                VideoState::Failed => "FAIL",
                VideoState::Indexed => "PARSE",
            },
            duration: None,
            create_time: video.first_seen_at.as_millis().to_string(),
            size: None,
            fps: None,
            width: None,
            height: None,
            resolution_label: None,
        }
    }
}

/// Lists the videos of a job in the form of the memories.ai API.
///
/// The videos have the order of the job's URLs. They include those of URLs that were indexed before. The answer comes
/// from the database, and the memories.ai API is not asked. Other parameters are ignored.
#[utoipa::path(
    get,
    path = "/serve/api/v1/get_video_ids_by_task_id",
    tag = "drop-in",
    params(
        ("task_id" = String, Query, description = "The id of a job or a task, or a `taskId` of the memories.ai API."),
        ("unique_id" = Option<String>, Query, description = "Ignored."),
    ),
    responses((
        status = 200,
        description = "The videos, or a refusal with another `code` than `0000`.",
        body = Envelope<ScrapedVideos>,
    )),
)]
pub(in crate::http) async fn list_scraped_videos(
    State(context): State<Context>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let id = task_id(&query.unwrap_or_default())?;
    let videos = match id.parse() {
        Ok(job) => of_job(&context, job).await?,
        Err(_) => of_task(&context, &id).await?,
    };
    let answer = videos.map_or_else(Envelope::unknown_task, |videos| {
        let videos = videos.into_iter().map(ScrapedVideo::of).collect();
        Envelope::success(ScrapedVideos { videos })
    });
    Ok(Json(answer).into_response())
}

fn task_id(query: &str) -> Result<String, Problem> {
    url::form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == "task_id")
        .map(|(_, id)| id.trim().to_owned())
        .find(|id| !id.is_empty())
        .ok_or_else(|| Problem::new(Code::BadQuery, "task_id: the query parameter is missing or empty."))
}

/// The videos of a job in the order of its URLs, each once, with its URL as this job gave it. None if there is no such
/// job.
async fn of_job(context: &Context, job: JobId) -> Result<Option<Vec<Video>>, Problem> {
    let readers = context.store.read();
    if readers.job(job).await?.is_none() {
        return Ok(None);
    }
    let (mut videos, mut seen, mut from) = (Vec::new(), BTreeSet::new(), 0);
    loop {
        let urls = readers.job_urls(job, None, from, PAGE).await?;
        let Some((last, _)) = urls.last() else { return Ok(Some(videos)) };
        from = last.saturating_add(1);
        let named = urls.into_iter().flat_map(|(_, url)| {
            let given = url.url;
            url.video_ids.into_iter().map(move |id| (id, given.clone()))
        });
        let new: Vec<(String, String)> = named.filter(|(id, _)| seen.insert(id.clone())).collect();
        let ids: Vec<&str> = new.iter().map(|(id, _)| id.as_str()).collect();
        let found = readers.videos_with_ids(&ids).await?;
        let mut found: BTreeMap<String, Video> =
            found.into_iter().map(|video| (video.id.clone(), video)).collect();
        let given = |(id, url)| Some(Video { url: Some(url), ..found.remove(&id)? });
        videos.extend(new.into_iter().filter_map(given));
    }
}

/// The videos of a task, by its id or by upstream's, oldest first. None if there is no such task.
async fn of_task(context: &Context, id: &str) -> Result<Option<Vec<Video>>, Problem> {
    let readers = context.store.read();
    let Some(task) = readers.find_task(id).await? else { return Ok(None) };
    Ok(readers.task(task).await?.map(|task| task.videos.unwrap_or_default()))
}
