//! How jobs are asked for: once for each key, as lines or CSV, and only as a question.

use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder, Response};
use scrapehook::simulator::Simulator;
use serde_json::{Value, json};
use sqlx::Connection;

use crate::support::database::open;
use crate::support::{Scene, Service, mixed_urls};

fn job(service: &Service, key: &str, urls: &[String]) -> RequestBuilder {
    let body = json!({ "video_urls": urls });
    service.request(Method::POST, "/v1/jobs").header("idempotency-key", key).json(&body)
}

fn is_replayed(answer: &Response) -> bool {
    answer.headers().get("idempotent-replayed").is_some_and(|value| value == "true")
}

#[tokio::test]
async fn the_same_request_again_gives_the_same_job_as_it_is_now() {
    let (upstream, service) = Scene::new().downloads_nothing().start().await;
    let first = job(&service, "k", &mixed_urls(1)).send().await.unwrap();
    assert_eq!((first.status().as_u16(), is_replayed(&first)), (202, false));
    let location = first.headers()["location"].clone();
    let first: Value = first.json().await.unwrap();
    service.until_task("accepted").await;
    // It outlives a restart.
    let service = service.stop().await.start().await;
    let again = job(&service, "k", &mixed_urls(1)).send().await.unwrap();
    assert_eq!((again.status().as_u16(), is_replayed(&again)), (202, true));
    assert_eq!(again.headers()["location"], location);
    let again: Value = again.json().await.unwrap();
    assert_eq!((&again["id"], &again["progress"]["sent"]), (&first["id"], &json!(1)));
    // The same URLs as text are the same request.
    let lines = service.request(Method::POST, "/v1/jobs").header("idempotency-key", "k");
    let lines = lines.header("content-type", "text/plain").body(mixed_urls(1).join("\n"));
    assert!(is_replayed(&lines.send().await.unwrap()));
    let other = job(&service, "k", &mixed_urls(2)).send().await.unwrap();
    assert_eq!(other.status(), 422);
    assert_eq!(other.json::<Value>().await.unwrap()["code"], "idempotency_mismatch");
    let other_key = job(&service, "K", &mixed_urls(1)).send().await.unwrap();
    assert!(!is_replayed(&other_key), "keys are what they are, to the letter");
    assert_eq!(upstream.submitted(), 1);
    service.stop().await;
}

#[tokio::test]
async fn a_key_in_quotes_is_the_same_key() {
    let (_upstream, service) = Scene::new().downloads_nothing().start().await;
    let mut ids = Vec::new();
    for key in ["tonight", "\"tonight\"", " tonight ", r#" "tonight" "#] {
        let answer = job(&service, key, &mixed_urls(1)).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), is_replayed(&answer)), (202, !ids.is_empty()), "{key}");
        ids.push(answer.json::<Value>().await.unwrap()["id"].clone());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    for (plain, quoted) in [(r#"a"b\c"#, r#""a\"b\\c""#), ("a b", "\"a b\"")] {
        assert!(!is_replayed(&job(&service, plain, &mixed_urls(1)).send().await.unwrap()), "{plain}");
        assert!(is_replayed(&job(&service, quoted, &mixed_urls(1)).send().await.unwrap()), "{quoted}");
    }
    service.stop().await;
}

#[tokio::test]
async fn keys_that_were_stored_with_their_quotes_are_found() {
    let (_upstream, service) = Scene::new().downloads_nothing().start().await;
    let id = async |answer: Response| answer.json::<Value>().await.unwrap()["id"].clone();
    let quoted = id(job(&service, "old", &mixed_urls(1)).send().await.unwrap()).await;
    let setup = service.stop().await;
    let mut file = open(&setup.database()).await;
    sqlx::query(r#"UPDATE idempotency_keys SET key = '"old"'"#).execute(&mut file).await.unwrap();
    file.close().await.unwrap();
    let service = setup.start().await;
    for key in ["old", "\"old\""] {
        let again = job(&service, key, &mixed_urls(1)).send().await.unwrap();
        assert!(is_replayed(&again), "{key}");
        assert_eq!(id(again).await, quoted);
        assert_eq!(job(&service, key, &mixed_urls(2)).send().await.unwrap().status(), 422, "{key}");
    }
    // They were two keys then, and may stand for two requests.
    let setup = service.stop().await;
    let mut file = open(&setup.database()).await;
    let other =
        "INSERT INTO idempotency_keys SELECT caller, 'old', zeroblob(32), job_id FROM idempotency_keys";
    sqlx::query(other).execute(&mut file).await.unwrap();
    file.close().await.unwrap();
    let service = setup.start().await;
    for key in ["old", "\"old\""] {
        assert_eq!(id(job(&service, key, &mixed_urls(1)).send().await.unwrap()).await, quoted, "{key}");
    }
    service.stop().await;
}

#[tokio::test]
async fn a_folder_beyond_the_numbers_of_javascript_is_a_string() {
    let (upstream, service) = Scene::new().downloads_nothing().start().await;
    let urls = mixed_urls(1);
    for (given, wanted) in [
        (json!("9007199254740993"), 9_007_199_254_740_993_i64),
        (json!(9_007_199_254_740_993_i64), 9_007_199_254_740_993),
        (json!("-1"), -1),
        (json!("9223372036854775807"), i64::MAX),
        (json!("-9223372036854775808"), i64::MIN),
    ] {
        let body = json!({ "video_urls": urls, "folder_id": given, "force": true });
        let (status, job) = service.call("/v1/jobs", body).await;
        assert_eq!((status, &job["folder_id"]), (202, &json!(wanted)), "{given}: {job}");
        // In a query it is digits as well.
        let request = service.request(Method::POST, &format!("/v1/jobs?force=true&folder_id={wanted}"));
        let answer = request.header("content-type", "text/plain").body(urls.join("\n")).send().await.unwrap();
        assert_eq!(answer.json::<Value>().await.unwrap()["folder_id"], wanted);
    }
    // What waits for the same post at the same place is sent once for all.
    for wanted in [Some(9_007_199_254_740_993), None, Some(i64::MAX), Some(i64::MIN)] {
        let is_sent = |upstream: &Simulator| {
            upstream.submits().iter().any(|submit| {
                submit.body.folder_id == wanted && submit.body.unique_id.is_some() == wanted.is_none()
            })
        };
        upstream.until(is_sent).await;
    }
    service.stop().await;
}

#[tokio::test]
async fn a_hundred_at_once_make_one_job() {
    let (upstream, service) = Scene::new().downloads_nothing().start().await;
    let urls = mixed_urls(3);
    let answers = join_all((0..100).map(|_| job(&service, "once", &urls).send())).await;
    let mut ids = Vec::new();
    let mut replayed = 0;
    for answer in answers {
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 202);
        replayed += usize::from(is_replayed(&answer));
        ids.push(answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned());
    }
    ids.dedup();
    assert_eq!((ids.len(), replayed), (1, 99));
    assert_eq!(service.items("/v1/jobs").await.len(), 1);
    upstream.until(|upstream| upstream.submitted() >= 3).await;
    service.stop().await;
    assert_eq!(upstream.charged().len(), 3);
}

#[tokio::test]
async fn each_api_key_has_idempotency_keys_of_its_own() {
    let keys = "a:write:key-of-the-first-caller,b:write:key-of-the-second-caller";
    let (_upstream, service) = Scene::new().downloads_nothing().set("AUTH__API_KEYS", keys).start().await;
    let mut ids = Vec::new();
    for key in ["key-of-the-first-caller", "key-of-the-second-caller"] {
        let answer = job(&service, "k", &mixed_urls(1)).bearer_auth(key).send().await.unwrap();
        assert!(!is_replayed(&answer));
        ids.push(answer.json::<Value>().await.unwrap()["id"].clone());
    }
    assert_ne!(ids[0], ids[1]);
    service.stop().await;
}

#[tokio::test]
async fn a_key_that_can_not_be_taken_is_said_so_and_nothing_is_stored() {
    let (_upstream, service) = Scene::new().downloads_nothing().start().await;
    for key in [
        "",
        "  ",
        "\"\"",
        &"k".repeat(256),
        "schl\u{fc}ssel",
        "a\tb",
        "\"a",
        "\"a\"b\"",
        r#""a\b""#,
        "\"a\";b=1",
    ] {
        let answer = job(&service, "x", &mixed_urls(1)).build().unwrap();
        let mut answer = answer;
        let value = reqwest::header::HeaderValue::from_bytes(key.as_bytes()).unwrap();
        answer.headers_mut().insert("idempotency-key", value);
        let answer = service.client.execute(answer).await.unwrap();
        assert_eq!(answer.status(), 400, "{key}");
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], "bad_idempotency_key");
    }
    let twice = job(&service, "a", &mixed_urls(1)).header("idempotency-key", "b").send().await.unwrap();
    assert_eq!(twice.status(), 400);
    assert!(service.items("/v1/jobs").await.is_empty());
    service.stop().await;
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_done_and_stores_nothing() {
    let (_upstream, service) = Scene::new().start().await;
    let known = service.submit(&["https://youtu.be/known-known".to_owned()]).await;
    service.until_settled(&known).await;
    service.pause().await;
    service.submit(&["https://youtu.be/on-its-way".to_owned()]).await;
    let mut urls: Vec<_> = (0..51).map(|n| format!("https://www.tiktok.com/@u/video/{n}")).collect();
    urls.extend(
        ["https://youtu.be/known-known", "https://www.youtube.com/watch?v=known-known"].map(str::to_owned),
    );
    urls.push("https://youtu.be/on-its-way".to_owned());
    let (status, plan) = service.call("/v1/jobs", json!({ "video_urls": urls, "dry_run": true })).await;
    assert_eq!(status, 200);
    let tasks = json!([{ "platform": "tiktok", "urls": 50 }, { "platform": "tiktok", "urls": 1 }]);
    let queue = json!({ "requests_ahead": 0, "requests_left": 3, "sent_by": null });
    let counts =
        json!({ "urls": 53, "known": 1, "following": 1, "unconfirmed": 0, "tasks": tasks, "queue": queue });
    assert_eq!(plan, counts);
    let (_, forced) =
        service.call("/v1/jobs", json!({ "video_urls": urls, "dry_run": true, "force": true })).await;
    assert_eq!((&forced["known"], forced["tasks"].as_array().unwrap().len()), (&json!(0), 3));
    let (status, _) = service.call("/v1/jobs", json!({ "video_urls": ["x"], "dry_run": true })).await;
    assert_eq!(status, 422, "faults are found as well");
    assert_eq!(service.items("/v1/jobs").await.len(), 2);
    service.stop().await;
}

#[tokio::test]
async fn lines_and_csv_make_jobs_with_the_settings_of_the_query() {
    let (upstream, service) = Scene::new().downloads_nothing().start().await;
    let post = async |query: &str, kind: &str, body: &str| -> (u16, Value) {
        let request = service.request(Method::POST, &format!("/v1/jobs{query}"));
        let answer = request.header("content-type", kind).body(body.to_owned()).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    };
    // What `curl --data-binary @urls.txt` says by itself is lines as well.
    for (n, kind) in ["text/plain", "text/plain; charset=utf-8", "application/x-www-form-urlencoded"]
        .into_iter()
        .enumerate()
    {
        let body = format!("# mine\nhttps://youtu.be/a{n}\r\n\nhttps://youtu.be/b{n}\n");
        let (status, job) = post("", kind, &body).await;
        assert_eq!((status, &job["progress"]["urls"]), (202, &json!(2)), "{kind}");
    }
    let query = "?unique_id=my%20folder&quality=720&label=team:a&label=run:7:b&force=true";
    let (status, job) = post(query, "text/csv", "name,url\nx,https://youtu.be/c\n").await;
    assert_eq!(status, 202);
    assert_eq!((&job["unique_id"], &job["quality"]), (&json!("my folder"), &json!("720")));
    assert_eq!(job["labels"], json!({ "team": "a", "run": "7:b" }));
    let (status, plan) = post("?dry_run=true&folder_id=-1", "text/plain", "https://youtu.be/d").await;
    assert_eq!((status, &plan["urls"]), (200, &json!(1)));
    upstream.until(|upstream| upstream.charged().len() >= 7).await;

    for (query, wanted) in [
        ("?nope=1", "/nope"),
        ("?quality=9999", "/quality"),
        ("?quality=360&quality=720", "/quality"),
        ("?folder_id=x", "/folder_id"),
        ("?force=yes", "/force"),
        ("?dry_run=1", "/dry_run"),
        ("?label=x", "/label"),
        ("?video_urls=x", "/video_urls"),
        ("?labels=x", "/labels"),
    ] {
        let (status, problem) = post(query, "text/plain", "https://youtu.be/e").await;
        assert_eq!((status, &problem["code"]), (400, &json!("bad_query")), "{query}: {problem}");
        assert_eq!(problem["errors"][0]["pointer"], wanted, "{query}: {problem}");
    }
    let (status, problem) = post("", "text/plain", "https://youtu.be/e\nnope\n").await;
    assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!("/2")));
    assert_eq!(post("", "text/csv", "link\nhttps://youtu.be/e").await.0, 422);
    assert_eq!(post("", "text/plain", "").await.0, 422);
    assert_eq!(post("", "image/png", "x").await.0, 415);
    assert_eq!(post("?force=true", "application/json", "{}").await.0, 400);
    assert_eq!(service.items("/v1/jobs").await.len(), 4);
    service.stop().await;
}

#[tokio::test]
async fn a_job_is_found_again_by_its_labels() {
    let (_upstream, service) = Scene::new().downloads_nothing().start().await;
    let body = json!({ "video_urls": mixed_urls(1), "labels": { "team": "a", "run": "7" } });
    let labelled = service.submit_with(body).await;
    service.submit(&["https://youtu.be/other".to_owned()]).await;
    for (query, count) in [("team:a", 1), ("run:7", 1), ("team:b", 0), ("team:", 0)] {
        let found = service.items(&format!("/v1/jobs?label={query}")).await;
        assert_eq!(found.len(), count, "{query}");
        assert!(found.iter().all(|job| job["id"] == labelled));
    }
    service.stop().await;
}
