//! Clients that ask wrongly: every fault has its status, its code and its place, and nothing is stored.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::problem::{problem, refused};
use crate::support::raw;
use crate::support::{Scene, Service, mixed_urls};

async fn assert_pointers(service: &Service, body: Value, wanted: &[&str]) {
    let request = service.request(Method::POST, "/v1/jobs").json(&body);
    let answer = refused(request, 422, "invalid").await;
    let errors = answer["errors"].as_array().unwrap();
    let mut found: Vec<_> = errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect();
    found.sort_unstable();
    let mut wanted = wanted.to_vec();
    wanted.sort_unstable();
    assert_eq!(found, wanted, "{body}: {answer}");
    assert!(errors.iter().all(|error| !error["detail"].as_str().unwrap().is_empty()));
}

#[tokio::test]
async fn every_fault_of_a_job_is_named_at_once_and_nothing_is_stored() {
    let (upstream, service) = Scene::new().set("DISPATCH__MAX_URLS_PER_JOB", "5").start().await;
    let good = "https://youtu.be/o9vgXOH4ET0";
    let rows: Vec<(Value, Vec<&str>)> = vec![
        (json!({}), vec!["/video_urls"]),
        (json!({ "video_urls": [] }), vec!["/video_urls"]),
        (json!({ "video_urls": null, "tiktok_post_urls": [] }), vec!["/video_urls"]),
        (json!({ "video_urls": good }), vec!["/video_urls"]),
        (json!({ "video_urls": ["nothing of a URL"] }), vec!["/video_urls/0"]),
        (json!({ "video_urls": [good, "ftp://youtu.be/o9vgXOH4ET0"] }), vec!["/video_urls/1"]),
        (
            json!({ "video_urls": ["javascript:alert(1)", "file:///etc/passwd", "", " "] }),
            vec!["/video_urls/0", "/video_urls/1", "/video_urls/2", "/video_urls/3"],
        ),
        (json!({ "video_urls": [format!("https://x.example/{}", "a".repeat(2100))] }), vec!["/video_urls/0"]),
        (json!({ "video_urls": vec![good; 6] }), vec!["/video_urls"]),
        (
            json!({ "video_urls": vec![good; 3], "tiktok_post_urls": vec![good; 3] }),
            vec!["/tiktok_post_urls"],
        ),
        (json!({ "video_urls": [good], "unique_id": "" }), vec!["/unique_id"]),
        (json!({ "video_urls": [good], "unique_id": " \t" }), vec!["/unique_id"]),
        (json!({ "video_urls": [good], "unique_id": "a\0b" }), vec!["/unique_id"]),
        (json!({ "video_urls": [good], "unique_id": 7 }), vec!["/unique_id"]),
        (json!({ "video_urls": [good], "unique_id": "a", "folder_id": 1 }), vec!["/folder_id"]),
        (json!({ "video_urls": [good], "folder_id": 1.5 }), vec!["/folder_id"]),
        (json!({ "video_urls": [good], "folder_id": 1e3 }), vec!["/folder_id"]),
        (json!({ "video_urls": [good], "folder_id": "" }), vec!["/folder_id"]),
        (json!({ "video_urls": [good], "folder_id": "-" }), vec!["/folder_id"]),
        (json!({ "video_urls": [good], "folder_id": "+1" }), vec!["/folder_id"]),
        (json!({ "video_urls": [good], "folder_id": "1.0" }), vec!["/folder_id"]),
        (json!({ "video_urls": [good], "folder_id": "1e3" }), vec!["/folder_id"]),
        (json!({ "video_urls": [good], "folder_id": " 1" }), vec!["/folder_id"]),
        (json!({ "video_urls": [good], "folder_id": "9223372036854775808" }), vec!["/folder_id"]),
        (json!({ "video_urls": [good], "unique_id": "a", "folder_id": "1" }), vec!["/folder_id"]),
        (json!({ "video_urls": [good], "folder_id": u64::MAX }), vec!["/folder_id"]),
        (json!({ "video_urls": [good], "quality": "9999" }), vec!["/quality"]),
        (json!({ "video_urls": [good], "labels": ["a"] }), vec!["/labels"]),
        (
            json!({ "video_urls": [good], "labels": { "a/b~c": 1, "": "x" } }),
            vec!["/labels/a~1b~0c", "/labels/"],
        ),
        (json!({ "video_urls": [good], "labels": { "k:x": "v" } }), vec!["/labels/k:x"]),
        (json!({ "video_urls": [good], "Quality": "720" }), vec!["/Quality"]),
        (json!([good]), vec![""]),
        (json!("x"), vec![""]),
        (
            json!({
                "video_urls": ["not a url", "ftp://x.example/y", 7, good],
                "tiktok_post_urls": { "0": good },
                "unique_id": "", "folder_id": "x", "quality": [], "library": "secret",
                "labels": { "a": null }, "nope": 1, "callback_url": "http://x.example"
            }),
            vec![
                "/video_urls/0",
                "/video_urls/1",
                "/video_urls/2",
                "/tiktok_post_urls",
                "/unique_id",
                "/folder_id",
                "/quality",
                "/library",
                "/labels/a",
                "/nope",
                "/callback_url",
            ],
        ),
    ];
    for (body, pointers) in rows {
        assert_pointers(&service, body, &pointers).await;
    }
    assert!(service.items("/v1/jobs").await.is_empty());
    assert!(service.items("/v1/events").await.is_empty());
    assert!(upstream.submits().is_empty());
    service.stop().await;
}

#[tokio::test]
async fn a_body_that_is_no_json_is_refused_by_its_kind() {
    let (_upstream, service) = Scene::new().start().await;
    let post = |kind: &str, body: Vec<u8>| {
        service.request(Method::POST, "/v1/jobs").header("content-type", kind).body(body)
    };
    for body in [&b"{"[..], b"", b"{\"video_urls\":[\"\xff\"]}", b"video_urls=x", &[b'['; 100_000]] {
        refused(post("application/json; charset=utf-8", body.to_vec()), 400, "bad_json").await;
    }
    let empty = refused(post("application/json", b" ".to_vec()), 400, "bad_json").await;
    assert_eq!(empty["detail"], "The request body is empty. Send a JSON object.");
    refused(post("application/xml", b"{}".to_vec()), 415, "unsupported_media_type").await;
    let bare = service.request(Method::POST, "/v1/jobs").body("{}");
    refused(bare, 415, "unsupported_media_type").await;
    let host = service.base.strip_prefix("http://").unwrap();
    let large = format!(
        "POST /v1/jobs HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        8 * 1024 * 1024 + 1
    );
    assert_eq!(raw::status_of(&service, large.as_bytes()).await, 413);
    assert!(service.items("/v1/jobs").await.is_empty());
    service.stop().await;
}

#[tokio::test]
async fn keys_open_what_their_role_allows() {
    let (_upstream, service) = Scene::new()
        .set("AUTH__API_KEYS", "reader:read:reader-secret,writer:write:writer-secret")
        .start()
        .await;
    let job = json!({ "video_urls": mixed_urls(1) });
    for path in ["/v1/jobs", "/v1/nope", "/v1/events", "/v1", "/v1/"] {
        let answer = service.request(Method::GET, path).send().await.unwrap();
        assert_eq!(answer.headers()["www-authenticate"], "Bearer", "{path}");
        problem(answer, 401, "unauthorized").await;
    }
    for wrong in [
        "Bearer",
        "Bearer ",
        "Bearer wrong-secret",
        "Basic writer-secret",
        "writer-secret",
        "bearer\twriter-secret",
    ] {
        let request = service.request(Method::POST, "/v1/jobs").header("authorization", wrong).json(&job);
        refused(request, 401, "unauthorized").await;
    }
    let read = service.request(Method::POST, "/v1/jobs").bearer_auth("reader-secret").json(&job);
    refused(read, 403, "forbidden").await;
    let get = |key: &str| service.request(Method::GET, "/v1/jobs").bearer_auth(key);
    assert_eq!(get("reader-secret").send().await.unwrap().json::<Value>().await.unwrap()["items"], json!([]));
    let write = service.request(Method::POST, "/v1/jobs").header("authorization", "bEARER writer-secret");
    assert_eq!(write.json(&job).send().await.unwrap().status(), 202);
    // With keys, the host no longer matters; callbacks and health need none.
    assert_eq!(get("writer-secret").header("host", "hooks.example.com").send().await.unwrap().status(), 200);
    assert_eq!(service.post_callback("/callback", "x").await, 202);
    assert_eq!(service.request(Method::GET, "/healthz").send().await.unwrap().status(), 200);
    service.stop().await;
}

#[tokio::test]
async fn without_keys_only_this_machine_may_ask() {
    let (_upstream, service) = Scene::new().start().await;
    let get = || service.request(Method::GET, "/v1/jobs");
    for host in
        ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil", "[::2]:1", ""]
    {
        refused(get().header("host", host), 403, "cross_site").await;
    }
    for origin in
        ["http://evil.example", "null", "https://localhost", "http://127.0.0.1:1", "http://localhost"]
    {
        refused(get().header("origin", origin), 403, "cross_site").await;
    }
    let post = service.request(Method::POST, "/v1/jobs").header("origin", "http://evil.example");
    refused(post.json(&json!({ "video_urls": mixed_urls(1) })), 403, "cross_site").await;
    assert_eq!(get().header("origin", &service.base).send().await.unwrap().status(), 200);
    assert_eq!(get().header("host", "localhost:1234").send().await.unwrap().status(), 200);
    assert_eq!(get().header("host", "[::1]").send().await.unwrap().status(), 200);
    assert!(service.items("/v1/jobs").await.is_empty());
    service.stop().await;
}

#[tokio::test]
async fn wrong_routes_and_parameters_are_named() {
    let (_upstream, service) = Scene::new().start().await;
    let job = service.submit(&mixed_urls(1)).await;
    service.submit(&mixed_urls(2)).await;
    for path in
        ["/nope", "/v1/nope", "/v1/jobs/", "/v1/jobs/x", "/v1/jobs/x/urls", "/v1/tasks/x", "/v1/videos/x"]
    {
        refused(service.request(Method::GET, path), 404, "not_found").await;
    }
    refused(service.request(Method::GET, "/v1/tasks/x/callbacks"), 404, "not_found").await;
    for (method, path) in [
        (Method::DELETE, "/v1/jobs"),
        (Method::POST, "/v1/events"),
        (Method::GET, "/callback"),
        (Method::PUT, "/callback/x"),
    ] {
        let answer = service.request(method, path).send().await.unwrap();
        assert!(answer.headers().contains_key("allow"), "{path}");
        problem(answer, 405, "method_not_allowed").await;
    }
    for path in [
        "/v1/jobs?nope=1",
        "/v1/jobs?limit=0",
        "/v1/jobs?limit=501",
        "/v1/jobs?limit=-1",
        "/v1/jobs?limit=",
        "/v1/jobs?limit=1&limit=2",
        "/v1/jobs?limit=99999999999999999999",
        "/v1/jobs?state=indexed",
        "/v1/jobs?state=",
        "/v1/jobs?label=nocolon",
        "/v1/jobs?label=:x",
        "/v1/jobs?q=",
        "/v1/jobs?q=+",
        "/v1/jobs?q=a%00",
        &format!("/v1/jobs?{}=1", "x".repeat(60_000)),
        &format!("/v1/jobs?state={}", "x".repeat(60_000)),
        "/v1/tasks?state=done",
        "/v1/tasks?job=x",
        "/v1/tasks?url=ftp%3A%2F%2Fx",
        "/v1/videos?state=accepted",
        "/v1/events?kind=nope",
        "/v1/events?limit=x",
        "/v1/quarantine?state=x",
        &format!("/v1/jobs/{job}?nope=1"),
        &format!("/v1/jobs/{job}/urls?state=done"),
    ] {
        let problem = refused(service.request(Method::GET, path), 400, "bad_query").await;
        assert!(problem["detail"].as_str().unwrap().len() < 400, "{problem}");
    }
    for (query, expected) in [
        (
            "LIMIT=5",
            "unknown parameter `LIMIT`, expected one of `state`, `label`, `quality`, `q`, `limit`, \
             `after`. Did you mean `limit`?",
        ),
        (
            "nope=5",
            "unknown parameter `nope`, expected one of `state`, `label`, `quality`, `q`, `limit`, `after`.",
        ),
        ("state=canceld", "state: `canceld` is not a valid value, did you mean `canceled`?"),
        (
            "state=x",
            "state: `x` is not a valid value. Use one of `running`, `done`, `partial`, `failed`, `canceled`.",
        ),
    ] {
        let path = format!("/v1/jobs?{query}");
        let problem = refused(service.request(Method::GET, &path), 400, "bad_query").await;
        assert_eq!(problem["detail"], expected);
    }
    let post = service.request(Method::POST, "/v1/jobs?nope=1").json(&json!({ "video_urls": mixed_urls(1) }));
    refused(post, 400, "bad_query").await;

    refused(service.request(Method::GET, "/v1/events?after=999999"), 400, "cursor_ahead").await;
    let next = service.get("/v1/jobs?limit=1").await["next"].as_str().unwrap().to_owned();
    for path in [
        "/v1/events?after=-1".to_owned(),
        "/v1/events?after=x".to_owned(),
        "/v1/events?after=99999999999999999999".to_owned(),
        "/v1/jobs?after=".to_owned(),
        "/v1/jobs?after=%00".to_owned(),
        "/v1/jobs?after=am9icyAx".to_owned(),
        format!("/v1/jobs?after={next}="),
        format!("/v1/tasks?after={next}"),
        format!("/v1/videos?after={next}"),
        format!("/v1/quarantine?after={next}"),
        format!("/v1/events?after={next}"),
        format!("/v1/jobs/{job}/urls?after={next}"),
    ] {
        refused(service.request(Method::GET, &path), 400, "bad_cursor").await;
    }
    service.stop().await;
}

#[tokio::test]
async fn jobs_come_in_pages_newest_first_each_once() {
    let (_upstream, service) = Scene::new().start().await;
    let mut submitted = Vec::new();
    for (number, url) in mixed_urls(7).into_iter().enumerate() {
        let team = if number % 2 == 0 { "red:1" } else { "blue" };
        let body = json!({ "video_urls": [url], "labels": { "team": team } });
        let answer = service.request(Method::POST, "/v1/jobs").json(&body).send().await.unwrap();
        let location = answer.headers()["location"].to_str().unwrap().to_owned();
        let job: Value = answer.json().await.unwrap();
        assert_eq!(location, format!("/v1/jobs/{}", job["id"].as_str().unwrap()));
        submitted.push(job["id"].as_str().unwrap().to_owned());
    }
    let (mut seen, mut sizes) = (Vec::new(), Vec::new());
    let mut path = "/v1/jobs?limit=3".to_owned();
    loop {
        let page = service.get(&path).await;
        let items = page["items"].as_array().unwrap();
        sizes.push(items.len());
        seen.extend(items.iter().map(|job| job["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/jobs?limit=3&after={next}");
    }
    assert_eq!(sizes, [3, 3, 1]);
    seen.reverse();
    assert_eq!(seen, submitted);
    assert!(service.get("/v1/jobs?limit=7").await["next"].is_null(), "a full last page is the last");

    assert_eq!(service.items("/v1/jobs?label=team:red:1").await.len(), 4);
    assert_eq!(service.items("/v1/jobs?label=team:blue").await.len(), 3);
    assert!(service.items("/v1/jobs?label=team:red").await.is_empty());
    for job in &submitted {
        service.until_settled(job).await;
    }
    assert_eq!(service.items("/v1/jobs?state=done&label=team:blue").await.len(), 3);
    assert!(service.items("/v1/jobs?state=running").await.is_empty());

    let mut after = "0".to_owned();
    let mut last = 0;
    loop {
        let page = service.get(&format!("/v1/events?limit=4&after={after}")).await;
        after = page["next"].as_str().expect("next is never null").to_owned();
        let items = page["items"].as_array().unwrap();
        for event in items {
            assert_eq!(event["seq"], last + 1, "in order, without gaps");
            last += 1;
        }
        if items.is_empty() {
            break;
        }
    }
    assert_eq!(after, last.to_string());
    assert!(last > 7 * 5, "{last}");
    service.stop().await;
}

#[tokio::test]
async fn a_field_that_is_there_twice_is_a_fault() {
    let (_upstream, service) = Scene::new().start().await;
    let post = |path: &str, body: &'static str| {
        service.request(Method::POST, path).header("Content-Type", "application/json").body(body)
    };
    for (body, pointers) in [
        (
            r#"{"video_urls":["https://youtu.be/a"],"video_urls":["https://youtu.be/b"]}"#,
            &["/video_urls"][..],
        ),
        (
            r#"{"video_urls":["https://youtu.be/a"],"labels":{"a":"1","b/c":"2","a":"3","b/c":"4"}}"#,
            &["/labels/a", "/labels/b~1c"],
        ),
    ] {
        let problem = refused(post("/v1/jobs", body), 422, "invalid").await;
        let found: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|at| &at["pointer"]).collect();
        assert_eq!(found, pointers, "{body}");
    }
    assert!(service.items("/v1/jobs").await.is_empty());
    service.submit(&mixed_urls(1)).await;
    let task = service.until_tasks("", 1).await.swap_remove(0).id;
    let adopt = post(&format!("/v1/tasks/{task}/adopt"), r#"{"upstream_id":"a","upstream_id":"b"}"#);
    assert_eq!(refused(adopt, 422, "invalid").await["errors"][0]["pointer"], "/upstream_id");
    service.stop().await;
}
