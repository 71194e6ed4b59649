//! The bodies of webhooks: the event and the whole objects that it is about. Receivers need no further request.

use bytes::Bytes;
use serde::Serialize;

use crate::domain::event::{Event, EventKind};
use crate::domain::id::JobId;
use crate::domain::job::Job;
use crate::domain::task::{JobUrl, Task};
use crate::domain::time::Timestamp;
use crate::domain::video::Video;
use crate::store::{EventFilter, ReadError, Store};

/// The most URLs of a job in one body.
const URLS: i64 = 1_000;

/// The form of Standard Webhooks.
#[derive(Serialize)]
struct Body {
    #[serde(rename = "type")]
    kind: EventKind,
    /// The time of the event.
    timestamp: Timestamp,
    data: Data,
}

#[derive(Serialize)]
struct Data {
    event: Event,
    /// The job as it is now.
    job: Job,
    #[serde(skip_serializing_if = "Option::is_none")]
    urls: Option<Vec<JobUrl>>,
    /// Whether the job has more URLs than `urls`.
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<Task>,
    #[serde(skip_serializing_if = "Option::is_none")]
    video: Option<Video>,
}

/// Makes the body for an event and a job that sees it. None if retention has removed the event.
///
/// # Errors
/// [`ReadError`]
pub(super) async fn of(store: &Store, job: JobId, seq: i64) -> Result<Option<Bytes>, ReadError> {
    let filter = EventFilter { after: seq - 1, limit: 1, ..EventFilter::default() };
    let event = store.read().events(&filter).await?.into_iter().find(|event| event.seq == seq);
    let (Some(event), Some(job)) = (event, store.read().job(job).await?) else { return Ok(None) };
    let (urls, truncated) = if event.kind == EventKind::JobSettled {
        let mut urls = store.read().job_urls(job.id, None, 0, URLS + 1).await?;
        let is_cut = i64::try_from(urls.len()).is_ok_and(|count| count > URLS);
        urls.truncate(usize::try_from(URLS).unwrap_or(usize::MAX));
        (Some(urls.into_iter().map(|(_, url)| url).collect()), Some(is_cut))
    } else {
        (None, None)
    };
    let task = match event.task_id {
        Some(task) => store.read().task(task).await?,
        None => None,
    };
    let video = match &event.video_id {
        Some(video) => store.read().video(video).await?,
        None => None,
    };
    let body = Body {
        kind: event.kind,
        timestamp: event.at,
        data: Data { event, job, urls, truncated, task, video },
    };
    // These types always become JSON.
    Ok(serde_json::to_vec(&body).ok().map(Bytes::from))
}
