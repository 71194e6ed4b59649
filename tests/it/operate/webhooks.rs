//! Webhooks: the URL of a job is told about its events, at least once, in order, and signed.

use scrapehook::simulator::Faults;
use serde_json::{Value, json};

use crate::support::receiver::{Received, Receiver, SECRET, SILENCE};
use crate::support::{Scene, Service, mixed_urls};

/// A service that may send webhooks to receivers on loopback.
fn scene() -> Scene {
    Scene::new()
        .set("FORWARD__SECRET", SECRET)
        .set("FORWARD__ALLOW_PRIVATE", "true")
        .set("FORWARD__ALLOW_HTTP", "true")
        .set("FORWARD__FIRST_RETRY", "50ms")
}

async fn submit(service: &Service, urls: usize, callback: Value) -> String {
    let mut body = json!({ "video_urls": mixed_urls(urls) });
    body.as_object_mut().unwrap().extend(callback.as_object().unwrap().clone());
    service.submit_with(body).await
}

/// The `seq` of what was answered with success, in the order of the answers.
fn delivered(seen: &[Received]) -> Vec<i64> {
    seen.iter().filter(|received| received.answer == 200).map(Received::seq).collect()
}

#[tokio::test]
async fn the_url_of_a_job_hears_once_that_it_has_settled() {
    let receiver = Receiver::start(|_, _| 200).await;
    let (_upstream, service) = scene().start().await;
    let url = receiver.url("127.0.0.1", "/hook?token=secret");
    let job = submit(&service, 3, json!({ "callback_url": url })).await;
    let other = service.submit(&["https://youtu.be/other".to_owned()]).await;
    let webhook = receiver.until(1).await.remove(0);
    assert!(webhook.is_genuine, "{webhook:?}");
    assert_eq!((webhook.kind.as_str(), webhook.path.as_str()), ("job.settled", "/hook?token=secret"));
    let data = &webhook.body["data"];
    assert_eq!((&data["job"]["id"], &data["job"]["state"]), (&json!(job), &json!("done")));
    assert_eq!((data["urls"].as_array().unwrap().len(), &data["truncated"]), (3, &json!(false)));
    assert_eq!(webhook.body["timestamp"], data["event"]["at"]);
    let shown = service.get(&format!("/v1/jobs/{job}")).await;
    assert_eq!(shown["callback_url"], receiver.url("127.0.0.1", "/hook"), "without its query");
    service.until_settled(&other).await;
    // A restart reads the log again from where it was, and a second job proves that nothing came in between.
    let service = service.stop().await.start().await;
    submit(&service, 1, json!({ "callback": receiver.url("127.0.0.1", "/second") })).await;
    let seen = receiver.until(2).await;
    assert_eq!(seen[1].path, "/second", "{seen:?}");
    service.stop().await;
}

#[tokio::test]
async fn a_failed_delivery_is_tried_again_under_the_same_id() {
    let receiver = Receiver::start(|_, count| [500, 404, 302, 200][count.min(3)]).await;
    let (_upstream, service) = scene().start().await;
    submit(&service, 1, json!({ "callback_url": receiver.url("127.0.0.1", "/") })).await;
    let seen = receiver.until(4).await;
    assert!(seen.iter().all(|received| received.id == seen[0].id && received.is_genuine), "{seen:?}");
    service.stop().await;
}

#[tokio::test]
async fn events_of_a_job_come_in_their_order_even_if_each_fails_at_first() {
    let receiver = Receiver::start(|_, _| 200).await;
    let flaky = Receiver::start(|_, count| if count % 2 == 0 { 503 } else { 200 }).await;
    let (_upstream, service) = scene().faults(Faults { duplicate: 1.0, ..Faults::default() }).start().await;
    let mut jobs = Vec::new();
    for receiver in [&receiver, &flaky] {
        let callback =
            json!({ "callback_url": receiver.url("127.0.0.1", "/"), "callback_events": ["job.*", "*"] });
        jobs.push(submit(&service, 4, callback).await);
    }
    for (job, receiver, each) in [(&jobs[0], &receiver, 1), (&jobs[1], &flaky, 2)] {
        service.until_settled(job).await;
        let events = service.items(&format!("/v1/events?job={job}&limit=500")).await;
        let expected: Vec<i64> = events.iter().map(|event| event["seq"].as_i64().unwrap()).collect();
        let seen = receiver.until(expected.len() * each).await;
        assert_eq!(delivered(&seen), expected);
        let kinds: Vec<&str> = events.iter().map(|event| event["kind"].as_str().unwrap()).collect();
        assert!(kinds.contains(&"job.created") && kinds.contains(&"video.indexed"), "{kinds:?}");
    }
    service.stop().await;
}

#[tokio::test]
async fn a_delivery_that_a_stop_interrupts_is_made_after_the_start() {
    let receiver = Receiver::start(|_, count| if count == 0 { SILENCE } else { 200 }).await;
    let (_upstream, service) = scene().start().await;
    submit(&service, 1, json!({ "callback_url": receiver.url("127.0.0.1", "/") })).await;
    receiver.until(1).await;
    let service = service.stop().await.start().await;
    let seen = receiver.until(2).await;
    assert_eq!((&seen[0].id, seen[1].answer), (&seen[1].id, 200));
    service.stop().await;
}

#[tokio::test]
async fn a_receiver_that_never_answers_holds_up_no_other() {
    let slow = Receiver::start(|_, _| SILENCE).await;
    let quick = Receiver::start(|_, _| 200).await;
    let (_upstream, service) = scene().set("FORWARD__MAX_IN_FLIGHT", "4").start().await;
    for _ in 0..6 {
        submit(&service, 1, json!({ "callback_url": slow.url("localhost", "/") })).await;
    }
    slow.until(1).await;
    submit(&service, 1, json!({ "callback_url": quick.url("127.0.0.1", "/") })).await;
    quick.until(1).await;
    assert_eq!(slow.seen().len(), 1, "one host has a quarter of the requests");
    service.stop().await;
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_not_asked_again() {
    let receiver = Receiver::start(|received, _| if received.path == "/gone" { 410 } else { 200 }).await;
    let (_upstream, service) = scene().start().await;
    submit(&service, 1, json!({ "callback_url": receiver.url("127.0.0.1", "/gone") })).await;
    receiver.until(1).await;
    submit(&service, 1, json!({ "callback_url": receiver.url("127.0.0.1", "/after") })).await;
    let seen = receiver.until(2).await;
    assert_eq!(seen[1].path, "/after");
    service.stop().await;
}

#[tokio::test]
async fn a_callback_url_that_can_not_be_read_holds_up_no_other() {
    let receiver = Receiver::start(|_, _| 200).await;
    let (_upstream, service) = scene().start().await;
    let damages = [
        "UPDATE jobs SET callback_url = 'nothing of a URL' WHERE id = ?1",
        "UPDATE jobs SET callback_events = '[' WHERE id = ?1",
    ];
    service.pause().await;
    for damage in damages {
        let job = submit(&service, 1, json!({ "callback_url": receiver.url("127.0.0.1", "/damaged") })).await;
        let mut file = crate::support::database::open(&service.setup.database()).await;
        sqlx::query(damage).bind(job).execute(&mut file).await.unwrap();
    }
    submit(&service, 1, json!({ "callback_url": receiver.url("127.0.0.1", "/whole") })).await;
    service.resume().await;
    let seen = receiver.until(1).await;
    assert_eq!(seen[0].path, "/whole");
    service.stop().await;
}

#[tokio::test]
async fn every_fault_of_a_callback_url_is_named_and_nothing_is_stored() {
    let (_upstream, service) = Scene::new().start().await;
    let long = format!("https://example.com/{}", "a".repeat(2_048));
    for (callback, pointers) in [
        (json!({ "callback_url": "http://example.com/" }), vec!["/callback_url"]),
        (json!({ "callback": "https://127.0.0.1/" }), vec!["/callback"]),
        (json!({ "callback_url": "https://2130706433/" }), vec!["/callback_url"]),
        (json!({ "callback_url": "https://[::ffff:10.0.0.1]/" }), vec!["/callback_url"]),
        (json!({ "callback_url": "ftp://example.com/" }), vec!["/callback_url"]),
        (json!({ "callback_url": "example.com" }), vec!["/callback_url"]),
        (json!({ "callback_url": 7 }), vec!["/callback_url"]),
        (json!({ "callback_url": long }), vec!["/callback_url"]),
        (
            json!({ "callback_url": "https://a.example/", "callback": "https://a.example/" }),
            vec!["/callback"],
        ),
        (json!({ "callback_events": ["job.settled"] }), vec!["/callback_events"]),
        (
            json!({ "callback_url": "https://a.example/", "callback_events": ["job.*", "job.setled", 7] }),
            vec!["/callback_events/1", "/callback_events/2"],
        ),
        (json!({ "callback_url": "https://a.example/", "callback_events": [] }), vec!["/callback_events"]),
    ] {
        let mut body = json!({ "video_urls": mixed_urls(1) });
        body.as_object_mut().unwrap().extend(callback.as_object().unwrap().clone());
        let (status, problem) = service.call("/v1/jobs", body).await;
        let errors = problem["errors"].as_array().unwrap();
        let found: Vec<&str> = errors.iter().map(|fault| fault["pointer"].as_str().unwrap()).collect();
        assert_eq!((status, found), (422, pointers), "{callback}");
    }
    assert!(service.items("/v1/jobs").await.is_empty());
    service.stop().await;
}
