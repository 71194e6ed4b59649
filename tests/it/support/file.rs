//! A real SQLite file, with the store driven by hand.

use std::time::Duration;

use scrapehook::domain::callback::Meaning;
use scrapehook::domain::id::{JobId, TaskId};
use scrapehook::domain::job::{JobOptions, Quality};
use scrapehook::domain::outcome::Failure;
use scrapehook::domain::plan::fold;
use scrapehook::domain::task::TaskState;
use scrapehook::domain::time::Timestamp;
use scrapehook::domain::url::PostUrl;
use scrapehook::domain::video::VideoState;
use scrapehook::store::{
    Binding, CreatedJob, DuePoll, NewJob, NextRequest, Policy, PollEnd, PolledEntry, ReceivedCallback,
    Request, Search, Store, SubmitEnd, Writer,
};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::support::recompute::assert_states_follow_from_facts;

pub const MINUTE: Duration = Duration::from_secs(60);
pub const HOUR: Duration = Duration::from_secs(3_600);
pub const DAY: Duration = Duration::from_secs(86_400);
pub const POLICY: Policy = Policy {
    poll_after: MINUTE,
    urls_per_task: 50,
    probe_after: MINUTE,
    settle_after: MINUTE,
    deadline: DAY,
    hint_interval: MINUTE,
};

/// Milliseconds after the start of the test's time.
pub fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + millis)
}

pub struct File {
    pub folder: TempDir,
    pub store: Store,
    /// `None` while the writer runs.
    pub writer: Option<Writer>,
    pub running: Option<JoinHandle<()>>,
}

impl File {
    pub async fn new() -> Self {
        Self::open(tempfile::tempdir().unwrap()).await
    }

    pub async fn open(folder: TempDir) -> Self {
        Self::open_with(folder, POLICY).await
    }

    pub async fn open_with(folder: TempDir, policy: Policy) -> Self {
        let path = folder.path().join("scrapehook.db");
        let (store, writer) =
            Store::open(&path, Binding::to("http://upstream"), policy, at(0)).await.unwrap();
        Self { folder, store, writer: Some(writer), running: None }
    }

    pub fn run(&mut self) {
        self.running = self.writer.take().map(|writer| tokio::spawn(writer.run()));
    }

    pub async fn started() -> Self {
        let mut file = Self::new().await;
        file.run();
        file
    }

    pub async fn close(self) -> TempDir {
        self.store.close();
        if let Some(running) = self.running {
            running.await.unwrap();
        }
        assert_states_follow_from_facts(&self.folder.path().join("scrapehook.db")).await;
        self.folder
    }

    /// One task a host, one URL a task. Each of them is being sent.
    pub async fn job(&self, hosts: &[&str]) -> Vec<TaskId> {
        let urls = hosts.iter().map(|host| format!("https://{host}.example/post")).collect::<Vec<_>>();
        self.job_of(&urls).await
    }

    pub async fn job_of(&self, urls: &[String]) -> Vec<TaskId> {
        self.job_with(urls, false).await
    }

    /// The tasks that are being sent for a new job, in the order in which they were formed.
    pub async fn job_with(&self, urls: &[String], force: bool) -> Vec<TaskId> {
        self.waiting_job(urls, Quality::P360, force).await;
        self.send_all(1).await
    }

    /// A job whose URLs wait, as far as nobody else has them.
    pub async fn waiting_job(&self, urls: &[String], quality: Quality, force: bool) -> JobId {
        let labels = [("k".to_owned(), "v".to_owned())].into();
        let options = JobOptions { quality, labels, ..JobOptions::default() };
        self.waiting_job_with(urls, options, force).await
    }

    /// As [`File::waiting_job`], with options of its own.
    pub async fn waiting_job_with(&self, urls: &[String], options: JobOptions, force: bool) -> JobId {
        let urls: Vec<_> = urls.iter().map(|url| PostUrl::parse(url).unwrap()).collect();
        let job = NewJob {
            id: JobId::new(at(0)),
            at: at(0),
            created_by: None,
            options,
            urls: fold(urls),
            force,
            callback: None,
            idempotency: None,
        };
        let CreatedJob::New(job) = self.store.create_job(job).await.unwrap() else { panic!("not new") };
        job.id
    }

    /// Forms the next request; none if nothing waits.
    pub async fn send(&self, millis: i64) -> Option<Request> {
        loop {
            let next = self.store.read().next_turn(&Search::default(), at(millis), HOUR).await.unwrap()?;
            if next.due > at(millis) {
                return None;
            }
            let next = NextRequest::new(next.turn, at(millis), None);
            if let Some(request) = self.store.form(next).await.unwrap() {
                return Some(request);
            }
        }
    }

    /// Forms requests until nothing waits.
    pub async fn send_all(&self, millis: i64) -> Vec<TaskId> {
        let mut tasks = Vec::new();
        while let Some(request) = self.send(millis).await {
            tasks.push(request.task);
        }
        tasks
    }

    /// Ends the submit of a task that is being sent.
    pub async fn submit(&self, task: TaskId, end: SubmitEnd) {
        assert_eq!(self.state(task).await, TaskState::Submitting);
        self.store.end_submit(task, at(2), end).await.unwrap();
    }

    pub async fn accept(&self, task: TaskId) {
        self.submit(task, SubmitEnd::Accepted(format!("upstream-{task}"))).await;
    }

    pub async fn state(&self, task: TaskId) -> TaskState {
        self.store.read().task(task).await.unwrap().unwrap().state
    }

    pub async fn due(&self) -> Option<DuePoll> {
        self.store.read().next_poll(&[]).await.unwrap()
    }
}

pub fn callback(task: TaskId, millis: i64, meaning: Option<Meaning>, upstream_id: &str) -> ReceivedCallback {
    let body = format!("{meaning:?} {upstream_id}");
    ReceivedCallback {
        task,
        at: at(millis),
        body_hash: Sha256::digest(&body).into(),
        body: body.into(),
        meaning,
        upstream_id: Some(upstream_id.to_owned()),
        destination: None,
        quality: None,
    }
}

pub fn indexed(video: &str) -> Option<Meaning> {
    Some(Meaning::VideoIndexed(video.to_owned()))
}

pub fn listed(videos: &[(&str, VideoState, &str)]) -> PollEnd {
    let entry = |&(id, state, url): &(&str, VideoState, &str)| PolledEntry {
        id: Some(id.to_owned()),
        state,
        url: Some(url.to_owned()),
    };
    whole(videos.iter().map(entry).collect())
}

/// A whole answer with these entries.
pub fn whole(entries: Vec<PolledEntry>) -> PollEnd {
    PollEnd::Listed { entries, is_whole: true, earliest: None }
}

/// A list with an entry that could not be read.
pub fn half(entries: Vec<PolledEntry>) -> PollEnd {
    PollEnd::Listed { entries, is_whole: false, earliest: None }
}

pub fn lost() -> SubmitEnd {
    SubmitEnd::Unknown(Failure::new("no_answer", "cut"))
}
