//! The routes below `/serve`: a client of memories.ai hears the same from scrapehook as from upstream.

mod callbacks;

use std::collections::BTreeSet;

use reqwest::{Method, RequestBuilder};
use scrapehook::simulator::{Faults, Simulator};
use serde_json::{Value, json};

use crate::support::answers::{Page, Video};
use crate::support::database::open;
use crate::support::raw;
use crate::support::{NEVER, Scene, Service, UPSTREAM_KEY, client, mixed_urls};

const PRIVATE: &str = "/serve/api/v1/scraper_url";
const PUBLIC: &str = "/serve/api/v1/scraper_url_public";
const LOOKUP: &str = "/serve/api/v1/get_video_ids_by_task_id";
const WRITE_KEY: &str = "write-key-that-must-not-show";
const READ_KEY: &str = "read-key-that-must-not-show";
const URL: &str = "https://www.youtube.com/watch?v=o9vgXOH4ET0";

/// The status and the body of an answer. The body always is an envelope.
async fn answer(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    assert_eq!(answer.headers()["content-type"], "application/json");
    let text = answer.text().await.unwrap();
    let body: Value = serde_json::from_str(&text).unwrap();
    let names: BTreeSet<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(["code", "msg", "data", "success", "failed"]), "{body}");
    assert_eq!(body["success"], body["code"] == "0000", "{body}");
    assert_eq!(body["failed"], body["code"] != "0000", "{body}");
    assert_eq!(body["data"].is_null(), body["code"] != "0000", "{body}");
    let msg = body["msg"].as_str().unwrap();
    assert!(!msg.is_empty() && !msg.contains(char::is_control), "{msg:?}");
    assert!(!text.contains("must-not-show"), "{text}");
    (status, body)
}

/// The same request to upstream and to the service, with upstream's key.
async fn both(
    upstream: &Simulator,
    service: &Service,
    request: impl Fn(&str) -> RequestBuilder,
) -> [(u16, Value); 2] {
    let of = |base: &str| answer(request(base).header("Authorization", UPSTREAM_KEY));
    [of(&upstream.url()).await, of(&service.base).await]
}

/// A refusal: its status, its code and its words.
async fn refused(request: RequestBuilder, status: u16, code: &str) -> String {
    let (found, body) = answer(request).await;
    assert_eq!((found, &body["code"]), (status, &json!(code)), "{body}");
    body["msg"].as_str().unwrap().to_owned()
}

fn submit(service: &Service, path: &str, body: &Value) -> RequestBuilder {
    service.request(Method::POST, path).json(body)
}

async fn submitted(service: &Service, path: &str, body: Value) -> String {
    let (status, answer) = answer(submit(service, path, &body)).await;
    assert_eq!((status, &answer["code"], &answer["msg"]), (200, &json!("0000"), &json!("success")));
    answer["data"]["taskId"].as_str().unwrap().to_owned()
}

async fn videos(service: &Service, id: &str) -> Vec<Value> {
    let request = service.request(Method::GET, LOOKUP).query(&[("task_id", id)]);
    let (status, answer) = answer(request).await;
    assert_eq!((status, &answer["code"]), (200, &json!("0000")), "{answer}");
    answer["data"]["videos"].as_array().unwrap().clone()
}

fn field<'v>(videos: &'v [Value], name: &str) -> Vec<&'v str> {
    videos.iter().map(|video| video[name].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_submit_is_answered_as_by_upstream() {
    let (upstream, service) = Scene::new().start().await;
    let client = client();
    for path in [PRIVATE, PUBLIC] {
        let body = json!({ "video_urls": [URL], "unique_id": "autumn", "quality": "720" });
        let request = |base: &str| client.post(format!("{base}{path}")).json(&body);
        let mut answers = both(&upstream, &service, request).await;
        for (_, answer) in &mut answers {
            let id = answer["data"]["taskId"].take();
            assert!(id.as_str().is_some_and(|id| !id.is_empty()), "{id}");
        }
        assert_eq!(answers[0], answers[1]);
    }
    // What cannot be read has the same code.
    for body in ["", "{", r#"{"video_urls":7}"#] {
        let request = |base: &str| client.post(format!("{base}{PRIVATE}")).body(body);
        let [(_, upstream), (_, ours)] = both(&upstream, &service, request).await;
        assert_eq!((&upstream["code"], &ours["code"]), (&json!("0003"), &json!("0003")), "{body}");
    }
    service.stop().await;
}

#[tokio::test]
async fn a_lookup_is_answered_as_by_upstream() {
    let (upstream, service) = Scene::new().start().await;
    let client = client();
    let job = submitted(&service, PRIVATE, json!({ "video_urls": [URL], "unique_id": "autumn" })).await;
    service.until_settled(&job).await;
    let task = service.until_task("indexed").await;
    let id = task.upstream_id.unwrap();
    let request = |base: &str| client.get(format!("{base}{LOOKUP}?task_id={id}&unique_id=autumn"));
    let [(_, mut theirs), ours] = both(&upstream, &service, request).await;
    // The details that scrapehook does not keep.
    for name in ["video_name", "duration"] {
        theirs["data"]["videos"][0][name] = Value::Null;
    }
    let time = ours.1["data"]["videos"][0]["create_time"].clone();
    assert!(time.as_str().unwrap().parse::<i64>().unwrap() > 1_700_000_000_000, "{time}");
    theirs["data"]["videos"][0]["create_time"] = time;
    assert_eq!(theirs["data"]["videos"][0]["status"], "PARSE");
    assert_eq!((200, theirs), ours);
    for name in [&job, &task.id, &id] {
        assert_eq!(json!(videos(&service, name).await), ours.1["data"]["videos"], "{name}");
    }
    // The folder is ignored here, because the id alone names the task.
    let other = service.request(Method::GET, &format!("{LOOKUP}?unique_id=other&task_id={job}&more=1"));
    assert_eq!(answer(other).await.1["data"], ours.1["data"]);
    for id in ["no-such-task", "job_01a215bb4521738389f50a5bfed04188"] {
        let request = |base: &str| client.get(format!("{base}{LOOKUP}?task_id={id}"));
        let [theirs, ours] = both(&upstream, &service, request).await;
        assert_eq!((theirs.0, &theirs.1["code"]), (200, &json!("0001")));
        assert_eq!(theirs, ours);
    }
    let (polls, missing) = (upstream.polls(), ["", "?task_id=", "?task_id=%20", "?unique_id=autumn"]);
    for query in missing {
        let msg = refused(service.request(Method::GET, &format!("{LOOKUP}{query}")), 200, "0003").await;
        assert!(msg.contains("task_id"), "{msg}");
    }
    assert_eq!(upstream.polls(), polls, "lookups ask nobody");
    service.stop().await;
}

#[tokio::test]
async fn a_key_is_sent_bare_or_as_bearer_and_a_read_key_may_only_look_up() {
    let keys = format!("me:write:{WRITE_KEY},you:read:{READ_KEY}");
    let (_upstream, service) = Scene::new().set("AUTH__API_KEYS", &keys).start().await;
    let send = |method: Method, path: &str, authorization: Option<&str>| {
        let body = (method == Method::POST).then(|| json!({ "video_urls": [URL] }).to_string());
        let request = service.request(method, path).body(body.unwrap_or_default());
        match authorization {
            Some(value) => request.header("Authorization", value),
            None => request,
        }
    };
    let bearer = |key: &str| format!("Bearer {key}");
    for value in [WRITE_KEY, &bearer(WRITE_KEY), &format!("bearer  {WRITE_KEY}")] {
        for path in [PRIVATE, PUBLIC] {
            let (status, body) = answer(send(Method::POST, path, Some(value))).await;
            assert_eq!((status, &body["code"]), (200, &json!("0000")), "{body}");
        }
    }
    for value in [None, Some(""), Some("wrong"), Some("Bearer"), Some("Basic x"), Some(&*bearer("wrong"))] {
        for (method, path) in [(Method::POST, PRIVATE), (Method::GET, LOOKUP), (Method::GET, "/serve/x")] {
            refused(send(method, path, value), 200, "0401").await;
        }
    }
    for value in [READ_KEY, &bearer(READ_KEY)] {
        let msg = refused(send(Method::POST, PRIVATE, Some(value)), 200, "9009").await;
        assert!(msg.contains("`you`"), "{msg}");
        refused(send(Method::GET, &format!("{LOOKUP}?task_id=x"), Some(value)), 200, "0001").await;
    }
    // The other routes take no bare key.
    let bare = send(Method::GET, "/v1/jobs", Some(WRITE_KEY)).send().await.unwrap();
    assert_eq!(bare.status(), 401);
    service.stop().await;
}

#[tokio::test]
async fn without_keys_only_this_machine_is_let_in() {
    let (_upstream, service) = Scene::new().start().await;
    for (name, value) in [
        ("x-forwarded-for", "203.0.113.7"),
        ("origin", "https://evil.example"),
        ("host", "evil.example"),
        ("via", "1.1 proxy"),
    ] {
        for request in [
            submit(&service, PRIVATE, &json!({ "video_urls": [URL] })),
            service.request(Method::GET, &format!("{LOOKUP}?task_id=x")),
        ] {
            let request = request.header(name, value).header("Authorization", "any");
            refused(request, 200, "0401").await;
        }
    }
    assert!(service.items("/v1/jobs").await.is_empty());
    service.stop().await;
}

#[tokio::test]
async fn sixty_urls_of_three_platforms_are_one_job_and_its_videos_are_listed_in_their_order() {
    let (upstream, service) = Scene::new().start().await;
    let urls = mixed_urls(60);
    let body = json!({
        "video_urls": urls[..40], "tiktok_post_urls": urls[40..], "unique_id": "autumn", "quality": 1080,
        // These are no fields of upstream's, so they are ignored.
        "library": "public", "labels": 7, "priority": "no", "force": true, "dry_run": true,
        "callback_events": ["*"], "anything": null,
    });
    let job = submitted(&service, PRIVATE, body).await;
    service.until_settled(&job).await;
    let shown = service.get(&format!("/v1/jobs/{job}")).await;
    assert_eq!(shown["progress"]["indexed"], 60);
    let settings = ["library", "unique_id", "quality", "priority", "labels"].map(|name| shown[name].clone());
    assert_eq!(json!(settings), json!(["private", "autumn", "1080", "normal", {}]));
    assert_eq!(upstream.submits().len(), 3);
    let found = videos(&service, &job).await;
    assert_eq!(field(&found, "video_url"), urls);
    assert!(field(&found, "status").iter().all(|status| *status == "PARSE"));
    // The public library has no folders and another quality.
    let body = json!({ "video_urls": [URL], "unique_id": 1.5, "folder_id": "x" });
    let public = submitted(&service, PUBLIC, body).await;
    let shown = service.get(&format!("/v1/jobs/{public}")).await;
    let settings = ["library", "unique_id", "folder_id", "quality"].map(|name| shown[name].clone());
    assert_eq!(json!(settings), json!(["public", null, null, "720"]));
    let private = submitted(&service, PRIVATE, json!({ "video_urls": [URL] })).await;
    assert_eq!(service.get(&format!("/v1/jobs/{private}")).await["quality"], "360");
    service.stop().await;
}

#[tokio::test]
async fn a_job_of_more_than_a_page_lists_the_videos_of_all_its_urls() {
    let (_upstream, service) = Scene::new().start().await;
    let urls = mixed_urls(1_100);
    let job = submitted(&service, PRIVATE, json!({ "video_urls": urls })).await;
    service.until_settled(&job).await;
    assert_eq!(field(&videos(&service, &job).await, "video_url"), urls);
    service.stop().await;
}

#[tokio::test]
async fn every_fault_is_named_in_one_message() {
    let (_upstream, service) = Scene::new().set("DISPATCH__MAX_URLS_PER_JOB", "5").start().await;
    let body = json!({
        "video_urls": ["ftp://a.example", URL, 7], "tiktok_post_urls": "x", "unique_id": "a\u{1}", "folder_id": "x",
        "quality": "9", "callback_url": "https://127.0.0.1/?token=must-not-show",
    });
    let msg = refused(submit(&service, PRIVATE, &body), 200, "0003").await;
    for place in ["video_urls/0", "video_urls/2", "tiktok_post_urls", "unique_id", "folder_id", "quality"] {
        assert!(msg.contains(&format!("{place}: ")), "{place}: {msg}");
    }
    assert!(msg.contains("callback_url: the host is a private address"), "{msg}");
    for (body, part) in [
        (json!({}).to_string(), "video_urls: at least one URL"),
        (json!({ "video_urls": vec![URL; 6] }).to_string(), "at most 5 URLs"),
        (json!({ "video_urls": [URL], "callback": "http://example.com" }).to_string(), "callback: "),
        (format!(r#"{{"video_urls":[],"x":1,"x":2,"video_urls":["{URL}"]}}"#), "is given more than once"),
        (json!([URL]).to_string(), "JSON object"),
        ("{\n\"video_urls\"".to_owned(), "not valid JSON"),
        (String::new(), "empty"),
    ] {
        let request = service.post(PRIVATE, "application/x-www-form-urlencoded", body.clone());
        let msg = refused(request, 200, "0003").await;
        assert!(msg.contains(part), "{body}: {msg}");
    }
    let gzip = service.post(PRIVATE, "application/json", "x").header("content-encoding", "gzip");
    refused(gzip, 200, "0003").await;
    let host = service.base.strip_prefix("http://").unwrap();
    let long = format!("POST {PRIVATE} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 8388609\r\n\r\n");
    let mut stream = raw::connect(&service).await;
    tokio::io::AsyncWriteExt::write_all(&mut stream, long.as_bytes()).await.unwrap();
    let said = String::from_utf8(raw::until_closed(&mut stream).await).unwrap();
    assert!(said.starts_with("HTTP/1.1 200 ") && said.contains("must not exceed 8388608 bytes"), "{said}");
    refused(service.request(Method::GET, PRIVATE), 405, "0003").await;
    for path in ["/serve", "/serve/api/v1/list_videos", "/serve/api/v1/scraper_url/"] {
        refused(service.request(Method::POST, path), 404, "0003").await;
    }
    assert!(service.items("/v1/jobs").await.is_empty());
    let empty = json!({ "video_urls": [URL], "callback": "", "unique_id": " ", "quality": "" });
    submitted(&service, PRIVATE, empty).await;
    service.stop().await;
}

#[tokio::test]
async fn the_same_idempotency_key_gives_the_same_task_id() {
    let (_upstream, service) = Scene::new().start().await;
    let send = |url: &str, key: &str| {
        submit(&service, PRIVATE, &json!({ "video_urls": [url] })).header("Idempotency-Key", key)
    };
    let (_, first) = answer(send(URL, "a")).await;
    assert_eq!(answer(send(URL, "a")).await.1, first);
    assert_eq!(send(URL, "a").send().await.unwrap().headers()["idempotent-replayed"], "true");
    refused(send("https://youtu.be/other", "a"), 200, "0409").await;
    refused(send(URL, " "), 200, "0003").await;
    assert_eq!(service.items("/v1/jobs").await.len(), 1);
    service.stop().await;
}

#[tokio::test]
async fn a_submit_that_cannot_be_stored_is_503_in_the_envelope() {
    let (_upstream, service) = Scene::new().start().await;
    let mut other = open(&service.setup.database()).await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let request = || submit(&service, PRIVATE, &json!({ "video_urls": [URL] }));
    let (bare, msg) = tokio::join!(request().send(), refused(request(), 503, "0001"));
    assert_eq!(bare.unwrap().headers()["retry-after"], "5");
    assert!(msg.contains("another program has locked the database"), "{msg}");
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    assert!(service.items("/v1/jobs").await.is_empty());
    drop(other);
    submitted(&service, PRIVATE, json!({ "video_urls": [URL] })).await;
    service.stop().await;
}

#[tokio::test]
async fn known_urls_list_the_videos_of_the_earlier_job_under_the_spelling_of_this_one() {
    let (upstream, service) = Scene::new().start().await;
    let earlier = service.submit(&["https://youtu.be/o9vgXOH4ET0".to_owned()]).await;
    service.until_settled(&earlier).await;
    let [new, again] = ["https://www.instagram.com/p/CxYz12AbC0/", "https://youtu.be/o9vgXOH4ET0?si=x"];
    let job = submitted(&service, PRIVATE, json!({ "video_urls": [new, URL, again] })).await;
    let settled = service.until_settled(&job).await;
    assert_eq!((settled.progress.known, settled.progress.indexed), (1, 1));
    let found = videos(&service, &job).await;
    assert_eq!(field(&found, "video_url"), [new, URL]);
    assert_eq!(field(&videos(&service, &earlier).await, "video_no"), field(&found[1..], "video_no"));
    assert_eq!(upstream.charged().len(), 2);
    service.stop().await;
}

#[tokio::test]
async fn videos_are_listed_while_they_are_indexed_and_after_they_failed() {
    let (_upstream, service) = Scene::new().index_delay(NEVER).start().await;
    let job = submitted(&service, PRIVATE, json!({ "video_urls": [URL] })).await;
    assert_eq!(service.until_job(&job, |job| job.progress.downloaded == 1).await.state, "running");
    let task = service.until_tasks("", 1).await.swap_remove(0).id;
    assert_eq!(service.call(&format!("/v1/tasks/{task}/refresh"), Value::Null).await.0, 200);
    service.until("/v1/videos", |page: &Page<Video>| !page.items.is_empty()).await;
    assert_eq!(field(&videos(&service, &job).await, "status"), ["UNPARSE"]);
    service.stop().await;

    let faults = Faults { fail_video: 1.0, ..Faults::default() };
    let (_upstream, service) = Scene::new().faults(faults).polling_only().start().await;
    let job = submitted(&service, PRIVATE, json!({ "video_urls": [URL] })).await;
    service.until_settled(&job).await;
    assert_eq!(field(&videos(&service, &job).await, "status"), ["FAIL"]);
    service.stop().await;
}
