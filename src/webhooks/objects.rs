//! An event with the whole objects that it is about, so that receivers need no further request.

use std::sync::OnceLock;

use serde::Serialize;
use serde_json::Value;

use crate::domain::event::{Event, EventKind};
use crate::domain::id::JobId;
use crate::domain::job::Job;
use crate::domain::task::{JobUrl, Task};
use crate::domain::time::Timestamp;
use crate::domain::video::Video;
use crate::domain::webhook::wording::{self, Subject};
use crate::store::{EventFilter, ReadError, Store};

/// The most URLs of a job in one body.
const URLS: i64 = 1_000;

/// The body in the form of Standard Webhooks.
#[derive(Debug, Serialize)]
pub struct Objects {
    #[serde(rename = "type")]
    kind: EventKind,
    /// The time of the event.
    timestamp: Timestamp,
    data: Data,
    /// The same as JSON, once somebody has asked for it.
    #[serde(skip)]
    json: OnceLock<String>,
}

#[derive(Debug, Serialize)]
struct Data {
    event: Event,
    /// The job as it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<Job>,
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

/// Reads an event and its objects. None if retention has removed the event.
///
/// # Errors
/// [`ReadError`]
pub async fn read(store: &Store, job: Option<JobId>, seq: i64) -> Result<Option<Objects>, ReadError> {
    let filter = EventFilter { after: seq - 1, limit: 1, ..EventFilter::default() };
    let event = store.read().events(&filter).await?.into_iter().find(|event| event.seq == seq);
    let Some(event) = event else { return Ok(None) };
    let job = match job {
        Some(job) => store.read().job(job).await?,
        None => None,
    };
    let (urls, truncated) = match &job {
        Some(job) if event.kind == EventKind::JobSettled => {
            let mut urls = store.read().job_urls(job.id, None, 0, URLS + 1).await?;
            let is_cut = i64::try_from(urls.len()).is_ok_and(|count| count > URLS);
            urls.truncate(usize::try_from(URLS).unwrap_or(usize::MAX));
            (Some(urls.into_iter().map(|(_, url)| url).collect()), Some(is_cut))
        }
        _ => (None, None),
    };
    let task = match event.task_id {
        Some(task) => store.read().task(task).await?,
        None => None,
    };
    let video = match &event.video_id {
        Some(video) => store.read().video(video).await?,
        None => None,
    };
    let (kind, timestamp) = (event.kind, event.at);
    let data = Data { event, job, urls, truncated, task, video };
    Ok(Some(Objects { kind, timestamp, data, json: OnceLock::new() }))
}

impl Objects {
    /// The event.
    pub const fn event(&self) -> &Event {
        &self.data.event
    }

    /// The event in one line, for chats.
    pub fn text(&self) -> String {
        let Data { event, job, task, video, .. } = &self.data;
        wording::text(&Subject { event, job: job.as_ref(), task: task.as_ref(), video: video.as_ref() })
    }

    /// The body as JSON.
    pub fn json(&self) -> &str {
        // These types always become JSON.
        self.json.get_or_init(|| serde_json::to_string(self).unwrap_or_default())
    }

    /// The values for a template: the body, and the line of text.
    pub fn to_values(&self) -> Value {
        let mut values = serde_json::to_value(self).unwrap_or_default();
        if let Value::Object(fields) = &mut values {
            fields.insert("text".to_owned(), self.text().into());
        }
        values
    }
}
