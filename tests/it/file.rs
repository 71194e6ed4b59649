//! A real SQLite file, with the store driven by hand.

use std::time::Duration;

use scrapehook::domain::callback::Meaning;
use scrapehook::domain::id::{JobId, TaskId};
use scrapehook::domain::job::{JobOptions, Library, Quality};
use scrapehook::domain::plan::fold;
use scrapehook::domain::task::{Failure, TaskState};
use scrapehook::domain::time::Timestamp;
use scrapehook::domain::url::PostUrl;
use scrapehook::domain::video::VideoState;
use scrapehook::store::{
    Binding, CreatedJob, DuePoll, NewJob, Policy, PollEnd, PolledVideo, ReceivedCallback, Store, SubmitEnd,
    Writer,
};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::recompute::assert_states_follow_from_facts;

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
        let path = folder.path().join("scrapehook.db");
        let (store, writer) =
            Store::open(&path, Binding::to("http://upstream"), POLICY, at(0)).await.unwrap();
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

    /// One task a host, one URL a task.
    pub async fn job(&self, hosts: &[&str]) -> Vec<TaskId> {
        let urls = hosts.iter().map(|host| format!("https://{host}.example/post")).collect::<Vec<_>>();
        self.job_of(&urls).await
    }

    pub async fn job_of(&self, urls: &[String]) -> Vec<TaskId> {
        self.job_with(urls, false).await
    }

    pub async fn job_with(&self, urls: &[String], force: bool) -> Vec<TaskId> {
        let urls: Vec<_> = urls.iter().map(|url| PostUrl::parse(url).unwrap()).collect();
        let options = JobOptions {
            unique_id: None,
            folder_id: None,
            quality: Quality::P360,
            library: Library::Private,
            labels: [("k".to_owned(), "v".to_owned())].into(),
        };
        let job = NewJob {
            id: JobId::new(at(0)),
            at: at(0),
            created_by: None,
            options,
            urls: fold(urls),
            force,
            idempotency: None,
        };
        let CreatedJob::New(job) = self.store.create_job(job).await.unwrap() else { panic!("not new") };
        job.tasks.unwrap().into_iter().map(|task| task.id).collect()
    }

    pub async fn submit(&self, task: TaskId, end: SubmitEnd) {
        assert!(self.store.begin_submit(task, at(1)).await.unwrap());
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
    }
}

pub fn indexed(video: &str) -> Option<Meaning> {
    Some(Meaning::VideoIndexed(video.to_owned()))
}

pub fn listed(videos: &[(&str, VideoState, &str)]) -> PollEnd {
    let video = |&(id, state, url): &(&str, VideoState, &str)| PolledVideo {
        id: id.to_owned(),
        state,
        url: Some(url.to_owned()),
    };
    PollEnd::Listed { videos: videos.iter().map(video).collect(), names_urls: true, is_whole: true }
}

pub fn lost() -> SubmitEnd {
    SubmitEnd::Unknown(Failure::new("no_answer", "cut"))
}
