//! `PATCH /v1/jobs/{id}`: what a job can become while it waits, and each fault that is named instead.

use reqwest::{Method, RequestBuilder};
use scrapehook::simulator::{Faults, Simulator};
use serde_json::{Value, json};

use crate::support::problem::refused;
use crate::support::{Scene, Service, mixed_urls};

fn patch(service: &Service, job: &str) -> RequestBuilder {
    service.request(Method::PATCH, &format!("/v1/jobs/{job}"))
}

/// Changes a job; gives it as it is then.
async fn patched(service: &Service, job: &str, body: Value) -> Value {
    let answer = patch(service, job).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{body}");
    let job_now: Value = answer.json().await.unwrap();
    assert_eq!(job_now, service.get(&format!("/v1/jobs/{job}")).await);
    job_now
}

/// A service that sends nothing yet, and a job that waits.
async fn waiting() -> (Simulator, Service, String) {
    let (upstream, service) = Scene::new().start().await;
    service.pause().await;
    let body = json!({ "video_urls": mixed_urls(3), "labels": { "a": "1", "b": "2" } });
    let job = service.submit_with(body).await;
    (upstream, service, job)
}

#[tokio::test]
async fn every_fault_of_a_change_is_named_and_nothing_is_changed() {
    let (_upstream, service, job) = waiting().await;
    let before = service.get(&format!("/v1/jobs/{job}")).await;
    let long = "x".repeat(257);
    let many: serde_json::Map<String, Value> = (0..33).map(|n| (n.to_string(), json!("v"))).collect();
    let rows: Vec<(String, &[&str])> = vec![
        ("{}".to_owned(), &[""]),
        ("null".to_owned(), &[""]),
        ("[]".to_owned(), &[""]),
        ("\"high\"".to_owned(), &[""]),
        (r#"{"priority":"urgent"}"#.to_owned(), &["/priority"]),
        (r#"{"priority":"High"}"#.to_owned(), &["/priority"]),
        (r#"{"priority":0}"#.to_owned(), &["/priority"]),
        (r#"{"priority":null}"#.to_owned(), &["/priority"]),
        (r#"{"priority":["high"],"labels":[]}"#.to_owned(), &["/labels", "/priority"]),
        (r#"{"labels":null}"#.to_owned(), &["/labels"]),
        (r#"{"labels":"a=b"}"#.to_owned(), &["/labels"]),
        (json!({ "labels": many }).to_string(), &["/labels"]),
        (
            r#"{"labels":{"":"v","a:b":"v","c":1,"d":null,"e":"\u0000","f":"good"}}"#.to_owned(),
            &["/labels/", "/labels/a:b", "/labels/c", "/labels/d", "/labels/e"],
        ),
        (json!({ "labels": { "a": long } }).to_string(), &["/labels/a"]),
        (r#"{"priority":"high","labels":{"a":"1","a":"2"}}"#.to_owned(), &["/labels/a"]),
        (r#"{"priority":"high","priority":"low"}"#.to_owned(), &["/priority"]),
        (r#"{"priority":"high","quality":"720","a/b~":1}"#.to_owned(), &["/a~1b~0", "/quality"]),
        (
            r#"{"priority":"no","labels":7,"video_urls":[]}"#.to_owned(),
            &["/labels", "/priority", "/video_urls"],
        ),
    ];
    for (body, pointers) in rows {
        let request = patch(&service, &job).header("content-type", "application/json").body(body.clone());
        let problem = refused(request, 422, "invalid").await;
        let errors = problem["errors"].as_array().unwrap();
        let mut found: Vec<_> = errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect();
        found.sort_unstable();
        assert_eq!(found, pointers, "{body}: {problem}");
        assert!(errors.iter().all(|error| !error["detail"].as_str().unwrap().is_empty()), "{problem}");
    }
    assert_eq!(service.get(&format!("/v1/jobs/{job}")).await, before);
    service.stop().await;
}

#[tokio::test]
async fn a_change_of_nothing_or_of_another_kind_is_refused() {
    let (_upstream, service, job) = waiting().await;
    let high = json!({ "priority": "high" });
    for id in ["job_0", "job_00000000000000000000000000000000", "task_00000000000000000000000000000000", "x"]
    {
        let problem = refused(patch(&service, id).json(&high), 404, "not_found").await;
        assert_eq!(problem["detail"], "No job has this id.");
    }
    let body = |kind: &'static str, body: &'static str| {
        patch(&service, &job).header("content-type", kind).body(body)
    };
    refused(body("text/plain", "high"), 415, "unsupported_media_type").await;
    refused(patch(&service, &job).body(r#"{"priority":"high"}"#), 415, "unsupported_media_type").await;
    refused(body("application/json", r#"{"priority":"#), 400, "bad_json").await;
    refused(body("application/json", ""), 400, "bad_json").await;
    let huge = json!({ "labels": { "a": "x".repeat(300_000) } });
    refused(patch(&service, &job).json(&huge), 413, "too_large").await;
    let query = service.request(Method::PATCH, &format!("/v1/jobs/{job}?priority=high")).json(&high);
    refused(query, 400, "bad_query").await;
    service.stop().await;
}

#[tokio::test]
async fn a_read_key_changes_no_job() {
    let keys = "reader:read:reader-secret,writer:write:writer-secret";
    let (_upstream, service) = Scene::new().set("AUTH__API_KEYS", keys).start().await;
    let change = || patch(&service, "job_00000000000000000000000000000000").json(&json!({ "labels": {} }));
    refused(change().bearer_auth("reader-secret"), 403, "forbidden").await;
    refused(change(), 401, "unauthorized").await;
    refused(change().bearer_auth("writer-secret"), 404, "not_found").await;
    service.stop().await;
}

#[tokio::test]
async fn labels_are_replaced_wherever_they_are_found() {
    let (_upstream, service, job) = waiting().await;
    let found = async |label: &str| {
        let jobs = service.items(&format!("/v1/jobs?label={label}")).await;
        jobs.iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let only = std::slice::from_ref(&job);
    assert_eq!(found("b:2").await, only);
    let longest: serde_json::Map<String, Value> =
        (0..31).map(|n| (format!("{n:\u{e9}>256}"), json!("\u{1f600}".repeat(256)))).collect();
    let mut labels = longest.clone();
    labels.insert("a".to_owned(), json!("quote \" and \\ and \u{1}"));
    let now = patched(&service, &job, json!({ "labels": labels })).await;
    assert_eq!((&now["labels"], &now["priority"]), (&json!(labels), &json!("normal")));
    assert!(found("a:1").await.is_empty() && found("b:2").await.is_empty());
    assert_eq!(found("a:quote%20%22%20and%20%5C%20and%20%01").await, only);
    assert_eq!(patched(&service, &job, json!({ "labels": {} })).await["labels"], json!({}));
    assert!(found("a:quote%20%22%20and%20%5C%20and%20%01").await.is_empty());
    assert_eq!(patched(&service, &job, json!({ "labels": { "b": "2" } })).await["labels"]["b"], "2");
    assert_eq!(found("b:2").await, only);
    // Also once the job has ended, and without an event.
    service.resume().await;
    service.until_settled(&job).await;
    let kinds = service.kinds().await;
    let now = patched(&service, &job, json!({ "labels": { "end": "yes" } })).await;
    assert_eq!((&now["labels"], &now["state"]), (&json!({ "end": "yes" }), &json!("done")));
    assert_eq!(found("end:yes").await, only);
    assert_eq!(service.kinds().await, kinds);
    service.stop().await;
}

#[tokio::test]
async fn an_urgent_job_is_sent_before_those_that_came_earlier() {
    let (upstream, service) = Scene::new().start().await;
    service.pause().await;
    let posts = |number: u64| {
        let urls: Vec<_> =
            (0..60).map(|n| format!("https://www.tiktok.com/@u/video/73{:017}", number * 60 + n)).collect();
        urls
    };
    let [first, patient, urgent] = [posts(0), posts(1), posts(2)];
    let mut jobs = Vec::new();
    for urls in [&first, &patient, &urgent] {
        jobs.push(service.submit(urls).await);
    }
    let now = patched(&service, &jobs[2], json!({ "priority": "high", "labels": { "why": "now" } })).await;
    assert_eq!((&now["priority"], &now["labels"]["why"]), (&json!("high"), &json!("now")));
    // The same once more is no other change.
    assert_eq!(patched(&service, &jobs[2], json!({ "priority": "high" })).await, now);
    assert_eq!(patched(&service, &jobs[1], json!({ "priority": "low" })).await["priority"], "low");
    service.resume().await;
    for job in &jobs {
        service.until_settled(job).await;
    }
    let sent: Vec<String> =
        upstream.submits().into_iter().flat_map(|submit| submit.body.video_urls).collect();
    assert_eq!(sent, [urgent, first, patient].concat());
    service.stop().await;
}

#[tokio::test]
async fn a_priority_for_a_job_of_which_nothing_waits_is_refused_with_the_numbers() {
    let (upstream, service, job) = waiting().await;
    service.resume().await;
    service.until_settled(&job).await;
    upstream.set_faults(Faults { fail_task: 1.0, ..Faults::default() });
    let failed = service.submit(&["https://youtu.be/fails".to_owned()]).await;
    service.until_settled(&failed).await;
    for (id, numbers, advice) in [
        (&job, "3 indexed or known, 0 on their way, 0 failed, 0 canceled.", "`force`"),
        (&failed, "0 indexed or known, 0 on their way, 1 failed, 0 canceled.", "Retry its failed"),
    ] {
        for priority in ["high", "normal"] {
            let body = json!({ "priority": priority, "labels": { "new": "label" } });
            let problem = refused(patch(&service, id).json(&body), 409, "wrong_state").await;
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains(numbers) && detail.contains(advice), "{detail}");
        }
        let now = service.get(&format!("/v1/jobs/{id}")).await;
        assert_eq!((&now["priority"], &now["labels"]["new"]), (&json!("normal"), &Value::Null));
    }
    service.stop().await;
}

#[tokio::test]
async fn another_priority_is_another_request() {
    let (_upstream, service, _) = waiting().await;
    let submit = |priority: Option<&str>| {
        let body = json!({ "video_urls": mixed_urls(1), "priority": priority });
        service.request(Method::POST, "/v1/jobs").header("idempotency-key", "once").json(&body)
    };
    let first: Value = submit(Some("low")).send().await.unwrap().json().await.unwrap();
    assert_eq!(first["priority"], "low");
    for other in [Some("high"), Some("normal"), None] {
        refused(submit(other), 422, "idempotency_mismatch").await;
    }
    // A change of the job does not change what was asked for.
    let id = first["id"].as_str().unwrap();
    patched(&service, id, json!({ "priority": "high" })).await;
    refused(submit(Some("high")), 422, "idempotency_mismatch").await;
    let again = submit(Some("low")).send().await.unwrap();
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    let again: Value = again.json().await.unwrap();
    assert_eq!((&again["id"], &again["priority"]), (&first["id"], &json!("high")));
    service.stop().await;
}
