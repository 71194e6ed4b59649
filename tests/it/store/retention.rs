//! Retention: what goes, what stays, and that nothing old comes back as new.

use std::time::Duration;

use reqwest::Method;
use scrapehook::domain::callback::Meaning;
use scrapehook::domain::task::TaskState;
use scrapehook::domain::video::VideoState;
use scrapehook::store::{AttemptEnd, CallbackPage, EndedAttempt, EventFilter, NewDelivery, Pass, Progress};
use serde_json::json;

use crate::support::file::{DAY, File, at, callback, indexed, listed};
use crate::support::{Scene, mixed_urls};

/// A whole pass; gives how much was removed.
async fn prune(file: &File, before: i64) -> u64 {
    let mut pass = Pass::default();
    while let Some(next) = file.store.prune(at(before), pass).await.unwrap() {
        pass = next;
    }
    pass.removed
}

#[tokio::test]
async fn deliveries_go_once_they_ended_long_ago_and_stay_while_they_wait() {
    let file = File::started().await;
    file.job(&["a"]).await;
    let delivery = |seq: i64| NewDelivery {
        subscriber: None,
        job: Some(1),
        key: seq.to_string(),
        seq,
        receiver: "receiver.example".to_owned(),
        order: vec![1],
        is_dead: false,
    };
    let deliveries = (1..=3).map(delivery).collect();
    file.store.enqueue_deliveries(deliveries, Progress::Forwarded(3), at(0)).await.unwrap();
    let dead = AttemptEnd::Failed { status: None, reason: "no answer".to_owned(), next_at: None };
    for (number, end, ended) in [(1, AttemptEnd::Delivered { status: 200 }, 10), (2, dead, 20)] {
        let attempt = EndedAttempt { delivery: number, began_at: at(5), at: at(ended), end };
        file.store.end_attempts(vec![attempt], DAY).await.unwrap();
    }
    assert_eq!(prune(&file, 10).await, 0);
    assert_eq!(prune(&file, 15).await, 1);
    assert_eq!((prune(&file, 1_000).await, prune(&file, 1_000).await), (1, 0));
    file.close().await;
}

#[tokio::test]
async fn what_settled_long_ago_loses_its_bodies_and_events_and_nothing_else() {
    let file = File::started().await;
    let urls: Vec<_> = ["a", "b"].map(|host| format!("https://{host}.example/post")).into();
    let (old, waiting) = (file.job_of(&urls[..1]).await[0], file.job_of(&urls[1..]).await[0]);
    for task in [old, waiting] {
        file.accept(task).await;
        file.store.receive_callback(callback(task, 10, Some(Meaning::Succeeded), "t")).await.unwrap();
    }
    file.store.receive_callback(callback(old, 20, indexed("v"), "t")).await.unwrap();
    // The newest one stays what it is, whatever it is.
    file.store.receive_callback(callback(waiting, 25, None, "t")).await.unwrap();
    let poll = file.due().await.unwrap();
    assert_eq!(poll.task, old);
    file.store
        .record_poll(poll, at(30), at(30), listed(&[("v", VideoState::Indexed, &urls[0])]))
        .await
        .unwrap();
    assert_eq!(file.state(old).await, TaskState::Indexed);
    let all = EventFilter { limit: 500, ..EventFilter::default() };
    let before = file.store.read().events(&all).await.unwrap();
    // The only video of its only URL was its end.
    assert_eq!(prune(&file, 20).await, 0, "it settled no earlier");

    let removed = prune(&file, 1_000).await;
    let left = file.store.read().events(&all).await.unwrap();
    assert!(left.iter().all(|event| event.task_id != Some(old)), "{left:?}");
    assert!(left.iter().any(|event| event.task_id == Some(waiting)), "what has not settled keeps all");
    assert_eq!(removed, (before.len() - left.len()) as u64 + 2);
    let bodies = async |task| {
        let page = CallbackPage { task, before: None, limit: 10 };
        let callbacks = file.store.read().callbacks(page).await.unwrap();
        callbacks
            .into_iter()
            .map(|callback| (callback.body.is_some(), callback.deliveries))
            .collect::<Vec<_>>()
    };
    assert_eq!(bodies(old).await, [(false, 1), (false, 1)]);
    assert_eq!(bodies(waiting).await, [(true, 1), (true, 1)]);
    assert_eq!(prune(&file, 1_000).await, 0, "a second pass finds nothing");
    let gone = before.iter().filter(|event| !left.contains(event)).map(|event| event.seq).max().unwrap();
    assert_eq!(file.store.read().events_removed_to().await.unwrap(), gone);

    // The same body again is a redelivery, the same post known, and a new body opens the task again.
    file.store.receive_callback(callback(old, 10, Some(Meaning::Succeeded), "t")).await.unwrap();
    assert_eq!(bodies(old).await, [(false, 1), (false, 2)]);
    assert_eq!(file.store.read().events(&all).await.unwrap(), left);
    assert_eq!(file.job_of(&urls[..1]).await, [], "known: no task is made");
    // What it hears later is kept as long as it is young.
    file.store.receive_callback(callback(old, 2_000, indexed("w"), "t")).await.unwrap();
    prune(&file, 1_500).await;
    assert_eq!(bodies(old).await, [(true, 1), (false, 1), (false, 2)]);
    file.close().await;
}

#[tokio::test]
async fn an_event_stays_until_everybody_is_told() {
    let file = File::started().await;
    let urls = vec!["https://a.example/post".to_owned()];
    let task = file.job_of(&urls).await[0];
    file.accept(task).await;
    file.store.receive_callback(callback(task, 10, Some(Meaning::Succeeded), "t")).await.unwrap();
    file.store.receive_callback(callback(task, 20, indexed("v"), "t")).await.unwrap();
    let poll = file.due().await.unwrap();
    let end = listed(&[("v", VideoState::Indexed, &urls[0])]);
    file.store.record_poll(poll, at(30), at(30), end).await.unwrap();
    let all = EventFilter { limit: 500, ..EventFilter::default() };
    let seqs = async || -> Vec<i64> {
        file.store.read().events(&all).await.unwrap().iter().map(|event| event.seq).collect()
    };
    let last = *seqs().await.last().unwrap();
    let delivery = NewDelivery {
        subscriber: None,
        job: Some(1),
        key: last.to_string(),
        seq: last,
        receiver: "receiver.example".to_owned(),
        order: vec![1],
        is_dead: false,
    };
    file.store.enqueue_deliveries(vec![delivery], Progress::Forwarded(last), at(40)).await.unwrap();
    prune(&file, 1_000).await;
    assert_eq!(seqs().await, [last]);
    let end = AttemptEnd::Delivered { status: 200 };
    let attempt = EndedAttempt { delivery: 1, began_at: at(50), at: at(50), end };
    file.store.end_attempts(vec![attempt], DAY).await.unwrap();
    prune(&file, 1_000).await;
    assert!(seqs().await.is_empty());
    file.close().await;
}

#[tokio::test]
async fn a_long_file_is_passed_over_in_small_steps_and_shrinks() {
    let file = File::started().await;
    let urls: Vec<_> = (0..300).map(|n| format!("https://h{n}.example/post")).collect();
    let tasks = file.job_of(&urls).await;
    for (n, task) in tasks.iter().enumerate() {
        file.accept(*task).await;
        let (video, url) = (
            format!("v{n}"),
            file.store.read().task(*task).await.unwrap().unwrap().urls.unwrap()[0].url.clone(),
        );
        for noise in 0..8 {
            let mut body = callback(*task, 10, None, &format!("t{noise}"));
            // A large one leaves more pages than its step gives back.
            body.body = format!("{noise}{}", "x".repeat(if noise == 0 { 60_000 } else { 3_000 })).into();
            file.store.receive_callback(body).await.unwrap();
        }
        file.store.receive_callback(callback(*task, 10, indexed(&video), "t")).await.unwrap();
        let poll = scrapehook::store::DuePoll {
            task: *task,
            upstream_id: format!("upstream-{task}"),
            unique_id: None,
            news: 99,
            due: at(0),
        };
        let all = listed(&[(&video, VideoState::Indexed, &url)]);
        file.store.record_poll(poll, at(20), at(20), all).await.unwrap();
    }
    let mut pass = Pass::default();
    let mut steps = 0;
    while let Some(next) = file.store.prune(at(0).after(DAY), pass).await.unwrap() {
        (pass, steps) = (next, steps + 1);
    }
    assert!(steps > 4, "{steps} steps");
    assert!(pass.removed > 300 * 12, "{pass:?}");
    let path = file.folder.path().join("scrapehook.db");
    let folder = file.close().await;
    let free: i64 = sqlx::query_scalar("PRAGMA freelist_count")
        .fetch_one(&mut crate::support::database::open(&path).await)
        .await
        .unwrap();
    // A pass leaves pages for one step of the next.
    assert!(free <= 500, "{free} free pages are kept");
    let bytes = std::fs::metadata(&path).unwrap().len() as i64 - free * 4_096;
    assert!(bytes < 3_000_000, "some 24 MiB of bodies are gone: {bytes} bytes are left");
    drop(folder);
}

#[tokio::test]
async fn a_pass_ends_however_many_callbacks_arrive_meanwhile() {
    let file = File::started().await;
    let task = file.job(&["a"]).await[0];
    file.accept(task).await;
    let mut pass = Pass::default();
    for n in 0..10 {
        file.store.receive_callback(callback(task, 2_000 + n, None, &n.to_string())).await.unwrap();
        match file.store.prune(at(1_000), pass).await.unwrap() {
            Some(next) => pass = next,
            None => {
                file.close().await;
                return;
            }
        }
    }
    panic!("it follows what arrives: {pass:?}");
}

#[tokio::test]
async fn a_cursor_before_what_was_removed_is_gone() {
    let (_upstream, service) = Scene::new().set("RETENTION__AFTER", "1ms").start().await;
    let job = service.submit(&mixed_urls(3)).await;
    service.until_settled(&job).await;
    let removed = async {
        loop {
            let (status, _) = service.ask("/v1/events?after=1").await;
            if status == 410 {
                return;
            }
            // Each new job has the pruner look again, once it has rested.
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), removed).await.expect("removed in time");
    let (_, problem) = service.ask("/v1/events?after=1").await;
    assert_eq!(problem["code"], "cursor_gone");
    let stream =
        service.request(Method::GET, "/v1/events/stream").header("last-event-id", "1").send().await.unwrap();
    assert_eq!(stream.status(), 410);
    // Zero is the beginning, wherever that is, and a feed from there goes on.
    let first = service.get("/v1/events?after=0").await;
    let next = first["next"].as_str().unwrap().to_owned();
    service.submit(&["https://youtu.be/later".to_owned()]).await;
    let more = service.items(&format!("/v1/events?after={next}")).await;
    assert_eq!(more[0]["kind"], json!("job.created"));
    service.stop().await;
}
