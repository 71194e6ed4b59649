//! Doubts that must not cost money: what a list, a full list, a late callback and a strange refusal leave open.

use scrapehook::domain::callback::Meaning;
use scrapehook::domain::event::EventKind;
use scrapehook::domain::id::JobId;
use scrapehook::domain::job::{JobState, Quality};
use scrapehook::domain::outcome::{Failure, UrlState};
use scrapehook::domain::task::TaskState;
use scrapehook::domain::video::VideoState::{self, Failed, Indexed};
use scrapehook::store::{EventFilter, PolledEntry, SubmitEnd};

use crate::support::file::{File, at, callback, indexed, listed, whole};
use crate::support::rounds::{X, Y, deferred, sent, stands, wanted};

fn unnamed(id: &str, state: VideoState) -> PolledEntry {
    PolledEntry { id: Some(id.to_owned()), state, url: None }
}

async fn kinds(file: &File, job: JobId) -> Vec<EventKind> {
    let filter = EventFilter { job: Some(job), limit: 99, ..EventFilter::default() };
    file.store.read().events(&filter).await.unwrap().into_iter().map(|event| event.kind).collect()
}

/// Polls the task that is due, at the time that it is due, with this answer.
async fn poll(file: &File, answer: Vec<PolledEntry>) {
    let due = file.due().await.expect("a poll is due");
    let now = due.due.max(at(10));
    file.store.record_poll(due, now, now, whole(answer)).await.unwrap();
}

#[tokio::test]
async fn a_task_whose_videos_are_joined_is_polled_until_its_list_is_complete_and_its_posts_are_known() {
    let file = File::started().await;
    let (_, tasks) = sent(&file, &[X, Y], Quality::P360, false).await;
    file.accept(tasks[0]).await;
    file.store.receive_callback(callback(tasks[0], 5, Some(Meaning::Succeeded), "t")).await.unwrap();
    let videos = || vec![unnamed("v", Indexed), unnamed("w", Indexed)];
    let mut polls = 0;
    while file.due().await.is_some() {
        poll(&file, videos()).await;
        polls += 1;
        assert!(polls < 20, "it ends");
    }
    assert!(polls >= 3, "the first brings news, and two more bring none");
    assert_eq!(file.state(tasks[0]).await, TaskState::Indexed);
    let later = wanted(&file, &[X, Y], Quality::P360, false).await;
    let (state, progress) = stands(&file, later).await;
    assert_eq!((state, progress.known), (JobState::Done, 2));
    file.close().await;
}

#[tokio::test]
async fn a_full_list_still_keeps_the_entry_that_decides_about_a_url() {
    let file = File::started().await;
    let (job, tasks) = sent(&file, &[X, Y], Quality::P360, false).await;
    file.accept(tasks[0]).await;
    let entry =
        |id: String, url: &str| PolledEntry { id: Some(id), state: Indexed, url: Some(url.to_owned()) };
    let mut entries: Vec<_> = (0..1_200).map(|n| entry(format!("v{n}"), X)).collect();
    entries.push(entry("w".to_owned(), Y));
    poll(&file, entries).await;
    let rows = file.store.read().job_urls(job, Some(UrlState::Indexed), 0, 9).await.unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1].1.video_ids, ["w"]);
    file.close().await;
}

#[tokio::test]
async fn a_duplicate_on_another_attempt_may_have_been_taken() {
    let file = File::started().await;
    let (job, tasks) = sent(&file, &[X], Quality::P360, false).await;
    let duplicate = || SubmitEnd::refused(Failure::new("0409", "duplicate"), at(2));
    file.submit(tasks[0], deferred()).await;
    assert_eq!(file.send_all(3).await, tasks);
    file.submit(tasks[0], duplicate()).await;
    assert_eq!(file.state(tasks[0]).await, TaskState::Unconfirmed);
    wanted(&file, &[X], Quality::P360, false).await;
    assert!(file.send_all(4).await.is_empty(), "nothing is sent again");
    assert_eq!(stands(&file, job).await.1.sent, 1);
    // On the first attempt it is a refusal like any other.
    let (_, first) = sent(&file, &[Y], Quality::P360, false).await;
    file.submit(first[0], duplicate()).await;
    assert_eq!(file.state(first[0]).await, TaskState::Rejected);
    file.close().await;
}

#[tokio::test]
async fn a_video_is_told_of_once_in_the_commit_that_names_it_and_its_url() {
    let file = File::started().await;
    let first = wanted(&file, &[X], Quality::P360, false).await;
    let (second, tasks) = sent(&file, &[Y], Quality::P360, false).await;
    file.accept(tasks[0]).await;
    let due = file.due().await.unwrap();
    file.store.record_poll(due, at(9), at(9), listed(&[("v", Indexed, X), ("w", Indexed, Y)])).await.unwrap();
    for job in [first, second] {
        let told = kinds(&file, job).await;
        assert_eq!(told.iter().filter(|kind| **kind == EventKind::VideoIndexed).count(), 1, "{told:?}");
    }
    // A video whose URL becomes known later is told of again then, to the job whose URL it is.
    let all = EventFilter { kind: Some(EventKind::VideoIndexed), limit: 9, ..EventFilter::default() };
    assert_eq!(file.store.read().events(&all).await.unwrap().len(), 2);
    file.close().await;
}

#[tokio::test]
async fn late_truth_reopens_a_job_that_stays_partial_and_it_settles_again() {
    let file = File::started().await;
    let (job, tasks) = sent(&file, &[X, Y], Quality::P360, false).await;
    file.accept(tasks[0]).await;
    let due = file.due().await.unwrap();
    file.store.record_poll(due, at(9), at(9), listed(&[("v", Failed, X), ("w", Failed, Y)])).await.unwrap();
    assert_eq!(stands(&file, job).await.0, JobState::Failed);
    file.store.receive_callback(callback(tasks[0], 20, indexed("v"), "t")).await.unwrap();
    assert_eq!(stands(&file, job).await.0, JobState::Partial);
    file.store.receive_callback(callback(tasks[0], 30, indexed("w"), "t")).await.unwrap();
    assert_eq!(stands(&file, job).await.0, JobState::Done);
    let told = kinds(&file, job).await;
    let count = |wanted| told.iter().filter(|kind| **kind == wanted).count();
    assert_eq!((count(EventKind::JobSettled), count(EventKind::JobReopened)), (3, 2), "{told:?}");
    let settled = file.store.read().job(job).await.unwrap().unwrap().settled_at;
    assert_eq!(settled, Some(at(30)));
    file.close().await;
}

#[tokio::test]
async fn a_canceled_round_does_not_hide_that_a_post_travels_alone() {
    let file = File::started().await;
    let (_, tasks) = sent(&file, &[X], Quality::P360, false).await;
    file.submit(tasks[0], SubmitEnd::refused(Failure::new("0003", "no"), at(2))).await;
    let canceled = wanted(&file, &[X], Quality::P360, false).await;
    assert!(crate::support::rounds::decide(&file, scrapehook::store::Decision::CancelJob(canceled), 5).await);
    wanted(&file, &[X, Y], Quality::P360, false).await;
    let mut requests = Vec::new();
    while let Some(request) = file.send(6).await {
        requests.push(request.urls.len());
    }
    assert_eq!(requests, [1, 1]);
    file.close().await;
}

#[tokio::test]
async fn a_job_sees_the_event_of_its_video_once_and_goes_on_to_see_it_after_a_retry() {
    let file = File::started().await;
    let first = wanted(&file, &[X], Quality::P360, false).await;
    let (second, tasks) = sent(&file, &[Y], Quality::P360, false).await;
    file.accept(tasks[0]).await;
    file.store.receive_callback(callback(tasks[0], 5, indexed("v"), "t")).await.unwrap();
    let videos = async |job| {
        let told = kinds(&file, job).await;
        told.into_iter().filter(|kind| kind.as_str().starts_with("video.")).collect::<Vec<_>>()
    };
    assert!(videos(first).await.is_empty(), "nobody knows whose it is");
    let due = file.due().await.unwrap();
    file.store.record_poll(due, at(9), at(9), listed(&[("v", Indexed, X), ("w", Failed, Y)])).await.unwrap();
    let before = (videos(first).await, videos(second).await);
    assert_eq!(before, (vec![EventKind::VideoIndexed], vec![EventKind::VideoFailed]));
    let retried = file.store.retry_job(second, None, None, at(10)).await.unwrap();
    assert_eq!(retried, scrapehook::store::JobRetried::Changed);
    assert_eq!((videos(first).await, videos(second).await), before);
    file.close().await;
}

#[tokio::test]
async fn a_task_that_was_sent_from_a_later_copy_takes_its_posts_out_of_the_queue() {
    let file = File::started().await;
    let job = wanted(&file, &[X], Quality::P360, false).await;
    let folder = file.close().await;
    // An older version had it queued in the copy, and its posts wait again since the copy was carried over.
    let path = folder.path().join("scrapehook.db");
    let mut database = crate::support::database::open(&path).await;
    let task = scrapehook::domain::id::TaskId::new(at(1));
    for sql in [
        "INSERT INTO tasks (id, job_id, platform, destination, quality, created_at, state, settled_at,
           next_attempt_at, news_at, error_code, error_message, error_certain)
         SELECT ?1, id, 'a.example', 1, 360, 1, 'canceled', 1, 1, 1, 'canceled', 'canceled before it was sent', 1
         FROM jobs",
        "INSERT INTO facts (task_id, kind, video_id, at, source) VALUES (?1, 'canceled', '', 1, 'clock')",
    ] {
        sqlx::query(sql).bind(task.to_string()).execute(&mut database).await.unwrap();
    }
    sqlx::Connection::close(database).await.unwrap();
    let mut file = File::open(folder).await;
    file.run();
    file.store.receive_callback(callback(task, 5, indexed("v"), "theirs")).await.unwrap();
    let due = file.due().await.expect("it is polled");
    file.store.record_poll(due, at(9), at(9), listed(&[("v", Indexed, X)])).await.unwrap();
    assert!(file.send(10).await.is_none(), "it is not sent again");
    assert_eq!(stands(&file, job).await.0, JobState::Done);
    file.close().await;
}
