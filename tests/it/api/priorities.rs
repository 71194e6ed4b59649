//! A job changes its priority while it waits: what waits of it takes the new one over, and nothing else changes.

use scrapehook::domain::id::{JobId, TaskId};
use scrapehook::domain::job::{JobOptions, Quality};
use scrapehook::domain::outcome::Failure;
use scrapehook::domain::queue::Priority::{self, High, Low, Normal};
use scrapehook::domain::url::PostUrl;
use scrapehook::store::{Decision, JobPatch, JobPatched, NewJob, SubmitEnd};

use crate::support::file::{File, MINUTE, at};
use crate::support::queue::{ask, post, requests_until};

async fn change(file: &File, job: JobId, priority: Priority, millis: i64) -> JobPatched {
    let patch = JobPatch { priority: Some(priority), labels: None };
    file.store.patch_job(job, patch, at(millis)).await.unwrap()
}

fn posts(line: usize, numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| post(line, number)).collect()
}

/// The first URL of each request, until nothing waits.
async fn heads(file: &File, millis: i64) -> Vec<String> {
    let mut heads = Vec::new();
    while let Some(request) = file.send(millis).await {
        heads.push(request.urls[0].clone());
    }
    heads
}

#[tokio::test]
async fn an_urgent_job_overtakes_and_keeps_the_order_of_its_urls() {
    let file = File::started().await;
    ask(&file, "key", Normal, posts(0, 0..150)).await;
    let late = ask(&file, "key", Normal, posts(0, 150..300)).await;
    assert_eq!(file.send(1).await.unwrap().urls[0], post(0, 0));
    assert_eq!(change(&file, late, High, 2).await, JobPatched::Done);
    let order = [150, 200, 250, 50, 100].map(|number| post(0, number));
    assert_eq!(heads(&file, 3).await, order);
    file.close().await;
}

#[tokio::test]
async fn a_job_that_can_wait_lets_the_others_pass() {
    let file = File::started().await;
    let patient = ask(&file, "key", Normal, posts(0, 0..100)).await;
    ask(&file, "key", Normal, posts(0, 100..200)).await;
    change(&file, patient, Low, 1).await;
    assert_eq!(heads(&file, 2).await, [100, 150, 0, 50].map(|number| post(0, number)));
    assert_eq!(file.store.read().job(patient).await.unwrap().unwrap().priority, Low);
    file.close().await;
}

#[tokio::test]
async fn a_priority_that_comes_back_leaves_the_order_as_it_was() {
    let mut orders = Vec::new();
    for changes in [&[][..], &[High, Low, Normal]] {
        let file = File::started().await;
        let one = ask(&file, "key", Normal, posts(0, 0..150)).await;
        ask(&file, "key", Normal, posts(0, 150..300)).await;
        ask(&file, "key", Normal, posts(1, 0..100)).await;
        file.send(1).await.unwrap();
        for priority in changes {
            change(&file, one, *priority, 2).await;
        }
        orders.push(heads(&file, 3).await);
        file.close().await;
    }
    assert_eq!(orders[0], orders[1]);
}

#[tokio::test]
async fn a_post_that_others_want_keeps_the_place_that_they_have() {
    let file = File::started().await;
    let shared = post(0, 0);
    ask(&file, "one", High, vec![shared.clone()]).await;
    let patient = ask(&file, "one", High, vec![shared.clone(), post(0, 1)]).await;
    ask(&file, "one", Normal, posts(1, 0..1)).await;
    change(&file, patient, Low, 1).await;
    let first = file.send(2).await.unwrap();
    assert_eq!(first.urls, [shared, post(0, 1)], "and the rest of the request is filled as ever");
    file.close().await;
}

#[tokio::test]
async fn another_key_is_not_affected() {
    let file = File::started().await;
    let shared = post(0, 99);
    let urgent = ask(&file, "one", Low, vec![shared.clone()]).await;
    ask(&file, "two", Normal, posts(0, 0..100)).await;
    ask(&file, "two", Normal, posts(1, 0..1)).await;
    change(&file, urgent, High, 1).await;
    let requests = requests_until(&file, &post(1, 0)).await;
    assert!(requests <= 3, "{requests} requests: each key has its turns");
    file.close().await;
}

#[tokio::test]
async fn the_same_priority_changes_nothing() {
    let file = File::started().await;
    let job = ask(&file, "key", High, posts(0, 0..100)).await;
    ask(&file, "key", High, posts(0, 100..200)).await;
    file.send(1).await.unwrap();
    assert_eq!(change(&file, job, High, 2).await, JobPatched::Done);
    assert_eq!(heads(&file, 3).await, [100, 50, 150].map(|number| post(0, number)));
    file.close().await;
}

#[tokio::test]
async fn what_was_sent_has_no_priority_any_more() {
    let file = File::started().await;
    let job = ask(&file, "key", Normal, posts(0, 0..2)).await;
    let sent = file.send(1).await.unwrap();
    let nothing = JobPatched::NothingWaits { known: 0, on_their_way: 2, failed: 0, canceled: 0 };
    assert_eq!(change(&file, job, High, 2).await, nothing);
    file.accept(sent.task).await;
    assert_eq!(change(&file, job, Normal, 3).await, nothing, "also the priority that it has");
    let labels = JobPatch { priority: Some(High), labels: Some([("a".into(), "b".into())].into()) };
    assert_eq!(file.store.patch_job(job, labels.clone(), at(4)).await.unwrap(), nothing);
    let read = file.store.read().job(job).await.unwrap().unwrap();
    assert_eq!((read.priority, read.labels.len()), (Normal, 0), "all or nothing");
    let labels = JobPatch { priority: None, ..labels };
    assert_eq!(file.store.patch_job(job, labels, at(5)).await.unwrap(), JobPatched::Done);
    let unknown = change(&file, JobId::new(at(9)), High, 6).await;
    assert_eq!(unknown, JobPatched::NoJob);
    file.close().await;
}

#[tokio::test]
async fn a_task_that_waits_takes_the_best_priority_of_its_posts() {
    for (priority, is_first) in [(High, true), (Normal, false), (Low, false)] {
        let file = File::started().await;
        let job = ask(&file, "key", Low, posts(0, 0..1)).await;
        let task = file.send(1).await.unwrap().task;
        let failure = Failure::new("0429", "too fast");
        file.submit(task, SubmitEnd::Deferred(failure, MINUTE)).await;
        ask(&file, "key", Normal, posts(1, 0..1)).await;
        ask(&file, "key", Normal, posts(2, 0..1)).await;
        change(&file, job, priority, 3).await;
        let mut order = Vec::new();
        while let Some(request) = file.send(120_000).await {
            order.push(request.task);
        }
        let place = order.iter().position(|sent| *sent == task).unwrap();
        assert_eq!(place == 0, is_first || priority == Normal, "{priority}: {place}");
        assert_eq!(place == 2, priority == Low, "{priority}: {place}");
        file.close().await;
    }
}

#[tokio::test]
async fn a_task_of_several_jobs_is_as_urgent_as_the_most_urgent_of_them() {
    let file = File::started().await;
    let patient = ask(&file, "key", Normal, posts(0, 0..1)).await;
    ask(&file, "key", Normal, posts(0, 1..2)).await;
    let task = file.send(1).await.unwrap().task;
    file.submit(task, SubmitEnd::Deferred(Failure::new("0429", "too fast"), MINUTE)).await;
    ask(&file, "key", Low, posts(1, 0..1)).await;
    change(&file, patient, Low, 3).await;
    assert_eq!(file.send(120_000).await.unwrap().task, task);
    file.close().await;
}

#[tokio::test]
async fn a_retry_takes_the_new_priority() {
    let file = File::started().await;
    let job = ask(&file, "key", Normal, posts(0, 0..60)).await;
    let task = file.send(1).await.unwrap().task;
    file.submit(task, SubmitEnd::refused(Failure::new("0409", "no"), at(2))).await;
    change(&file, job, High, 3).await;
    let new = TaskId::new(at(4));
    file.store.decide(Decision::Retry { task, new }, Some("key".to_owned()), at(4)).await.unwrap();
    ask(&file, "key", Normal, posts(1, 0..1)).await;
    assert_eq!(file.send(5).await.unwrap().task, new);
    assert_eq!(file.send(5).await.unwrap().urls.len(), 10);
    file.close().await;
}

#[tokio::test]
async fn a_key_that_waits_neither_gains_nor_loses_turns() {
    let mut orders = Vec::new();
    for changes in [&[][..], &[High, Low, High, Low]] {
        let file = File::started().await;
        let one = ask(&file, "one", Normal, posts(0, 0..500)).await;
        ask(&file, "two", Normal, posts(1, 0..500)).await;
        let mut order = Vec::new();
        for number in 0..10 {
            if let Some(priority) = changes.get(number) {
                change(&file, one, *priority, 1).await;
            }
            order.push(file.send(1).await.unwrap().urls[0].clone());
        }
        orders.push(order);
        file.close().await;
    }
    assert_eq!(orders[0], orders[1]);
}

#[tokio::test]
async fn a_better_quality_keeps_the_claim_of_a_priority_that_has_waited() {
    let file = File::started().await;
    ask(&file, "key", Low, posts(1, 0..1)).await;
    ask(&file, "key", High, posts(0, 0..500)).await;
    let options = JobOptions { quality: Quality::P720, priority: Low, ..JobOptions::default() };
    // The post moves to another line after nine minutes, and its priority has waited for ten all the same.
    let nine = 9 * 60_000;
    assert_eq!(file.send(nine).await.unwrap().platform.to_string(), "tiktok");
    let better = NewJob {
        id: JobId::new(at(nine)),
        at: at(nine),
        created_by: Some("key".to_owned()),
        options,
        urls: vec![PostUrl::parse(&post(1, 0)).unwrap()],
        force: false,
        callback: None,
        idempotency: None,
    };
    file.store.create_job(better).await.unwrap();
    assert_eq!(file.send(nine + 60_000).await.unwrap().platform.to_string(), "youtube");
    file.close().await;
}
