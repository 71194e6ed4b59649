//! Rounds of posts, driven by hand: what is wanted, sent, retried and decided, and how a job stands.

use scrapehook::domain::callback::Meaning;
use scrapehook::domain::id::{JobId, TaskId};
use scrapehook::domain::job::{JobState, Progress, Quality};
use scrapehook::domain::outcome::Failure;
use scrapehook::store::{Decided, Decision, SubmitEnd};

use super::file::{File, at};

pub const X: &str = "https://a.example/x";
pub const Y: &str = "https://a.example/y";

/// A job whose URLs wait, as far as no attempt has them.
pub async fn wanted(file: &File, urls: &[&str], quality: Quality, force: bool) -> JobId {
    let urls: Vec<_> = urls.iter().map(|url| (*url).to_owned()).collect();
    file.waiting_job(&urls, quality, force).await
}

/// A job, and the tasks that are being sent for what waits.
pub async fn sent(file: &File, urls: &[&str], quality: Quality, force: bool) -> (JobId, Vec<TaskId>) {
    (wanted(file, urls, quality, force).await, file.send_all(1).await)
}

pub async fn decide(file: &File, decision: Decision, millis: i64) -> bool {
    file.store.decide(decision, None, at(millis)).await.unwrap() == Decided::Done
}

pub async fn retry(file: &File, task: TaskId, millis: i64) -> (bool, TaskId) {
    let new = TaskId::new(at(millis));
    (decide(file, Decision::Retry { task, new }, millis).await, new)
}

pub async fn stands(file: &File, job: JobId) -> (JobState, Progress) {
    let job = file.store.read().job(job).await.unwrap().unwrap();
    (job.state, job.progress)
}

/// The URLs of a task as they were given.
pub async fn urls(file: &File, task: TaskId) -> Vec<String> {
    let urls = file.store.read().task(task).await.unwrap().unwrap().urls.unwrap();
    urls.into_iter().map(|url| url.url).collect()
}

pub fn failed() -> Option<Meaning> {
    Some(Meaning::Failed(Failure::new("task_failed", "no")))
}

pub fn refused() -> SubmitEnd {
    SubmitEnd::refused(Failure::new("0003", "no"), at(2))
}

/// Certainly not taken: the task is sent again at once.
pub fn deferred() -> SubmitEnd {
    SubmitEnd::Deferred(Failure::new("http_503", "down"), std::time::Duration::ZERO)
}
