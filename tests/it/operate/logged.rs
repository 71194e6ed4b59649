//! The log says that a callback came and what followed from it. It never holds the callback's words, whichever
//! operation shares their commit, and whichever commit ends the task.

use std::io;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use scrapehook::domain::callback::Meaning;
use scrapehook::domain::event::{EventKind, Source};
use scrapehook::domain::id::{JobId, TaskId};
use scrapehook::domain::outcome::Failure;
use scrapehook::domain::task::TaskState;
use scrapehook::domain::video::VideoState;
use scrapehook::store::{
    AcceptedCallback, Decided, Decision, DuePoll, EventFilter, Found, NextRequest, PollEnd, ReceivedCallback,
    Store, SubmitEnd, Turn,
};
use tracing::Dispatch;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::Registry;

use crate::support::file::{DAY, File, HOUR, at, callback, listed, lost};

/// The words of each callback here. No line of the log may hold them.
const WORDS: &str = "words-of-a-callback";
const URL: &str = "https://a.example/post";
const UPSTREAM_ID: &str = "the-id";

/// Everything that this thread logs, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Begins to listen, until the guard is dropped.
    fn begin() -> (Self, DefaultGuard) {
        // As long as there is one dispatcher only, tracing asks the thread that first reaches a line whether anybody
        // wants it, and remembers the answer for all threads. A thread of another test would say no.
        static OTHER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Registry::default()));
        LazyLock::force(&OTHER);
        let log = Self::default();
        let writer = log.clone();
        let lines = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(lines))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// An operation that shares the commit of a callback, and comes before it.
#[derive(Clone, Copy, Debug)]
enum First {
    BeginSubmit,
    Accepted,
    Deferred,
    Rejected,
    Unknown,
    Restart,
    Adopt,
    Retry,
    Cancel,
    CancelUnconfirmed,
    CancelJob,
    Looked,
    Refresh,
    Listed,
    Refused,
    Unanswered,
    Sweep,
}

impl First {
    const ALL: [Self; 17] = [
        Self::BeginSubmit,
        Self::Accepted,
        Self::Deferred,
        Self::Rejected,
        Self::Unknown,
        Self::Restart,
        Self::Adopt,
        Self::Retry,
        Self::Cancel,
        Self::CancelUnconfirmed,
        Self::CancelJob,
        Self::Looked,
        Self::Refresh,
        Self::Listed,
        Self::Refused,
        Self::Unanswered,
        Self::Sweep,
    ];

    /// The state that it finds the task in.
    const fn finds(self) -> TaskState {
        match self {
            Self::BeginSubmit | Self::Cancel | Self::CancelJob => TaskState::Queued,
            Self::Accepted | Self::Deferred | Self::Rejected | Self::Unknown | Self::Restart => {
                TaskState::Submitting
            }
            Self::Adopt | Self::Retry | Self::CancelUnconfirmed | Self::Looked | Self::Sweep => {
                TaskState::Unconfirmed
            }
            Self::Refresh | Self::Listed | Self::Refused | Self::Unanswered => TaskState::Accepted,
        }
    }

    /// The source that events of the task name.
    const fn source(self) -> Source {
        match self {
            Self::BeginSubmit | Self::Accepted | Self::Deferred | Self::Rejected | Self::Unknown => {
                Source::Submit
            }
            Self::Adopt
            | Self::Retry
            | Self::Cancel
            | Self::CancelUnconfirmed
            | Self::CancelJob
            | Self::Refresh => Source::Operator,
            Self::Looked | Self::Listed | Self::Refused | Self::Unanswered => Source::Poll,
            Self::Restart | Self::Sweep => Source::Clock,
        }
    }

    async fn ask(self, store: Store, task: TaskId, job: JobId, poll: Option<DuePoll>) {
        let failure = || Failure::new("code", "words of upstream's answer");
        let end = async |end| store.end_submit(task, at(10), end).await.unwrap();
        let decide =
            async |decision| assert_eq!(store.decide(decision, None, at(10)).await, Ok(Decided::Done));
        let record = async |end| store.record_poll(poll.clone().unwrap(), at(10), at(10), end).await.unwrap();
        match self {
            Self::BeginSubmit => {
                let next = NextRequest::new(Turn::Task(task), at(10), None);
                assert!(store.form(next).await.unwrap().is_some());
            }
            Self::Accepted => end(SubmitEnd::Accepted(UPSTREAM_ID.into())).await,
            Self::Deferred => end(SubmitEnd::Deferred(failure(), HOUR)).await,
            Self::Rejected => end(SubmitEnd::refused(failure(), at(2))).await,
            Self::Unknown => end(lost()).await,
            Self::Restart => store.close_open_submits(at(10)).await.unwrap(),
            Self::Adopt => decide(Decision::Adopt(task, UPSTREAM_ID.into())).await,
            Self::Retry => decide(Decision::Retry { task, new: TaskId::new(at(10)) }).await,
            Self::Cancel | Self::CancelUnconfirmed => decide(Decision::Cancel(task)).await,
            Self::CancelJob => decide(Decision::CancelJob(job)).await,
            Self::Refresh => decide(Decision::Refresh(task)).await,
            Self::Looked => {
                let unique_id = Some("default".to_owned());
                let listed = Found { unique_id, posts: vec![URL.into()], ..Found::default() };
                let found = store.store_lookup(UPSTREAM_ID.into(), listed, at(10)).await;
                assert!(found.unwrap());
            }
            Self::Listed => record(listed(&[])).await,
            Self::Refused => record(PollEnd::Refused).await,
            Self::Unanswered => record(PollEnd::Unanswered(HOUR)).await,
            Self::Sweep => store.sweep(at(0).after(2 * DAY)).await.unwrap(),
        }
    }
}

/// A file whose writer does not run yet, with one task in this state.
async fn file_with(state: TaskState) -> (File, TaskId) {
    let file = File::started().await;
    let task = file.job_of(&[URL.to_owned()]).await[0];
    match state {
        TaskState::Queued => {
            let busy =
                SubmitEnd::Deferred(Failure::new("code", "words of upstream's answer"), Duration::ZERO);
            file.submit(task, busy).await;
        }
        TaskState::Unconfirmed => file.submit(task, lost()).await,
        TaskState::Accepted => file.submit(task, SubmitEnd::Accepted(UPSTREAM_ID.into())).await,
        _ => {}
    }
    assert_eq!(file.state(task).await, state);
    (File::open(file.close().await).await, task)
}

/// Hands these to the writer, which finds them waiting in this order: one commit holds them all.
async fn in_one_commit(file: &mut File, operations: Vec<BoxFuture<'_, ()>>) {
    tokio::join!(join_all(operations), async { file.run() });
}

fn failed_task(task: TaskId) -> ReceivedCallback {
    callback(task, 20, Some(Meaning::Failed(Failure::new("task_failed", WORDS))), UPSTREAM_ID)
}

fn failed_video(task: TaskId) -> ReceivedCallback {
    let meaning = Meaning::VideoFailed("v1".into(), Failure::new("video_failed", WORDS));
    callback(task, 20, Some(meaning), UPSTREAM_ID)
}

/// The source of the one event that has the callback's words. Without such an event the log would prove nothing.
async fn source_of_words(store: &Store, kind: EventKind) -> Source {
    let filter = EventFilter { kind: Some(kind), limit: 100, ..EventFilter::default() };
    let events = store.read().events(&filter).await.unwrap();
    let has_words = |message: &Option<String>| message.as_ref().is_some_and(|text| text.contains(WORDS));
    let told: Vec<_> = events.into_iter().filter(|event| has_words(&event.message)).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    told[0].source
}

fn assert_words_stay_out(log: &Log, kind: EventKind, context: &str) {
    let text = log.text();
    let line = text.lines().find(|line| line.contains(WORDS));
    assert!(line.is_none(), "{context}: {line:?}");
    let says = |line: &str| line.contains("committed") && line.contains(&format!("kind={kind}"));
    assert!(text.lines().any(says), "{context}: the log has the event itself: {text}");
}

#[tokio::test]
async fn a_callback_that_shares_its_commit_with_anything_else_keeps_its_words() {
    for first in First::ALL {
        for (kind, failed) in [
            (EventKind::TaskFailed, failed_task as fn(TaskId) -> ReceivedCallback),
            (EventKind::VideoFailed, failed_video),
        ] {
            // The event of a video names the callback as its source in any case: a few operations are enough for it.
            if kind == EventKind::VideoFailed && first.finds() != TaskState::Accepted {
                continue;
            }
            let (mut file, task) = file_with(first.finds()).await;
            let job = file.store.read().task(task).await.unwrap().unwrap().job_id.unwrap();
            let poll = file.due().await;
            let (log, listening) = Log::begin();
            let (one, two) = (file.store.clone(), file.store.clone());
            // One that names a `taskId` could be the first to touch its task after all.
            let failed = ReceivedCallback { upstream_id: None, ..failed(task) };
            let callback = async move { two.receive_callback(failed).await.unwrap() };
            let both: Vec<BoxFuture<'_, ()>> =
                vec![Box::pin(first.ask(one, task, job, poll)), Box::pin(callback)];
            in_one_commit(&mut file, both).await;
            drop(listening);
            let source = source_of_words(&file.store, kind).await;
            // The event names the other operation as its source, so the two did share a commit.
            if kind == EventKind::TaskFailed {
                assert_eq!(source, first.source(), "{first:?}");
            }
            assert_words_stay_out(&log, kind, &format!("{first:?}, {kind}"));
            file.close().await;
        }
    }
}

#[tokio::test]
async fn a_poll_that_ends_a_task_with_the_words_of_an_earlier_callback_keeps_them() {
    let other = "https://a.example/other";
    let file = File::started().await;
    let task = file.job_of(&[URL.to_owned(), other.to_owned()]).await[0];
    file.submit(task, SubmitEnd::Accepted(UPSTREAM_ID.into())).await;
    let mut file = File::open(file.close().await).await;
    let (log, listening) = Log::begin();
    file.run();
    // Only the poll says which URLs it is about.
    file.store.receive_callback(failed_video(task)).await.unwrap();
    let poll = file.due().await.unwrap();
    let end = listed(&[("v1", VideoState::Failed, URL), ("v1", VideoState::Failed, other)]);
    file.store.record_poll(poll, at(30), at(31), end).await.unwrap();
    drop(listening);
    assert_eq!(source_of_words(&file.store, EventKind::VideoFailed).await, Source::Callback);
    assert_eq!(source_of_words(&file.store, EventKind::TaskFailed).await, Source::Poll);
    assert_words_stay_out(&log, EventKind::TaskFailed, "a poll");
    file.close().await;
}

#[tokio::test]
async fn a_submit_that_takes_in_the_task_of_an_accepted_callback_keeps_its_words() {
    let (mut file, task) = file_with(TaskState::Submitting).await;
    let (log, listening) = Log::begin();
    file.run();
    let ReceivedCallback { body, body_hash, meaning, .. } = failed_task(task);
    let accepted = AcceptedCallback {
        upstream_id: UPSTREAM_ID.to_owned(),
        new: TaskId::new(at(5)),
        at: at(5),
        body,
        body_hash,
        meaning,
    };
    file.store.accept_callback(accepted).await.unwrap();
    let filter = EventFilter { kind: Some(EventKind::TaskFailed), limit: 9, ..EventFilter::default() };
    assert_eq!(file.store.read().events(&filter).await.unwrap()[0].source, Source::Callback);
    file.store.end_submit(task, at(10), SubmitEnd::Accepted(UPSTREAM_ID.into())).await.unwrap();
    drop(listening);
    let ends = file.store.read().events(&filter).await.unwrap();
    assert_eq!((ends[1].task_id, ends[1].source), (Some(task), Source::Submit));
    assert!(ends[1].message.as_ref().unwrap().contains(WORDS));
    assert_words_stay_out(&log, EventKind::TaskFailed, "a task that is taken in");
    file.close().await;
}
