//! `POST /v1/jobs/{id}/retry` and `scrapehook retry JOB`: what is asked wrongly, and how each fault is named.

use reqwest::{Method, RequestBuilder};
use scrapehook::simulator::{Faults, Settings, Simulator};
use serde_json::{Value, json};

use crate::support::problem::refused;
use crate::support::shop::Shop;
use crate::support::{Scene, Service, mixed_urls};

fn retry(service: &Service, job: &str) -> RequestBuilder {
    service.request(Method::POST, &format!("/v1/jobs/{job}/retry"))
}

/// Where every task fails.
fn failing() -> Settings {
    Settings { faults: Faults { fail_task: 1.0, ..Faults::default() }, ..Settings::default() }
}

/// A service, and a job of it that has failed.
async fn used() -> (Simulator, Service, String) {
    let (upstream, service) = Scene::new().simulator(failing()).start().await;
    let job = service.submit(&mixed_urls(1)).await;
    service.until_settled(&job).await;
    (upstream, service, job)
}

#[tokio::test]
async fn a_retry_names_every_fault_of_its_body() {
    let (_upstream, service, job) = used().await;
    let rows: [(&str, &[&str]); 13] = [
        (
            r#"{"codes":["stalled","nope","0003","3","http_50",""]}"#,
            &["/codes/1", "/codes/3", "/codes/4", "/codes/5"],
        ),
        (r#"{"codes":["Stalled","no_answer"],"dry_run":true}"#, &["/codes/0", "/codes/1", "/dry_run"]),
        (r#"{"codes":[null,3,["stalled"],"stalled"]}"#, &["/codes/0", "/codes/1", "/codes/2"]),
        (r#"{"codes":[]}"#, &["/codes"]),
        (r#"{"codes":"stalled"}"#, &["/codes"]),
        (r#"{"codes":{"a":"stalled"}}"#, &["/codes"]),
        (r#"{"codes":["stalled"],"codes":["nope"]}"#, &["/codes", "/codes/0"]),
        (r#"{"code":"stalled"}"#, &["/code"]),
        (r#"{"a/b~":1}"#, &["/a~1b~0"]),
        ("[]", &[""]),
        ("true", &[""]),
        (r#""stalled""#, &[""]),
        ("7", &[""]),
    ];
    for (body, pointers) in rows {
        let request = retry(&service, &job).header("content-type", "application/json").body(body);
        let problem = refused(request, 422, "invalid").await;
        let errors = problem["errors"].as_array().unwrap();
        let mut found: Vec<_> = errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect();
        found.sort_unstable();
        assert_eq!(found, pointers, "{body}: {problem}");
    }
    let events = service.items(&format!("/v1/events?job={job}&kind=job.retried")).await;
    assert!(events.is_empty(), "nothing was done: {events:?}");
    service.stop().await;
}

#[tokio::test]
async fn an_unknown_code_is_quoted_and_not_at_length() {
    let (_upstream, service, job) = used().await;
    let codes: Vec<String> = (0..1_500).map(|n| format!("no{n}")).collect();
    let problem = refused(retry(&service, &job).json(&json!({ "codes": codes })), 422, "invalid").await;
    assert!(problem["detail"].as_str().unwrap().starts_with("1500 errors"), "{}", problem["detail"]);
    assert_eq!(problem["errors"][7], json!({ "pointer": "/codes/7", "detail": "unknown code \"no7\"" }));
    let long = json!({ "codes": ["x".repeat(100_000), "a\u{1b}[2J"] });
    let problem = refused(retry(&service, &job).json(&long), 422, "invalid").await;
    assert!(problem.to_string().len() < 1_000, "{problem}");
    assert!(!problem.to_string().contains("\\u001b["), "{problem}");
    let huge = json!({ "codes": ["x".repeat(300_000)] });
    refused(retry(&service, &job).json(&huge), 413, "too_large").await;
    service.stop().await;
}

#[tokio::test]
async fn a_retry_without_a_body_takes_all_failed_urls() {
    let (_upstream, service, job) = used().await;
    let bodies: [(&str, &str); 7] = [
        ("", ""),
        ("application/json", ""),
        ("text/plain", " \n"),
        ("application/json", "null"),
        ("application/json", "{}"),
        ("application/json", r#"{"codes":null}"#),
        (
            "application/json; charset=utf-8",
            r#"{"codes":["stalled","video_failed","0402","http_503","task_failed"]}"#,
        ),
    ];
    for (kind, body) in bodies {
        let request = retry(&service, &job).header("content-type", kind).body(body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 202, "{kind} {body}");
        assert_eq!(answer.json::<Value>().await.unwrap()["id"], json!(job));
        service.until_settled(&job).await;
    }
    assert_eq!(service.call(&format!("/v1/jobs/{job}/retry"), Value::Null).await.0, 202);
    service.stop().await;
}

#[tokio::test]
async fn a_retry_that_changes_nothing_says_how_the_urls_stand_and_how_to_choose() {
    let (_upstream, service, job) = used().await;
    for (codes, advice) in
        [(json!(["stalled"]), "codes of its failed URLs"), (json!(["canceled"]), "these codes")]
    {
        let request = retry(&service, &job).json(&json!({ "codes": codes }));
        let problem = refused(request, 409, "wrong_state").await;
        let detail = problem["detail"].as_str().unwrap();
        let numbers = "0 indexed or known, 0 on their way, 0 in the queue, 1 failed.";
        assert!(detail.contains(numbers) && detail.contains(advice), "{detail}");
    }
    service.stop().await;
}

#[tokio::test]
async fn a_retry_of_nothing_or_of_another_kind_is_refused() {
    let (_upstream, service, job) = used().await;
    for id in ["job_0", "job_00000000000000000000000000000000", "task_00000000000000000000000000000000", "x"]
    {
        let problem = refused(retry(&service, id), 404, "not_found").await;
        assert_eq!(problem["detail"], "No job has this id.");
    }
    let plain = retry(&service, &job).header("content-type", "text/plain").body("stalled");
    refused(plain, 415, "unsupported_media_type").await;
    let unnamed = retry(&service, &job).body(r#"{"codes":["stalled"]}"#);
    refused(unnamed, 415, "unsupported_media_type").await;
    let broken = retry(&service, &job).header("content-type", "application/json").body(r#"{"codes":["#);
    refused(broken, 400, "bad_json").await;
    refused(service.request(Method::GET, &format!("/v1/jobs/{job}/retry")), 405, "method_not_allowed").await;
    service.stop().await;
}

#[tokio::test]
async fn a_read_key_retries_nothing() {
    let keys = "reader:read:reader-secret,writer:write:writer-secret";
    let (_upstream, service) = Scene::new().set("AUTH__API_KEYS", keys).start().await;
    let (id, reader) = ("job_00000000000000000000000000000000", "reader-secret");
    refused(retry(&service, id).bearer_auth(reader), 403, "forbidden").await;
    refused(retry(&service, id), 401, "unauthorized").await;
    refused(retry(&service, id).bearer_auth("writer-secret"), 404, "not_found").await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_retries_a_job_or_a_task_and_codes_are_for_jobs() {
    let shop = Shop::open(failing()).await;
    let job = shop.service.submit(&mixed_urls(1)).await;
    let settled = shop.service.until_settled(&job).await;
    let task = settled.tasks[0].id.as_str();
    for id in [task, "31b0fccb-d6f9-4135-922d-1e8828499812", "job-of-upstream"] {
        let (code, said) = shop.not_done(&["retry", id, "--code", "stalled"]);
        assert!(code == 2 && said.contains("--code works with a job only"), "{said}");
    }
    let (code, said) = shop.not_done(&["retry", &job, "--code", "stalled", "--code", "nope"]);
    assert!(code == 2 && said.contains("codes/1: unknown code \"nope\""), "{said}");
    for arguments in [&["retry"][..], &["retry", "."], &["retry", &job, "--code"], &["retry", &job, task]] {
        assert_eq!(shop.client.run(arguments).0, 2, "{arguments:?}");
    }
    let (code, said) = shop.not_done(&["retry", "job_0"]);
    assert!(code == 1 && said.contains("No job has this id."), "{said}");
    let (code, shown, said) = shop.client.run(&["retry", &job, "--code", "stalled", "--code", "task_failed"]);
    assert!(code == 0 && shown.starts_with(&job), "{shown}{said}");
    assert!(said.contains(&format!("scrapehook watch {job}")), "{said}");
    shop.service.until_settled(&job).await;
    let printed = shop.json(&["retry", &job]);
    assert_eq!(printed[0]["id"], json!(job));
    shop.service.stop().await;
}
