//! Estimates, as clients of the API and people at a terminal see them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::binary::Binary;
use crate::support::shop::Shop;
use crate::support::{Scene, mixed_urls};

/// A service that has sent one request, and sends the next one an hour later.
async fn slow_shop() -> Shop {
    let (upstream, service) =
        Scene::new().downloads_nothing().set("DISPATCH__MIN_INTERVAL", "1h").start().await;
    let client = Binary::bare().set("URL", &service.base);
    let shop = Shop { upstream, service, client };
    shop.service.submit(&["https://youtu.be/first".to_owned()]).await;
    shop.task_in("accepted").await;
    shop
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_with_a_job_says_when_it_is_sent() {
    let shop = slow_shop().await;
    let service = &shop.service;
    // Three platforms, each a request.
    let body = json!({ "video_urls": mixed_urls(6) });
    let (status, plan) =
        service.call("/v1/jobs", json!({ "video_urls": mixed_urls(6), "dry_run": true })).await;
    assert_eq!(status, 200);
    let (status, job) = service.call("/v1/jobs", body).await;
    assert_eq!(status, 202);
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    let is_it = |queue: &Value| {
        assert_eq!((&queue["requests_ahead"], &queue["requests_left"]), (&json!(0), &json!(3)), "{queue}");
        assert!(queue["sent_by"].is_string(), "{queue}");
    };
    is_it(&plan["queue"]);
    is_it(&job["queue"]);
    is_it(&service.get(&path).await["queue"]);
    let listed = service.items("/v1/jobs").await;
    is_it(&listed[0]["queue"]);
    assert_eq!(listed[1]["queue"], Value::Null, "it was sent");
    let queue = service.get("/v1/queue").await;
    assert_eq!(
        (&queue["waiting"], &queue["requests"], &queue["groups_total"]),
        (&json!(6), &json!(3), &json!(3))
    );
    assert_eq!(queue["interval_ms"], 3_600_000);
    assert!(queue["groups"].as_array().unwrap().iter().all(|group| group["urls"] == 2), "{queue}");
    let metrics = service.request(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
    for line in ["\nscrapehook_waiting_urls 6\n", "\nscrapehook_waiting_requests 3\n"] {
        assert!(metrics.contains(line), "{metrics}");
    }
    assert!(metrics.contains("\nscrapehook_waiting_oldest_age_seconds "), "{metrics}");
    let (_, canceled) = service.call(&format!("{path}/cancel"), Value::Null).await;
    assert_eq!(canceled["queue"], Value::Null);
    let (status, retried) = service.call(&format!("{path}/retry"), json!({ "codes": ["canceled"] })).await;
    assert_eq!(status, 202);
    is_it(&retried["queue"]);
    service.pause().await;
    let paused = service.get(&path).await["queue"].clone();
    assert_eq!(paused, json!({ "requests_ahead": 0, "requests_left": 3, "sent_by": null }));
    let queue = service.get("/v1/queue").await;
    assert_eq!((&queue["sent_by"], &queue["groups"][0]["paused"]), (&Value::Null, &json!(true)));
    shop.service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_hear_when_a_job_is_sent() {
    let shop = slow_shop().await;
    assert_eq!(shop.done(&["queue"]), "No URLs are waiting.\n");
    let urls = mixed_urls(6);
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let plan = shop.done(&[&["submit", "--dry-run"], &urls[..]].concat());
    assert!(plan.contains("\nIf submitted now: sent by "), "{plan}");
    assert!(plan.contains(" UTC (3 requests)\n"), "{plan}");
    let job = shop.done(&[&["submit"], &urls[..]].concat());
    let shown = shop.done(&["jobs", job.trim()]);
    assert!(shown.contains("queue") && shown.contains(" UTC (3 requests)"), "{shown}");
    let queue = shop.done(&["queue"]);
    assert!(queue.contains("6 URLs, 3 requests needed") && queue.contains("3600000 ms"), "{queue}");
    for words in ["youtube", "tiktok", "instagram", "normal", "private"] {
        assert!(queue.contains(words), "{words}: {queue}");
    }
    let printed = shop.json(&["queue"]);
    assert_eq!(printed.len(), 1);
    assert_eq!(printed[0]["groups"], shop.service.get("/v1/queue").await["groups"]);
    shop.done(&["pause"]);
    let queue = shop.done(&["queue"]);
    assert!(queue.contains("unknown while something is paused") && queue.contains("yes"), "{queue}");
    let shown = shop.done(&["jobs", job.trim()]);
    assert!(!shown.contains("sent by"), "{shown}");
    shop.service.stop().await;
}

#[tokio::test]
async fn a_key_that_may_only_read_sees_the_queue() {
    let (_upstream, service) = Scene::new().set("AUTH__API_KEYS", "me:read:a-long-secret").start().await;
    let ask = || service.request(Method::GET, "/v1/queue");
    assert_eq!(ask().send().await.unwrap().status(), 401);
    let answer = ask().bearer_auth("a-long-secret").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let queue: Value = answer.json().await.unwrap();
    assert_eq!(
        (&queue["waiting"], &queue["requests"], &queue["sent_by"]),
        (&json!(0), &json!(0), &Value::Null)
    );
    service.stop().await;
}
