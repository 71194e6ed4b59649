//! Bodies and queries in other encodings: what can be read is read, and anything else is refused by its name.

use reqwest::Method;
use scrapehook::simulator::Faults;
use serde_json::{Value, json};

use crate::support::problem::refused;
use crate::support::raw;
use crate::support::{Scene, mixed_urls};

const MARK: &[u8] = b"\xef\xbb\xbf";

fn marked(text: &str) -> Vec<u8> {
    [MARK, text.as_bytes()].concat()
}

#[tokio::test]
async fn a_byte_order_mark_before_a_body_is_ignored() {
    let faults = Faults { cut: 1.0, lose: 1.0, ..Faults::default() };
    let (upstream, service) = Scene::new().faults(faults).downloads_nothing().start().await;
    let url = "https://youtu.be/AAAAAAAAAAA";
    for (kind, body) in [
        ("application/json", json!({ "video_urls": [url] }).to_string()),
        ("text/plain", url.to_owned()),
        ("text/csv", format!("url\n{url}\n")),
    ] {
        let answer = service.post("/v1/jobs?", kind, marked(&body)).send().await.unwrap();
        assert_eq!(answer.status(), 202, "{kind}: {}", answer.text().await.unwrap());
    }
    let page = service.until_task("unconfirmed").await;
    let task = &page.id;
    let path = format!("/v1/tasks/{task}/adopt");
    let adopt = marked(&json!({ "upstream_id": "any" }).to_string());
    assert_eq!(service.post(&path, "application/json", adopt).send().await.unwrap().status(), 200);
    // A callback that begins with one is understood, and kept as it came.
    let submit = upstream.submits().remove(0);
    let callback = submit.body.callback_url.unwrap().replace(&service.base, "");
    let body = json!({ "taskId": "any", "status": "SUCCEEDED" }).to_string();
    assert_eq!(service.post_callback(&callback, marked(&body)).await, 200);
    let kept = service.items(&format!("/v1/tasks/{task}/callbacks")).await;
    assert_eq!(kept[0]["understood"], "succeeded");
    assert_eq!(kept[0]["body"], String::from_utf8(marked(&body)).unwrap());
    // Only the first is one.
    let twice = [MARK, &marked("{}")].concat();
    refused(service.post("/v1/jobs", "application/json", twice), 400, "bad_json").await;
    service.stop().await;
}

#[tokio::test]
async fn a_compressed_body_is_refused_as_such() {
    let (_upstream, service) = Scene::new().start().await;
    service.submit(&mixed_urls(1)).await;
    let job = service.items("/v1/jobs").await[0]["id"].as_str().unwrap().to_owned();
    let task = service.until_tasks("", 1).await.swap_remove(0).id;
    let paths = [
        "/v1/jobs".to_owned(),
        "/v1/pause".to_owned(),
        "/v1/resume".to_owned(),
        format!("/v1/jobs/{job}/cancel"),
        format!("/v1/tasks/{task}/adopt"),
        format!("/v1/tasks/{task}/retry"),
        format!("/v1/tasks/{task}/refresh"),
        format!("/v1/tasks/{task}/cancel"),
    ];
    for path in &paths {
        for coding in ["gzip", "GZIP", "br", "deflate", "zstd", "gzip, br", "identity, gzip", "what, ever"] {
            let request = service.post(path, "application/json", &b"\x1f\x8b\x08\x00"[..]);
            let answer = request.header("content-encoding", coding).send().await.unwrap();
            assert_eq!(answer.headers()["accept-encoding"], "identity", "{path} {coding}");
            let problem = crate::support::problem::problem(answer, 415, "unsupported_media_type").await;
            assert!(problem["detail"].as_str().unwrap().contains("Content-Encoding"), "{problem}");
        }
    }
    let host = service.base.trim_start_matches("http://");
    let head = format!("POST /v1/pause HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: gzip, chunked\r\n\r\n");
    assert_eq!(raw::status_of(&service, format!("{head}1\r\nx\r\n0\r\n\r\n").as_bytes()).await, 415);
    let body = json!({ "video_urls": mixed_urls(1), "dry_run": true }).to_string();
    for coding in ["", "identity", "Identity", "identity, identity"] {
        let request = service.post("/v1/jobs", "application/json", body.clone());
        assert_eq!(
            request.header("content-encoding", coding).send().await.unwrap().status(),
            200,
            "{coding}"
        );
    }
    // Without a body there is nothing that could be compressed.
    let bare = service.request(Method::POST, "/v1/pause").header("content-encoding", "gzip");
    assert_eq!(bare.send().await.unwrap().status(), 200);
    service.stop().await;
}

#[tokio::test]
async fn text_that_is_not_utf_8_is_refused_as_such() {
    let (_upstream, service) = Scene::new().start().await;
    for kind in [
        "application/json; charset=utf-16",
        "application/json;charset=\"UTF-16LE\"",
        "text/csv; charset=latin1",
        "text/plain; format=flowed; Charset = iso-8859-1",
        "text/csv; charset=utf-8; charset=utf-16",
    ] {
        let problem = refused(service.post("/v1/jobs", kind, "x"), 415, "unsupported_media_type").await;
        assert!(problem["detail"].as_str().unwrap().contains("Only UTF-8"), "{kind}: {problem}");
    }
    let body = json!({ "video_urls": mixed_urls(1), "dry_run": true }).to_string();
    for kind in [
        "application/json; charset=utf-8",
        "application/json; charset=\"UTF-8\"",
        "application/json ;charset=US-ASCII",
        "application/json; charset=",
        "application/json;",
        "application/vnd.api+json; profile=x",
    ] {
        let answer = service.post("/v1/jobs", kind, body.clone()).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{kind}");
    }
    let utf_16: Vec<u8> = body.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let problem =
        refused(service.post("/v1/jobs", "application/json", utf_16.clone()), 400, "bad_json").await;
    assert!(problem["detail"].as_str().unwrap().contains("UTF-16"), "{problem}");
    let big_endian: Vec<u8> = body.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let (gzip, nul) = (b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xab\xae\x05\0".to_vec(), b"{\"a\0\":1}".to_vec());
    let marked = |mark: &[u8; 2], text: &[u8]| [mark, text].concat();
    let with_mark = [marked(b"\xff\xfe", &utf_16), marked(b"\xfe\xff", &big_endian)];
    for body in with_mark {
        let problem = refused(service.post("/v1/jobs", "application/json", body), 400, "bad_json").await;
        assert!(problem["detail"].as_str().unwrap().contains("UTF-16"), "{problem}");
    }
    for kind in ["text/plain", "text/csv"] {
        let problem = refused(service.post("/v1/jobs", kind, gzip.clone()), 422, "invalid").await;
        assert!(
            problem["errors"][0]["detail"].as_str().unwrap().contains("compressed with gzip"),
            "{problem}"
        );
    }
    for (body, why) in [(big_endian, "UTF-16"), (gzip, "compressed with gzip"), (nul, "control character")] {
        let problem = refused(service.post("/v1/jobs", "application/json", body), 400, "bad_json").await;
        assert!(problem["detail"].as_str().unwrap().contains(why), "{problem}");
    }
    assert!(service.items("/v1/jobs").await.is_empty());
    service.stop().await;
}

#[tokio::test]
async fn a_compressed_callback_is_kept_as_it_came() {
    let (upstream, service) = Scene::new().downloads_nothing().start().await;
    service.submit(&mixed_urls(1)).await;
    let page = service.until_task("accepted").await;
    let callback = upstream.submits()[0].body.callback_url.clone().unwrap().replace(&service.base, "");
    let polls = upstream.polls();
    let request = service.post(&callback, "application/json; charset=utf-16", &b"\x1f\x8b\x08"[..]);
    assert_eq!(request.header("content-encoding", "gzip").send().await.unwrap().status(), 200);
    let task = &page.id;
    let kept = service.items(&format!("/v1/tasks/{task}/callbacks")).await;
    assert_eq!((kept.len(), &kept[0]["understood"]), (1, &Value::Null));
    // A poll finds out what it said.
    upstream.until(|upstream| upstream.polls() > polls).await;
    service.stop().await;
}

#[tokio::test]
async fn a_body_that_would_be_ignored_is_refused() {
    let faults = Faults { fail_task: 1.0, ..Faults::default() };
    let (upstream, service) = Scene::new().faults(faults).start().await;
    let job = service.submit(&mixed_urls(1)).await;
    service.until_settled(&job).await;
    let task = service.items("/v1/tasks").await[0]["id"].as_str().unwrap().to_owned();
    let retry = format!("/v1/tasks/{task}/retry");
    let problem =
        refused(service.post(&retry, "application/json", r#"{"dry_run":true,"a/b":1}"#), 422, "invalid")
            .await;
    let pointers: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|at| &at["pointer"]).collect();
    assert_eq!(pointers, ["/a~1b", "/dry_run"]);
    for body in ["nonsense", "[1]", "{", "7"] {
        refused(service.post(&retry, "text/plain", body), 422, "invalid").await;
    }
    refused(service.post(&retry, "text/plain", "x".repeat(5_000)), 413, "too_large").await;
    assert_eq!(service.items("/v1/tasks").await.len(), 1, "nothing was sent again");
    for (number, body) in [" \n", "null", "{}"].into_iter().enumerate() {
        let answer = service.post("/v1/pause", "application/json", body).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{number}");
    }
    assert_eq!(upstream.submitted(), 1);
    service.stop().await;
}

#[tokio::test]
async fn an_escape_that_is_not_utf_8_is_refused() {
    let (_upstream, service) = Scene::new().start().await;
    for query in ["label=%FF:x", "label=a:%e2%82", "%FF=1", "label=a:%EF%BF%BD%FF"] {
        for (method, kind) in [(Method::GET, ""), (Method::POST, "text/plain")] {
            let request = service.request(method, &format!("/v1/jobs?{query}")).header("content-type", kind);
            let problem = refused(request.body("https://youtu.be/AAAAAAAAAAA"), 400, "bad_query").await;
            assert!(problem["detail"].as_str().unwrap().contains("UTF-8"), "{query}: {problem}");
        }
    }
    for query in ["label=a:%EF%BF%BD", "label=a:%C3%BC", "label=a:100%", "label=a:%zz"] {
        assert!(service.items(&format!("/v1/jobs?{query}")).await.is_empty(), "{query}");
    }
    service.stop().await;
}
