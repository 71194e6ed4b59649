//! What silence means: no more videos, a deadline that passes, and news that comes after all.

use std::time::Duration;

use scrapehook::domain::callback::Meaning;
use scrapehook::domain::job::JobState;
use scrapehook::domain::outcome::{Failure, UrlState};
use scrapehook::domain::task::TaskState;
use scrapehook::domain::time::Timestamp;
use scrapehook::domain::video::VideoState;
use scrapehook::simulator::Faults;
use scrapehook::store::{JobFilter, PollEnd, SubmitEnd};

use crate::support::answers::Event;
use crate::support::file::half;
use crate::support::file::{DAY, File, MINUTE, at, callback, indexed, listed, lost};
use crate::support::{Scene, mixed_urls};

async fn job_state(file: &File) -> JobState {
    let filter = JobFilter { limit: 1, ..JobFilter::default() };
    file.store.read().jobs(&filter).await.unwrap()[0].state
}

async fn poll(file: &File, when: Timestamp, end: PollEnd) {
    let due = file.due().await.expect("a poll is due or will be");
    file.store.record_poll(due, when, when, end).await.unwrap();
}

#[tokio::test]
async fn a_url_without_a_video_fails_after_two_polls_that_list_no_more() {
    let file = File::started().await;
    let urls: Vec<_> = (0..2).map(|n| format!("https://a.example/post{n}")).collect();
    let task = file.job_of(&urls).await[0];
    file.accept(task).await;
    let one = || listed(&[("v1", VideoState::Indexed, &urls[0])]);
    poll(&file, at(1_000), one()).await;
    poll(&file, at(1_000).after(MINUTE * 2), one()).await;
    assert_eq!(file.state(task).await, TaskState::Downloaded, "SUCCEEDED has not been seen");
    file.store.receive_callback(callback(task, 200_000, Some(Meaning::Succeeded), "t")).await.unwrap();
    poll(&file, at(210_000), one()).await;
    let due = file.due().await.unwrap();
    assert_eq!(due.due, at(210_000).after(MINUTE), "the second poll comes when it can settle the task");
    file.store.record_poll(due, at(269_000), at(269_000), one()).await.unwrap();
    assert_eq!(file.state(task).await, TaskState::Downloaded, "too soon");
    poll(&file, at(270_000), one()).await;
    let ended = file.store.read().task(task).await.unwrap().unwrap();
    assert_eq!(ended.state, TaskState::Partial);
    let rows = ended.urls.unwrap();
    assert_eq!(rows[1].error.as_ref().unwrap().failure.code, "no_video");
    assert_eq!(job_state(&file).await, JobState::Partial);
    // A week later there is one after all.
    file.store.receive_callback(callback(task, 900_000, indexed("v2"), "t")).await.unwrap();
    let both = [("v1", VideoState::Indexed, urls[0].as_str()), ("v2", VideoState::Indexed, &urls[1])];
    poll(&file, at(900_000).after(DAY * 7), listed(&both)).await;
    assert_eq!((file.state(task).await, job_state(&file).await), (TaskState::Indexed, JobState::Done));
    file.close().await;
}

#[tokio::test]
async fn a_new_video_between_two_polls_begins_the_wait_anew() {
    let file = File::started().await;
    let urls: Vec<_> = (0..2).map(|n| format!("https://a.example/post{n}")).collect();
    let task = file.job_of(&urls).await[0];
    file.accept(task).await;
    file.store.receive_callback(callback(task, 100, Some(Meaning::Succeeded), "t")).await.unwrap();
    poll(&file, at(1_000), listed(&[])).await;
    let url = urls[0].as_str();
    poll(&file, at(1_000).after(MINUTE), listed(&[("v1", VideoState::Indexed, url)])).await;
    assert_eq!(file.state(task).await, TaskState::Downloaded);
    // The answer that brought the news is none of the two that bring nothing.
    poll(&file, at(1_000).after(MINUTE * 2), listed(&[("v1", VideoState::Indexed, url)])).await;
    assert_eq!(file.state(task).await, TaskState::Downloaded);
    poll(&file, at(1_000).after(MINUTE * 3), listed(&[("v1", VideoState::Indexed, url)])).await;
    assert_eq!(file.state(task).await, TaskState::Partial);
    file.close().await;
}

#[tokio::test]
async fn a_list_that_was_not_read_whole_proves_no_silence() {
    let file = File::started().await;
    let task = file.job(&["a"]).await[0];
    file.accept(task).await;
    file.store.receive_callback(callback(task, 100, Some(Meaning::Succeeded), "t")).await.unwrap();
    for (minute, end) in
        [(1, half(Vec::new())), (3, half(Vec::new())), (5, listed(&[])), (7, half(Vec::new()))]
    {
        poll(&file, at(0).after(MINUTE * minute), end).await;
        assert_eq!(file.state(task).await, TaskState::Downloaded);
    }
    poll(&file, at(0).after(MINUTE * 8), listed(&[])).await;
    assert_eq!(file.state(task).await, TaskState::Failed, "one in part takes back nothing either");
    file.close().await;
}

#[tokio::test]
async fn what_is_silent_for_too_long_ends_and_news_reopens_it() {
    let file = File::started().await;
    let tasks = file.job(&["a", "b", "c"]).await;
    file.accept(tasks[0]).await;
    file.submit(tasks[1], lost()).await;
    let busy = SubmitEnd::Deferred(Failure::new("http_503", "down"), Duration::ZERO);
    file.submit(tasks[2], busy).await;
    file.store.sweep(at(0).after(DAY)).await.unwrap();
    assert_eq!(file.state(tasks[0]).await, TaskState::Accepted, "not yet: news came two milliseconds later");
    let late = at(10).after(DAY);
    file.store.sweep(late).await.unwrap();
    assert_eq!(file.state(tasks[0]).await, TaskState::Accepted, "nobody has asked upstream since");
    poll(&file, late, listed(&[])).await;
    file.store.sweep(late.after(MINUTE)).await.unwrap();
    file.store.sweep(late.after(MINUTE * 2)).await.unwrap();
    let states = [file.state(tasks[0]).await, file.state(tasks[1]).await, file.state(tasks[2]).await];
    assert_eq!(states, [TaskState::Stalled, TaskState::Unconfirmed, TaskState::Queued]);
    let unconfirmed = file.store.read().task(tasks[1]).await.unwrap().unwrap();
    let url = &unconfirmed.urls.unwrap()[0];
    assert_eq!(
        (url.state, url.error.as_ref().unwrap().failure.code.as_str()),
        (UrlState::Failed, "unconfirmed")
    );
    assert_eq!(file.send(10).await.unwrap().task, tasks[2]);
    file.accept(tasks[2]).await;
    for (n, task) in tasks.iter().enumerate() {
        assert_eq!(job_state(&file).await, JobState::Running);
        let (video, id) = (format!("v{n}"), format!("t{n}"));
        file.store.receive_callback(callback(*task, 20, indexed(&video), &id)).await.unwrap();
        assert_eq!(file.state(*task).await, TaskState::Indexed, "it can only be its one URL's");
    }
    assert_eq!(job_state(&file).await, JobState::Done);
    file.close().await;
}

#[tokio::test]
async fn where_upstream_gives_no_answer_a_silent_task_ends_and_nobody_pays_for_its_urls_again() {
    let file = File::started().await;
    let url = ["https://a.example/post".to_owned()];
    let task = file.job_of(&url).await[0];
    file.accept(task).await;
    assert_eq!(file.job_of(&url).await, [], "it shares the round");
    let late = at(10).after(DAY);
    poll(&file, late, PollEnd::Unanswered(MINUTE)).await;
    file.store.sweep(late.after(MINUTE)).await.unwrap();
    assert_eq!(file.state(task).await, TaskState::Stalled);
    let jobs = file.store.read().jobs(&JobFilter { limit: 9, ..JobFilter::default() }).await.unwrap();
    assert_eq!(jobs.iter().map(|job| job.state).collect::<Vec<_>>(), [JobState::Failed; 2]);
    assert!(file.send(20).await.is_none());
    // It is asked less and less, for another deadline. Nothing new is no reason to pay; what has been indexed since is.
    let mut waits = Vec::new();
    let mut asked = late.after(MINUTE * 9);
    poll(&file, asked, PollEnd::Unanswered(MINUTE)).await;
    for _ in 0..6 {
        let due = file.store.read().next_poll(&[]).await.unwrap().expect("it is asked again").due;
        waits.push(due.since(asked));
        asked = due;
        poll(&file, asked, PollEnd::Unanswered(MINUTE)).await;
    }
    assert!(waits.is_sorted() && waits[1] > waits[0], "{waits:?}");
    poll(&file, asked.after(MINUTE), listed(&[("v", VideoState::Indexed, &url[0])])).await;
    file.store.receive_callback(callback(task, 20, Some(Meaning::Succeeded), "t")).await.unwrap();
    let jobs = file.store.read().jobs(&JobFilter { limit: 9, ..JobFilter::default() }).await.unwrap();
    assert_eq!(jobs.iter().map(|job| job.state).collect::<Vec<_>>(), [JobState::Done; 2]);
    file.close().await;
}

#[tokio::test]
async fn neither_silence_nor_a_failure_after_it_sends_a_post_again_that_others_wait_for() {
    let file = File::started().await;
    let url = ["https://a.example/post".to_owned()];
    let task = file.job_of(&url).await[0];
    file.accept(task).await;
    assert_eq!(file.job_of(&url).await, [], "it shares the round");
    poll(&file, at(10).after(DAY), half(Vec::new())).await;
    poll(&file, at(10).after(DAY + MINUTE), PollEnd::Refused).await;
    file.store.sweep(at(11).after(DAY + MINUTE)).await.unwrap();
    assert_eq!(file.state(task).await, TaskState::Stalled);
    assert!(file.send(30).await.is_none(), "neither says what there is");
    let failed = Some(Meaning::Failed(Failure::new("task_failed", "no")));
    file.store.receive_callback(callback(task, 20, failed, "t")).await.unwrap();
    assert_eq!(file.state(task).await, TaskState::Failed);
    assert!(file.send(30).await.is_none(), "nobody has asked");
    assert_eq!(file.job_of(&url).await.len(), 1, "a new job asks");
    file.close().await;
}

#[tokio::test]
async fn a_stalled_task_that_upstream_answered_for_is_asked_about_once_more() {
    let file = File::started().await;
    let url = ["https://a.example/post".to_owned()];
    let task = file.job_of(&url).await[0];
    file.accept(task).await;
    assert_eq!(file.job_of(&url).await, [], "it shares the round");
    poll(&file, at(10).after(DAY), listed(&[])).await;
    file.store.sweep(at(11).after(DAY)).await.unwrap();
    assert_eq!(file.state(task).await, TaskState::Stalled);
    assert!(file.send(30).await.is_none(), "nobody has asked");
    let last = at(11).after(DAY + MINUTE);
    assert_eq!(file.due().await.unwrap().due, last);
    poll(&file, last, listed(&[])).await;
    assert_eq!(file.due().await, None);
    assert_eq!(file.job_of(&url).await.len(), 1, "a new job asks");
    file.close().await;
}

#[tokio::test]
async fn a_poll_of_a_future_that_was_taken_back_proves_no_silence() {
    let file = File::started().await;
    let task = file.job(&["a"]).await[0];
    file.accept(task).await;
    let before = at(100);
    poll(&file, before.after(DAY * 30), listed(&[])).await;
    file.store.clock_set_back(before).await.unwrap();
    file.store.sweep(before.after(DAY + MINUTE)).await.unwrap();
    assert_eq!(file.state(task).await, TaskState::Accepted, "nobody has asked in this time");
    poll(&file, before.after(DAY + MINUTE), listed(&[])).await;
    file.store.sweep(before.after(DAY + MINUTE * 2)).await.unwrap();
    assert_eq!(file.state(task).await, TaskState::Stalled);
    file.close().await;
}

#[tokio::test]
async fn the_service_ends_a_job_whose_posts_have_no_video() {
    let faults = Faults { no_video: 0.5, ..Faults::default() };
    let (_upstream, service) = Scene::new()
        .faults(faults)
        .set("RECONCILE__AFTER", "50ms")
        .set("RECONCILE__SETTLE_AFTER", "100ms")
        .start()
        .await;
    let job = service.submit(&mixed_urls(12)).await;
    assert_eq!(service.until_settled(&job).await.state, "partial");
    let failed = service.items(&format!("/v1/jobs/{job}/urls?state=failed")).await;
    assert!(!failed.is_empty() && failed.iter().all(|row| row["error"]["code"] == "no_video"), "{failed:?}");
    service.stop().await;
}

#[tokio::test]
async fn the_service_stops_waiting_for_what_upstream_never_speaks_of() {
    let faults = Faults { cut: 1.0, lose: 1.0, ..Faults::default() };
    let (_upstream, service) = Scene::new().faults(faults).set("RECONCILE__DEADLINE", "200ms").start().await;
    let job = service.submit(&mixed_urls(1)).await;
    assert_eq!(service.until_settled(&job).await.state, "failed");
    let events: Vec<Event> = service.list("/v1/events?kind=task.stalled").await;
    assert_eq!(events.iter().map(|event| event.source.as_str()).collect::<Vec<_>>(), ["clock"]);
    service.stop().await;
}
