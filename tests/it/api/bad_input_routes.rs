//! What no route may swallow: a parameter it does not know, a cursor of another list, a text without end.

use std::collections::BTreeMap;

use reqwest::Method;
use scrapehook::simulator::Simulator;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::support::problem::refused;
use crate::support::raw;
use crate::support::routes::described_routes;
use crate::support::{Scene, Service, mixed_urls};

/// A service with two jobs that have ended, and two hints.
async fn used() -> (Simulator, Service, [String; 2]) {
    let (upstream, service) = Scene::new().start().await;
    let first = service.submit(&mixed_urls(3)).await;
    let second = service.submit(&mixed_urls(6)[3..]).await;
    for job in [&first, &second] {
        service.until_settled(job).await;
    }
    for hint in ["a", "b"] {
        assert_eq!(service.post_callback("/callback", hint).await, 202);
    }
    (upstream, service, [first, second])
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_route_names_a_parameter_that_it_does_not_know() {
    let (_upstream, service, [job, _]) = used().await;
    let task = text(&service.items("/v1/tasks").await[0]["id"]);
    let video = text(&service.items("/v1/videos").await[0]["id"]);
    let events = service.get("/v1/events?limit=500").await["next"].clone();
    for (method, route) in described_routes() {
        let id = if route.starts_with("/v1/jobs") { &job } else { &task };
        let path = route.replace("{id}", id).replace("{video_id}", &video).replace("{token}", "x");
        let request = service.request(method.clone(), &format!("{path}?surprise=1"));
        let request = if method == Method::POST {
            request.header("content-type", "text/plain").body("https://youtu.be/surprise")
        } else {
            request
        };
        if route.starts_with("/v1/") {
            let problem = refused(request, 400, "bad_query").await;
            assert!(problem.to_string().contains("surprise"), "{method} {route}: {problem}");
        } else {
            // Probes and upstream may add what they like.
            assert!(request.send().await.unwrap().status().is_success(), "{method} {route}");
        }
    }
    // The hint is no event of its own unless it asks for something.
    let later = service.items(&format!("/v1/events?after={}", text(&events))).await;
    let is_of_hint = |event: &Value| {
        event["kind"] == "callback.hint"
            || event["message"].as_str().is_some_and(|text| text.starts_with("quarantined: "))
    };
    assert!(later.iter().all(is_of_hint), "nothing was done: {later:?}");
    service.stop().await;
}

#[tokio::test]
async fn a_cursor_leads_nowhere_in_another_list() {
    let (_upstream, service, [first, second]) = used().await;
    let mut lists: Vec<String> =
        ["jobs", "tasks", "videos", "quarantine"].map(|list| format!("/v1/{list}")).into();
    lists.extend([&first, &second].map(|job| format!("/v1/jobs/{job}/urls")));
    for task in service.items(&format!("/v1/tasks?job={first}")).await {
        lists.push(format!("/v1/tasks/{}/callbacks", text(&task["id"])));
    }
    let mut cursors = BTreeMap::new();
    for list in &lists {
        cursors.insert(list, text(&service.get(&format!("{list}?limit=1")).await["next"]));
    }
    assert_eq!(cursors.len(), 9);
    for list in &lists {
        for (from, cursor) in &cursors {
            let path = format!("{list}?limit=1&after={cursor}");
            if from == &list {
                assert_eq!(service.items(&path).await.len(), 1, "{path}");
            } else {
                refused(service.request(Method::GET, &path), 400, "bad_cursor").await;
            }
        }
        refused(service.request(Method::GET, &format!("{list}?after=3")), 400, "bad_cursor").await;
    }
    for cursor in cursors.values() {
        let list = service.request(Method::GET, &format!("/v1/events?after={cursor}"));
        refused(list, 400, "bad_cursor").await;
        let stream = service.request(Method::GET, "/v1/events/stream").header("last-event-id", cursor);
        refused(stream, 400, "bad_cursor").await;
    }
    service.stop().await;
}

#[tokio::test]
async fn a_label_of_a_megabyte_has_a_short_answer() {
    let (_upstream, service) = Scene::new().start().await;
    let long = "a".repeat(1024 * 1024);
    for labels in [json!({ "k": long }), json!({ long.as_str(): "v" })] {
        let body = json!({ "video_urls": mixed_urls(1), "labels": labels });
        let problem =
            refused(service.request(Method::POST, "/v1/jobs").json(&body), 422, "invalid").await.to_string();
        assert!(problem.contains("256 characters") && problem.len() < 1_024, "{problem}");
    }
    // In a query, and in a filter, it is too long for a URL.
    let host = service.base.strip_prefix("http://").unwrap();
    for method in ["GET", "POST"] {
        let label = &long[..70_000];
        let head = format!("{method} /v1/jobs?label=k:{label} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let mut stream = raw::connect(&service).await;
        stream.write_all(head.as_bytes()).await.unwrap();
        let said = String::from_utf8(raw::until_closed(&mut stream).await).unwrap();
        assert!(said.starts_with("HTTP/1.1 414 ") && said.contains("The URL is too long."), "{said}");
        assert!(said.contains("\"code\":\"bad_request\""), "{said}");
    }
    assert!(service.items("/v1/jobs").await.is_empty());
    service.stop().await;
}

#[tokio::test]
async fn what_curl_sends_by_mistake_is_not_taken_for_a_url() {
    let (_upstream, service) = Scene::new().start().await;
    let send = |body: &'static str| {
        let kind = "application/x-www-form-urlencoded";
        service.request(Method::POST, "/v1/jobs").header("content-type", kind).body(body)
    };
    // `curl -d @file` takes the line ends out.
    let joined = send("https://www.youtube.com/watch?v=ahttps://www.youtube.com/watch?v=b");
    let problem = refused(joined, 422, "invalid").await;
    assert!(text(&problem["errors"][0]["detail"]).contains("--data-binary"), "{problem}");
    // JSON without its Content-Type.
    let json = send(r#"{"video_urls":["https://youtu.be/a"]}"#);
    let problem = refused(json, 415, "unsupported_media_type").await;
    assert!(text(&problem["detail"]).contains("application/json"), "{problem}");
    assert!(service.items("/v1/jobs").await.is_empty());
    service.stop().await;
}
