//! Receivers that misbehave, and what subscribers lose by it: nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Method;
use serde_json::{Value, json};

use super::subscribers::{add, scene};
use crate::support::database::open;
use crate::support::receiver::{Received, Receiver, SILENCE};
use crate::support::{Service, mixed_urls};

async fn patch(service: &Service, id: &str, body: Value) -> Value {
    let request = service.request(Method::PATCH, &format!("/v1/subscribers/{id}")).json(&body);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

/// URLs of one platform, which go into one task.
fn alike(count: usize, name: &str) -> Vec<String> {
    (0..count).map(|n| format!("https://www.youtube.com/watch?v={name}{n:08}")).collect()
}

/// The `seq` of all events of a kind.
async fn seqs(service: &Service, kind: &str) -> Vec<i64> {
    let events = service.items(&format!("/v1/events?kind={kind}&limit=500")).await;
    events.iter().map(|event| event["seq"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn many_receivers_that_never_answer_leave_half_of_the_requests_to_others() {
    let silent = Receiver::start(|_, _| SILENCE).await;
    let good = Receiver::start(|_, _| 200).await;
    let (_upstream, service) = scene().set("FORWARD__MAX_IN_FLIGHT", "4").start().await;
    add(&service, json!({ "url": good.url("127.0.0.1", "/"), "events": ["job.settled"] })).await;
    service.submit(&alike(1, "for")).await;
    good.until(1).await;
    for n in 0..6 {
        add(&service, json!({ "url": silent.url("127.0.0.1", &format!("/{n}")), "events": ["job.*"] })).await;
    }
    let count = 8;
    for n in 0..count {
        service.submit(&alike(1, &format!("s{n:02}"))).await;
    }
    good.until(1 + count).await;
    assert!(silent.seen().len() <= 2, "{:#?}", silent.seen());
    service.stop().await;
}

#[tokio::test]
async fn what_a_disabled_subscriber_missed_is_all_in_a_replay() {
    let receiver = Receiver::start(|_, _| 200).await;
    let (_upstream, service) = scene().start().await;
    let (id, _) =
        add(&service, json!({ "url": receiver.url("127.0.0.1", "/"), "events": ["video.*"] })).await;
    let job = service.submit(&alike(30, "rep")).await;
    // In the middle of the job.
    receiver.until(3).await;
    let disabled = patch(&service, &id, json!({ "enabled": false })).await;
    let from = disabled["disabled_seq"].as_i64().unwrap();
    service.until_settled(&job).await;
    patch(&service, &id, json!({ "enabled": true })).await;
    // A second time changes nothing about the beginning of the gap.
    let again = patch(&service, &id, json!({ "enabled": false })).await;
    assert_eq!(again["disabled_seq"], from);
    patch(&service, &id, json!({ "enabled": true })).await;
    // Two replays at once: the one that begins earlier counts.
    for from in [from, from + 5] {
        let (status, _) =
            service.call(&format!("/v1/subscribers/{id}/replay"), json!({ "from": from })).await;
        assert_eq!(status, 202);
    }
    let mut expected = seqs(&service, "video.indexed").await;
    expected.extend(seqs(&service, "video.indexing").await);
    let has_all = |seen: &[Received]| expected.iter().all(|seq| seen.iter().any(|one| one.seq() == *seq));
    receiver.until_all(has_all).await;
    let shown = service.get(&format!("/v1/subscribers/{id}")).await;
    assert_eq!(shown["disabled_seq"], Value::Null, "the gap is closed");
    service.stop().await;
}

#[tokio::test]
async fn events_of_a_shared_task_keep_the_order_of_its_jobs() {
    let receiver = Receiver::start(|_, count| if count % 3 == 0 { 503 } else { 200 }).await;
    let (_upstream, service) = scene().start().await;
    add(&service, json!({ "url": receiver.url("127.0.0.1", "/"), "events": ["task.*", "video.*", "job.*"] }))
        .await;
    service.pause().await;
    let jobs = [service.submit(&alike(2, "one")).await, service.submit(&alike(2, "two")).await];
    service.resume().await;
    for job in &jobs {
        service.until_settled(job).await;
    }
    let tasks = service.items("/v1/tasks").await;
    assert_eq!((tasks.len(), &tasks[0]["jobs_total"]), (1, &json!(2)), "one request serves both");
    let events = service.items("/v1/events?limit=500").await;
    let of_work = events.iter().filter(|event| {
        ["task.", "video.", "job."].iter().any(|noun| event["kind"].as_str().unwrap().starts_with(noun))
    });
    let expected = of_work.count();
    let seen =
        receiver.until_all(|seen| seen.iter().filter(|one| one.answer == 200).count() >= expected).await;
    // Videos of two jobs do not wait for each other, but each of them and the events of their task do.
    let taken: Vec<(i64, bool)> = seen
        .iter()
        .filter(|one| one.answer == 200 && !one.body["data"]["event"]["task_id"].is_null())
        .map(|one| (one.seq(), one.kind.starts_with("task.")))
        .collect();
    for (place, (seq, is_of_task)) in taken.iter().enumerate() {
        let before = taken[..place].iter().filter(|(_, other)| *is_of_task || *other);
        assert!(before.into_iter().all(|(earlier, _)| earlier < seq), "{seq} is too late: {taken:?}");
    }
    service.stop().await;
}

#[tokio::test]
async fn a_url_that_is_gone_gets_everything_in_a_replay() {
    let is_gone = Arc::new(AtomicBool::new(true));
    let of = is_gone.clone();
    let receiver = Receiver::start(move |_, _| if of.load(Ordering::SeqCst) { 410 } else { 200 }).await;
    let (_upstream, service) = scene().start().await;
    let ask = json!({
        "video_urls": mixed_urls(1),
        "callback_url": receiver.url("127.0.0.1", "/"),
        "callback_events": ["job.*", "video.*"],
    });
    let job = service.submit_with(ask).await;
    service.until_settled(&job).await;
    let events = service.items(&format!("/v1/events?job={job}&limit=500")).await;
    let kinds = |event: &&Value| {
        let kind = event["kind"].as_str().unwrap();
        kind.starts_with("job.") || kind.starts_with("video.")
    };
    let expected: Vec<i64> =
        events.iter().filter(kinds).map(|event| event["seq"].as_i64().unwrap()).collect();
    let path = format!("/v1/jobs/{job}/deliveries?state=dead");
    let are_all_dead = |page: &Value| page["items"].as_array().unwrap().len() == expected.len();
    let dead: Value = service.until_unannounced(&path, are_all_dead).await;
    let reasons = dead["items"].as_array().unwrap().iter().map(|one| one["last_answer"]["reason"].as_str());
    assert!(reasons.into_iter().all(|reason| reason.is_some_and(|reason| reason.contains("410"))), "{dead}");
    assert_eq!(receiver.seen().len(), 1, "one answer is enough");
    is_gone.store(false, Ordering::SeqCst);
    let (status, replay) = service.call(&format!("/v1/jobs/{job}/replay"), Value::Null).await;
    assert_eq!((status, &replay["deliveries"]), (202, &json!(expected.len())));
    let seen = receiver.until(1 + expected.len()).await;
    assert_eq!(seen[1..].iter().map(Received::seq).collect::<Vec<_>>(), expected);
    service.stop().await;
}

#[tokio::test]
async fn what_scrapehook_can_not_send_is_no_failure_of_the_receiver() {
    let receiver = Receiver::start(|_, _| 200).await;
    let (_upstream, service) = scene().set("FORWARD__GIVE_UP_AFTER", "1ms").start().await;
    let template = format!("[{}]", vec!["{{data}}"; 100].join(", "));
    let body = json!({
        "url": receiver.url("127.0.0.1", "/"),
        "format": "template",
        "template": template,
        "events": ["job.settled"],
    });
    let (id, _) = add(&service, body).await;
    for name in ["aaa", "bbb"] {
        let job = service.submit(&alike(80, name)).await;
        service.until_settled(&job).await;
    }
    let path = format!("/v1/subscribers/{id}");
    let shown: Value = service.until_unannounced(&path, |one: &Value| one["deliveries"]["dead"] == 2).await;
    assert_eq!((&shown["enabled"], &shown["failing_since"]), (&json!(true), &Value::Null));
    let dead = service.items(&format!("{path}/deliveries")).await;
    assert_eq!(dead[0]["last_answer"]["reason"], "the filled template has more than 1 MiB");
    assert!(receiver.seen().is_empty());
    service.stop().await;
}

#[tokio::test]
async fn changes_at_once_are_all_made_and_a_mended_receiver_is_tried_at_once() {
    let bad = Receiver::start(|_, _| 500).await;
    let good = Receiver::start(|_, _| 200).await;
    // Nothing is tried again within the time of the test.
    let (_upstream, service) = scene().set("FORWARD__FIRST_RETRY", "1h").start().await;
    let (id, _) = add(&service, json!({ "url": bad.url("127.0.0.1", "/"), "events": ["job.settled"] })).await;
    for n in 0..8 {
        let (labels, name) =
            (json!({ "labels": { "n": n.to_string() } }), json!({ "name": format!("n{n}") }));
        tokio::join!(patch(&service, &id, labels), patch(&service, &id, name));
        let shown = service.get(&format!("/v1/subscribers/{id}")).await;
        assert_eq!((&shown["labels"]["n"], &shown["name"]), (&json!(n.to_string()), &json!(format!("n{n}"))));
    }
    patch(&service, &id, json!({ "labels": {} })).await;
    let job = service.submit(&mixed_urls(1)).await;
    service.until_settled(&job).await;
    bad.until(1).await;
    let path = format!("/v1/subscribers/{id}");
    service.until_unannounced(&path, |one: &Value| !one["failing_since"].is_null()).await;
    patch(&service, &id, json!({ "url": good.url("127.0.0.1", "/") })).await;
    assert_eq!(good.until(1).await[0].kind, "job.settled");
    service.stop().await;
}

#[tokio::test]
async fn a_job_that_can_not_be_read_holds_up_no_webhook_of_others() {
    let receiver = Receiver::start(|_, _| 200).await;
    // A webhook that can't be made is given up after its second attempt.
    let (_upstream, service) =
        scene().set("FORWARD__FIRST_RETRY", "10ms").set("FORWARD__GIVE_UP_AFTER", "20ms").start().await;
    let labelled = |name: &str| json!({ "video_urls": alike(1, name), "labels": { "team": "news" } });
    let (bad, good) =
        (service.submit_with(labelled("bad")).await, service.submit_with(labelled("fine")).await);
    service.until_settled(&bad).await;
    service.until_settled(&good).await;
    let setup = service.stop().await;
    // All events are looked at again, and the URLs of both jobs hear of them.
    let mut database = open(&setup.database()).await;
    let url = receiver.url("127.0.0.1", "/url");
    for (statement, value) in [
        (
            "UPDATE jobs SET callback_format = 'upstream', callback_events = '[\"*\"]', callback_url = ?1",
            &url,
        ),
        ("UPDATE jobs SET labels = 'odd' WHERE id = ?1", &bad),
        ("UPDATE wants SET mark = 99 WHERE job = (SELECT number FROM jobs WHERE id = ?1)", &bad),
        ("INSERT OR REPLACE INTO meta (key, value) VALUES ('forwarded_to', ?1)", &"0".to_owned()),
    ] {
        sqlx::query(statement).bind(value).execute(&mut database).await.unwrap();
    }
    let service = setup.start().await;
    let all = json!({ "url": receiver.url("127.0.0.1", "/all"), "events": ["job.*"] });
    let news = json!({
        "url": receiver.url("127.0.0.1", "/news"),
        "events": ["job.settled"],
        "labels": { "team": "news" },
    });
    let (all, news) = (add(&service, all).await.0, add(&service, news).await.0);
    for id in [&all, &news] {
        let replay = format!("/v1/subscribers/{id}/replay");
        assert_eq!(service.call(&replay, json!({ "from": 1 })).await.0, 202);
    }
    let is_told = |seen: &[Received]| {
        ["/all", "/news"].iter().all(|path| {
            seen.iter().any(|one| {
                one.path == *path && one.kind == "job.settled" && one.body["data"]["job"]["id"] == *good
            })
        }) && seen.iter().any(|one| one.path == "/url" && one.body["status"] == "INDEXING_SUCCEEDED")
    };
    receiver.until_all(is_told).await;
    let are_over = |one: &Value| one["deliveries"] == json!({ "waiting": 0, "delivered": 2, "dead": 2 });
    service.until_unannounced(&format!("/v1/subscribers/{all}"), are_over).await;
    let mended = "UPDATE wants SET mark = NULL WHERE mark = 99";
    sqlx::query(mended).execute(&mut database).await.unwrap();
    service.stop().await;
}
