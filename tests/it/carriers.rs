//! Who carries a URL changes: a queued task makes way, a retry leaves out.

use scrapehook::domain::callback::Meaning;
use scrapehook::domain::id::TaskId;
use scrapehook::domain::task::TaskState;
use scrapehook::simulator::{Faults, Settings};
use scrapehook::store::Decision;
use serde_json::{Value, json};

use crate::file::{File, at, callback, indexed, lost};
use crate::support::{Setup, mixed_urls, simulator};

fn urls(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("https://a.example/{name}")).collect()
}

#[tokio::test]
async fn a_queued_retry_is_not_sent_once_its_old_task_proves_itself() {
    let faults = Faults { cut: 1.0, lose: 1.0, ..Faults::default() };
    let upstream = simulator(Settings { faults, ..Settings::default() }).await;
    let service = Setup::new(&upstream.url()).await.start().await;
    let job = service.submit(&mixed_urls(1)).await;
    let unconfirmed = service.until("/v1/tasks?state=unconfirmed", |page| page["items"][0].is_object()).await;
    let old = unconfirmed["items"][0]["id"].as_str().unwrap().to_owned();
    let _ = service.call("/v1/pause", Value::Null).await;
    let (status, new) = service.call(&format!("/v1/tasks/{old}/retry"), Value::Null).await;
    assert_eq!(status, 202);
    let submits = upstream.submits();
    let path = submits[0].body.callback_url.as_ref().unwrap().strip_prefix(&service.base).unwrap();
    let body = json!({ "taskId": submits[0].task_id, "status": "SUCCEEDED" }).to_string();
    assert_eq!(service.post_callback(path, body).await, 200);
    assert_eq!(service.get(&format!("/v1/jobs/{job}")).await["progress"]["waiting"], 1);
    let _ = service.call("/v1/resume", Value::Null).await;
    // Polls bring the videos; the retry is canceled and costs nothing.
    assert_eq!(service.call(&format!("/v1/tasks/{old}/refresh"), Value::Null).await.0, 200);
    assert_eq!(service.until_settled(&job).await["state"], "done");
    let new = service.get(&format!("/v1/tasks/{}", new["id"].as_str().unwrap())).await;
    assert_eq!((&new["state"], &new["retry_of"]), (&json!("canceled"), &json!(old)));
    assert_eq!(service.get(&format!("/v1/tasks/{old}")).await["replaced_by"], Value::Null);
    assert_eq!(upstream.submitted(), 1);
    service.stop().await;
}

#[tokio::test]
async fn a_queued_task_sends_only_what_no_other_task_has_on_its_way_by_then() {
    let file = File::started().await;
    let slow = file.job_of(&urls(&["x", "y"])).await[0];
    let forced = file.job_with(&urls(&["y"]), true).await[0];
    // Both wait: neither makes way for what is not sent.
    assert_eq!(file.store.begin_submit(forced, at(1)).await, Ok(true));
    assert_eq!(file.store.begin_submit(slow, at(2)).await, Ok(false));
    assert_eq!(file.state(slow).await, TaskState::Canceled);
    let rest = file.store.read().task(slow).await.unwrap().unwrap().replaced_by.unwrap();
    let task = file.store.read().task(rest).await.unwrap().unwrap();
    let left: Vec<_> = task.urls.unwrap().into_iter().map(|url| url.url).collect();
    assert_eq!((left, task.state, task.retry_of), (urls(&["x"]), TaskState::Queued, None));
    assert_eq!(file.store.begin_submit(rest, at(3)).await, Ok(true));
    let job = file.store.read().job(task.job_id.unwrap()).await.unwrap().unwrap();
    assert_eq!((job.progress.urls, job.progress.sent), (2, 2));
    file.close().await;
}

#[tokio::test]
async fn a_forced_job_makes_no_way_and_its_retry_leaves_nothing_out() {
    let file = File::started().await;
    let first = file.job_of(&urls(&["x"])).await[0];
    file.accept(first).await;
    file.store.receive_callback(callback(first, 3, indexed("v"), "t")).await.unwrap();
    let forced = file.job_with(&urls(&["x"]), true).await[0];
    file.submit(forced, lost()).await;
    let new = TaskId::new(at(5));
    assert!(file.store.decide(Decision::Retry { task: forced, new }, None, at(5)).await.unwrap());
    assert_eq!(file.store.begin_submit(new, at(6)).await, Ok(true));
    file.close().await;
}

#[tokio::test]
async fn an_operators_refresh_goes_before_polls_that_are_overdue() {
    let file = File::started().await;
    let tasks = file.job(&["a", "b"]).await;
    for task in &tasks {
        file.accept(*task).await;
    }
    assert_eq!(file.due().await.unwrap().task, tasks[0]);
    assert!(file.store.decide(Decision::Refresh(tasks[1]), None, at(1_000_000)).await.unwrap());
    let due = file.due().await.unwrap();
    assert_eq!(due.task, tasks[1]);
    file.store
        .record_poll(
            due,
            at(1_000_001),
            at(1_000_002),
            scrapehook::store::PollEnd::Unanswered(Default::default()),
        )
        .await
        .unwrap();
    assert_eq!(file.due().await.unwrap().task, tasks[0], "asked once");
    file.close().await;
}

#[tokio::test]
async fn a_task_that_a_callback_without_a_task_id_has_proven_can_still_be_given_one() {
    let file = File::started().await;
    let task = file.job_of(&urls(&["x"])).await[0];
    file.submit(task, lost()).await;
    let mut nameless = callback(task, 5, Some(Meaning::Succeeded), "");
    nameless.upstream_id = None;
    file.store.receive_callback(nameless).await.unwrap();
    assert!(!file.store.decide(Decision::Refresh(task), None, at(6)).await.unwrap());
    assert!(file.store.decide(Decision::Adopt(task, "theirs".to_owned()), None, at(7)).await.unwrap());
    assert!(file.store.decide(Decision::Refresh(task), None, at(8)).await.unwrap());
    file.close().await;
}
