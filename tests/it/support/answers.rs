//! The common answers of the API, with the fields that tests look at. Tests of an answer's exact shape use `Value`.

use serde::Deserialize;

/// A job with its tasks.
#[derive(Debug, Deserialize)]
pub struct Job {
    pub id: String,
    pub state: String,
    pub settled_at: Option<String>,
    pub progress: Progress,
    /// Empty in lists, which leave it out.
    #[serde(default)]
    pub tasks: Vec<TaskOfJob>,
}

/// How many URLs of a job are in each state.
#[derive(Debug, Deserialize)]
pub struct Progress {
    pub waiting: usize,
    pub sent: usize,
    pub downloaded: usize,
    pub indexed: usize,
    pub failed: usize,
    pub known: usize,
}

/// A task in the answer for its job: `urls` is how many it has.
#[derive(Debug, Deserialize)]
pub struct TaskOfJob {
    pub id: String,
    pub state: String,
    pub urls: usize,
}

/// A task without its URLs.
#[derive(Debug, Deserialize)]
pub struct Task {
    pub id: String,
    pub state: String,
    pub job_id: Option<String>,
    pub platform: Option<String>,
    pub upstream_id: Option<String>,
    pub accepted_at: Option<String>,
    pub downloaded_at: Option<String>,
    pub settled_at: Option<String>,
    pub replaced_by: Option<String>,
    pub error: Option<Failure>,
}

/// A URL of a job.
#[derive(Debug, Deserialize)]
pub struct JobUrl {
    pub state: String,
    pub video_ids: Vec<String>,
    pub error: Option<Failure>,
}

/// Why a task, a URL or a video failed.
#[derive(Debug, Deserialize)]
pub struct Failure {
    pub code: String,
    pub message: String,
    pub certain: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub struct Video {
    pub state: String,
    pub job_id: Option<String>,
    pub tasks: Vec<String>,
    pub url: Option<String>,
    pub attributed: bool,
    pub indexed_at: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Event {
    pub seq: i64,
    pub kind: String,
    pub source: String,
    pub upstream_id: Option<String>,
    pub message: Option<String>,
}

/// The body of an error.
#[derive(Debug, Deserialize)]
pub struct Problem {
    pub code: String,
    pub detail: String,
}

/// One page of a list.
#[derive(Debug, Deserialize)]
pub struct Page<T> {
    pub items: Vec<T>,
}
