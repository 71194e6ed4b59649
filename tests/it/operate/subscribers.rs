//! Subscribers: added over the API, told about events in their order, tried, rotated, disabled and replayed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::receiver::{Received, Receiver};
use crate::support::{Scene, Service, mixed_urls};

/// A service that may send webhooks to receivers on loopback.
pub fn scene() -> Scene {
    Scene::new()
        .set("FORWARD__ALLOW_PRIVATE", "true")
        .set("FORWARD__ALLOW_HTTP", "true")
        .set("FORWARD__FIRST_RETRY", "50ms")
}

/// A call with another method than POST; gives the status and the body.
async fn send(service: &Service, method: Method, path: &str, body: Value) -> (u16, Value) {
    let mut request = service.request(method, path);
    if !body.is_null() {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    (status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
}

/// Adds a subscriber; gives its id and its secret.
pub async fn add(service: &Service, body: Value) -> (String, String) {
    let (status, added) = service.call("/v1/subscribers", body).await;
    assert_eq!(status, 201, "{added}");
    let text = |field: &str| added[field].as_str().unwrap().to_owned();
    (text("id"), text("secret"))
}

fn seqs(seen: &[Received]) -> Vec<i64> {
    seen.iter().filter(|received| received.answer == 200).map(Received::seq).collect()
}

#[tokio::test]
async fn a_subscriber_hears_every_event_once_and_in_order() {
    let receiver = Receiver::start(|_, _| 200).await;
    let (_upstream, service) = scene().start().await;
    let early = service.submit(&mixed_urls(1)).await;
    service.until_settled(&early).await;
    let before = service.items("/v1/events?limit=500").await.len();
    let (id, secret) = add(&service, json!({ "url": receiver.url("127.0.0.1", "/all?token=1") })).await;
    let job = service.submit(&["https://youtu.be/another".to_owned()]).await;
    service.until_settled(&job).await;
    let events = service.items("/v1/events?limit=500").await;
    let expected: Vec<i64> = events[before..].iter().map(|event| event["seq"].as_i64().unwrap()).collect();
    let seen = receiver.until(expected.len()).await;
    assert_eq!(seqs(&seen), expected, "only events from its creation on");
    assert!(seen.iter().all(|received| received.is_signed_with(&secret)), "{seen:?}");
    let settled = seen.iter().find(|received| received.kind == "job.settled").unwrap();
    assert_eq!(settled.body["data"]["job"]["id"], job.as_str());
    assert_eq!(settled.id, format!("msg_{}_{id}", settled.seq()));
    let shown = service.get(&format!("/v1/subscribers/{id}")).await;
    assert_eq!(shown["url"], receiver.url("127.0.0.1", "/all"), "without its query");
    assert!(shown["secret"].is_null() && !shown.to_string().contains("whsec_"), "{shown}");
    // The end of the last attempt is stored after the receiver has seen it.
    let counts = json!({ "waiting": 0, "delivered": expected.len(), "dead": 0 });
    let path = format!("/v1/subscribers/{id}");
    service.until_unannounced(&path, |shown: &Value| shown["deliveries"] == counts).await;
    service.stop().await;
}

#[tokio::test]
async fn kinds_and_labels_decide_what_a_subscriber_hears() {
    let receiver = Receiver::start(|_, _| 200).await;
    let (_upstream, service) = scene().start().await;
    let url = |path: &str| receiver.url("127.0.0.1", path);
    let kinds = json!({ "url": url("/kinds"), "events": ["job.*", "video.indexed"] });
    let labels = json!({ "url": url("/labels"), "events": ["job.settled"], "labels": { "team": "a" } });
    add(&service, kinds).await;
    add(&service, labels).await;
    let submit = async |place: usize, labels: Value| {
        let body = json!({ "video_urls": [mixed_urls(3)[place]], "labels": labels });
        let job = service.submit_with(body).await;
        service.until_settled(&job).await;
        job
    };
    submit(0, json!({ "team": "b" })).await;
    let wanted = submit(1, json!({ "team": "a", "more": "x" })).await;
    submit(2, json!({})).await;
    let settled = |seen: &[Received], path: &str| {
        let of = seen.iter().filter(|received| received.path == path && received.kind == "job.settled");
        of.map(|received| received.body["data"]["job"]["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let seen = receiver.until_all(|seen| settled(seen, "/kinds").len() == 3).await;
    assert_eq!(settled(&seen, "/labels"), [wanted]);
    assert_eq!(seen.iter().filter(|received| received.path == "/labels").count(), 1);
    let odd = |received: &&Received| !received.kind.starts_with("job.") && received.kind != "video.indexed";
    assert!(!seen.iter().any(|received| odd(&received)), "{seen:?}");
    service.stop().await;
}

#[tokio::test]
async fn a_webhook_that_fails_holds_up_its_job_alone() {
    let stuck: Arc<std::sync::Mutex<String>> = Arc::default();
    let of = stuck.clone();
    let receiver = Receiver::start(move |received, _| {
        if received.body["data"]["job"]["id"] == of.lock().unwrap().as_str() { 503 } else { 200 }
    })
    .await;
    let (_upstream, service) = scene().start().await;
    service.pause().await;
    let (first, second) =
        (service.submit(&mixed_urls(2)[..1]).await, service.submit(&mixed_urls(2)[1..]).await);
    stuck.lock().unwrap().push_str(&first);
    let (id, _) =
        add(&service, json!({ "url": receiver.url("127.0.0.1", "/"), "events": ["task.*", "job.*"] })).await;
    service.resume().await;
    service.until_settled(&first).await;
    service.until_settled(&second).await;
    let is_end_of = |received: &Received, job: &str| {
        received.kind == "job.settled" && received.body["data"]["job"]["id"] == job
    };
    let seen = receiver.until_all(|seen| seen.iter().any(|received| is_end_of(received, &second))).await;
    let of_first: Vec<i64> = seen
        .iter()
        .filter(|received| received.body["data"]["job"]["id"] == first.as_str())
        .map(Received::seq)
        .collect();
    assert!(of_first.windows(2).all(|pair| pair[0] == pair[1]), "nothing passes a failed one: {of_first:?}");
    let path = format!("/v1/subscribers/{id}/deliveries?state=waiting&limit=500");
    let mut waiting = service.items(&path).await;
    // The end of the other job's last attempt may not be stored yet.
    waiting.retain(|delivery| delivery["job_id"] == first.as_str());
    assert!(waiting.len() > 1, "{waiting:#?}");
    let failed = waiting.last().unwrap();
    assert_eq!(
        (&failed["last_answer"]["status"], &failed["last_answer"]["reason"]),
        (&json!(503), &json!("HTTP 503"))
    );
    assert!(failed["attempts"].as_i64().unwrap() > 0 && failed["next_attempt_at"].is_string(), "{failed}");
    // Mended, the rest comes in its order.
    stuck.lock().unwrap().clear();
    let seen = receiver
        .until_all(|seen| seen.iter().any(|received| received.answer == 200 && is_end_of(received, &first)))
        .await;
    let all = seqs(
        &seen
            .iter()
            .filter(|received| received.body["data"]["job"]["id"] == first.as_str())
            .cloned()
            .collect::<Vec<_>>(),
    );
    assert!(all.is_sorted(), "{all:?}");
    service.stop().await;
}

#[tokio::test]
async fn a_test_message_says_what_the_receiver_answers() {
    let is_well = Arc::new(AtomicBool::new(true));
    let of = is_well.clone();
    let receiver = Receiver::start(move |_, _| if of.load(Ordering::SeqCst) { 204 } else { 404 }).await;
    let (_upstream, service) = scene().start().await;
    let body = json!({ "url": receiver.url("127.0.0.1", "/"), "name": "mine", "enabled": false });
    let (id, secret) = add(&service, body).await;
    let (status, result) = service.call("/v1/subscribers/mine/test", Value::Null).await;
    assert_eq!((status, &result["delivered"], &result["status"]), (200, &json!(true), &json!(204)));
    let test = receiver.until(1).await.remove(0);
    assert_eq!((test.kind.as_str(), &test.body["data"]["subscriber"]["id"]), ("subscriber.test", &json!(id)));
    assert!(test.is_signed_with(&secret));
    is_well.store(false, Ordering::SeqCst);
    let (_, result) = service.call(&format!("/v1/subscribers/{id}/test"), Value::Null).await;
    assert_eq!((&result["delivered"], &result["reason"]), (&json!(false), &json!("HTTP 404")));
    assert!(service.items(&format!("/v1/subscribers/{id}/deliveries")).await.is_empty());
    service.stop().await;
}

#[tokio::test]
async fn old_secrets_sign_after_rotations() {
    let receiver = Receiver::start(|_, _| 200).await;
    let (_upstream, service) = scene().start().await;
    let given = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    let (id, old) = add(&service, json!({ "url": receiver.url("127.0.0.1", "/"), "secret": given })).await;
    assert_eq!(old, given);
    let (status, rotated) = service.call(&format!("/v1/subscribers/{id}/rotate"), Value::Null).await;
    let new = rotated["secret"].as_str().unwrap();
    assert!(status == 200 && new != old && rotated["old_secret_until"].is_string(), "{rotated}");
    service.call(&format!("/v1/subscribers/{id}/test"), Value::Null).await;
    let webhook = receiver.until(1).await.remove(0);
    assert!(webhook.is_signed_with(&old) && webhook.is_signed_with(new), "{webhook:?}");
    service.call(&format!("/v1/subscribers/{id}/rotate"), Value::Null).await;
    service.call(&format!("/v1/subscribers/{id}/test"), Value::Null).await;
    let webhook = receiver.until(2).await.remove(1);
    // Perhaps nobody got the answer to the last rotation but one.
    assert!(webhook.is_signed_with(&old) && webhook.is_signed_with(new), "{webhook:?}");
    service.stop().await;
}

#[tokio::test]
async fn a_subscriber_that_is_gone_is_disabled_and_what_it_missed_can_be_replayed() {
    let is_gone = Arc::new(AtomicBool::new(true));
    let of = is_gone.clone();
    let receiver = Receiver::start(move |_, _| if of.load(Ordering::SeqCst) { 410 } else { 200 }).await;
    let (_upstream, service) = scene().start().await;
    let body = json!({ "url": receiver.url("127.0.0.1", "/"), "events": ["job.*"], "name": "crm" });
    let (id, _) = add(&service, body).await;
    let job = service.submit(&mixed_urls(1)).await;
    service.until_settled(&job).await;
    service.until_event("subscriber.disabled").await;
    let shown = service.get("/v1/subscribers/crm").await;
    assert_eq!((&shown["enabled"], shown["disabled_at"].is_string()), (&json!(false), true));
    assert!(shown["disabled_reason"].as_str().unwrap().contains("HTTP 410"), "{shown}");
    let status = service.get("/v1/status").await;
    let problem =
        &status["problems"].as_array().unwrap().iter().find(|one| one["code"] == "subscriber_disabled");
    assert!(problem.unwrap()["detail"].as_str().unwrap().contains("crm"), "{status}");
    let missed = service.submit(&["https://youtu.be/missed".to_owned()]).await;
    service.until_settled(&missed).await;
    assert_eq!(receiver.seen().len(), 1, "nothing more is sent");
    let (status, problem) = service.call(&format!("/v1/subscribers/{id}/replay"), Value::Null).await;
    assert_eq!((status, &problem["code"]), (409, &json!("wrong_state")));

    is_gone.store(false, Ordering::SeqCst);
    let path = format!("/v1/subscribers/{id}");
    let (status, enabled) = send(&service, Method::PATCH, &path, json!({ "enabled": true })).await;
    assert_eq!((status, &enabled["enabled"], &enabled["disabled_reason"]), (200, &json!(true), &Value::Null));
    let from = shown["disabled_seq"].as_i64().unwrap();
    let (status, replay) = service.call(&format!("{path}/replay"), json!({ "from": from })).await;
    assert_eq!((status, &replay["from"]), (202, &json!(from)));
    let (status, replay) = service.call(&format!("{path}/replay"), json!({ "dead": true })).await;
    assert_eq!((status, replay["deliveries"].is_i64()), (202, true));
    let seen = receiver
        .until_all(|seen| {
            let ends =
                seen.iter().filter(|received| received.answer == 200 && received.kind == "job.settled");
            ends.count() >= 2
        })
        .await;
    let of_job = |job: &str| seen.iter().filter(|one| one.body["data"]["job"]["id"] == job).count();
    assert!(of_job(&job) >= 2 && of_job(&missed) >= 2, "{seen:#?}");
    assert!(service.problems().await.iter().all(|code| code != "subscriber_disabled"));
    service.stop().await;
}

#[tokio::test]
async fn a_subscriber_all_of_whose_attempts_fail_is_disabled_in_the_end() {
    let receiver = Receiver::start(|_, _| 500).await;
    let (_upstream, service) = scene().set("FORWARD__GIVE_UP_AFTER", "300ms").start().await;
    let (id, _) =
        add(&service, json!({ "url": receiver.url("127.0.0.1", "/"), "events": ["job.settled"] })).await;
    let job = service.submit(&mixed_urls(1)).await;
    service.until_settled(&job).await;
    service.until_event("subscriber.disabled").await;
    let shown = service.get(&format!("/v1/subscribers/{id}")).await;
    let reason = shown["disabled_reason"].as_str().unwrap();
    assert_eq!(reason, "all attempts have failed for 300ms, the last one with: HTTP 500");
    let dead = service.items(&format!("/v1/subscribers/{id}/deliveries?state=dead")).await;
    assert_eq!((dead.len(), &dead[0]["kind"]), (1, &json!("job.settled")));
    assert!(dead[0]["ended_at"].is_string() && dead[0]["next_attempt_at"].is_null(), "{}", dead[0]);
    let metrics = service.request(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
    for line in ["scrapehook_webhooks{state=\"dead\"} 1\n", "scrapehook_webhook_failing_subscribers 1\n"] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    assert!(!metrics.contains("scrapehook_webhook_attempts_total{outcome=\"failed\"} 0\n"), "{metrics}");
    service.stop().await;
}

#[tokio::test]
async fn a_removed_subscriber_leaves_nothing_behind() {
    let receiver = Receiver::start(|_, _| 503).await;
    let (_upstream, service) = scene().start().await;
    let (id, _) = add(&service, json!({ "url": receiver.url("127.0.0.1", "/"), "name": "a" })).await;
    let job = service.submit(&mixed_urls(2)).await;
    service.until_settled(&job).await;
    let path = format!("/v1/subscribers/{id}");
    assert_eq!(send(&service, Method::DELETE, &path, Value::Null).await.0, 204);
    assert_eq!(send(&service, Method::DELETE, &path, Value::Null).await.0, 404);
    assert!(service.items("/v1/subscribers").await.is_empty());
    add(&service, json!({ "url": receiver.url("127.0.0.1", "/"), "name": "a" })).await;
    let is_empty = |status: &Value| status["webhooks"]["deliveries"]["waiting"] == 0;
    service.until_unannounced("/v1/status", is_empty).await;
    let mut file = crate::support::database::open(&service.setup.database()).await;
    let left = "SELECT (SELECT count(*) FROM deliveries) + (SELECT count(*) FROM delivery_order)
                  + (SELECT count(*) FROM subscribers WHERE removed_at IS NOT NULL)";
    assert_eq!(sqlx::query_scalar::<_, i64>(left).fetch_one(&mut file).await.unwrap(), 0);
    service.stop().await;
}

#[tokio::test]
async fn every_fault_of_a_subscriber_is_named_and_nothing_is_stored() {
    let (_upstream, service) = Scene::new().start().await;
    let long = format!("https://example.com/{}", "a".repeat(2_048));
    let url = "https://example.com/secret";
    for (body, pointers) in [
        (json!({}), vec!["/url"]),
        (json!({ "url": "http://example.com/" }), vec!["/url"]),
        (json!({ "url": "https://2130706433/" }), vec!["/url"]),
        (json!({ "url": long }), vec!["/url"]),
        (
            json!({ "url": 7, "events": ["job.setled", "*"], "format": "teams", "secret": "whsec_c2hvcnQ=" }),
            vec!["/secret", "/format", "/events/0", "/url"],
        ),
        (json!({ "url": url, "events": [] }), vec!["/events"]),
        (json!({ "url": url, "labels": { "a:b": "c" } }), vec!["/labels/a:b"]),
        (json!({ "url": url, "format": "template" }), vec!["/template"]),
        (json!({ "url": url, "template": "{}" }), vec!["/template"]),
        (json!({ "url": url, "format": "template", "template": "{\"a\": {{text}" }), vec!["/template"]),
        (json!({ "url": url, "format": "template", "template": "{{{text}}: 1}" }), vec!["/template"]),
        (json!({ "url": url, "format": "upstream", "events": ["job.settled"] }), vec!["/events"]),
        (
            json!({ "url": url, "name": "sub_mine", "enabled": "yes", "evnts": [] }),
            vec!["/evnts", "/name", "/enabled"],
        ),
    ] {
        let (status, problem) = service.call("/v1/subscribers", body.clone()).await;
        let errors = problem["errors"].as_array().unwrap();
        let mut found: Vec<&str> = errors.iter().map(|fault| fault["pointer"].as_str().unwrap()).collect();
        let mut pointers = pointers;
        found.sort_unstable();
        pointers.sort_unstable();
        assert_eq!((status, found), (422, pointers), "{body}");
        assert!(!problem.to_string().contains("c2hvcnQ"), "{problem}");
    }
    assert!(service.items("/v1/subscribers").await.is_empty());
    let (id, _) = add(&service, json!({ "url": url, "name": "a" })).await;
    let path = format!("/v1/subscribers/{id}");
    let (status, problem) = service.call("/v1/subscribers", json!({ "url": url, "name": "a" })).await;
    assert_eq!((status, &problem["code"]), (409, &json!("wrong_state")));
    let both = json!({ "url": "ftp://x", "format": "template" });
    let (_, problem) = service.call("/v1/subscribers", both).await;
    assert_eq!(problem["errors"].as_array().unwrap().len(), 2, "each fault is named: {problem}");
    for (body, pointer) in [
        (json!({}), ""),
        (json!({ "secret": "whsec_" }), "/secret"),
        (json!({ "format": "template" }), "/template"),
        (json!({ "url": null }), "/url"),
    ] {
        let (status, problem) = send(&service, Method::PATCH, &path, body.clone()).await;
        assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!(pointer)), "{body}");
    }
    let change = json!({ "format": "slack", "labels": { "a": "b" }, "name": null });
    let (status, changed) = send(&service, Method::PATCH, &path, change).await;
    assert_eq!((status, &changed["events"]), (200, &json!(["job.settled", "problem.*"])));
    assert_eq!((&changed["labels"], &changed["name"]), (&json!({ "a": "b" }), &Value::Null));
    let (status, problem) = service.call(&format!("{path}/replay"), json!({ "from": 99 })).await;
    assert_eq!((status, &problem["code"]), (400, &json!("cursor_ahead")));
    assert_eq!(service.call("/v1/subscribers/nobody/test", Value::Null).await.0, 404);
    service.stop().await;
}
