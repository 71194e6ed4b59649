//! Callback tokens of ours in what senders and upstream say: nobody who may only read learns one.

use reqwest::Method;
use scrapehook::domain::destination::Destination;
use scrapehook::domain::job::Quality;
use scrapehook::domain::token::{Claims, TokenKeys};
use serde_json::json;
use sqlx::AssertSqlSafe;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::database::open;
use crate::support::process::Process;
use crate::support::{DEADLINE, Scene, Service, Setup, mixed_urls};

/// Every list that may show what a body said.
const LISTS: [&str; 7] = [
    "/v1/jobs",
    "/v1/tasks",
    "/v1/videos",
    "/v1/events?limit=500",
    "/v1/quarantine?limit=500",
    "/v1/status",
    "/metrics",
];

/// The token as senders may write it: as it is, escaped as a URL and as JSON, and both.
fn spellings(token: &str) -> Vec<String> {
    let in_url: String = token.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let in_json: String = token.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
    let both: String = in_url.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
    vec![token.to_owned(), in_url, in_json, both]
}

/// Bodies that quote a callback URL, in each field and around it.
fn bodies(base: &str, token: &str, id: &str) -> Vec<String> {
    let mut bodies = Vec::new();
    for token in spellings(token) {
        let escaped = base.replace('/', "\\/");
        let upper = base.replace("http", "HTTP");
        for text in [
            format!("{base}/callback/{token}"),
            format!("{escaped}\\/callback\\/{token}"),
            format!("{upper}/callback/{token}?x"),
            format!("AZ{token}zz"),
            format!("{token} and {token}"),
            format!("{}{token}", "x".repeat(1_010)),
        ] {
            bodies.push(format!(r#"{{"taskId":"{id}","status":"FAILED","message":"{text}"}}"#));
            bodies.push(format!(r#"{{"taskId":"{id}","status":"{text}"}}"#));
            bodies.push(format!(r#"{{"taskId":"{id}","{text}":[1]}}"#));
            bodies.push(format!(
                r#"{{"taskId":"{id}","videoId":"{token}","status":"FAILED","message":"{text}"}}"#
            ));
            bodies.push(format!(r#"{{"taskId":"{text}","status":"SUCCEEDED"}}"#));
            bodies.push(text);
        }
    }
    bodies
}

/// No answer shows the token, or any spelling of it.
async fn assert_hidden(service: &Service, token: &str, paths: &[String]) {
    for path in paths {
        let text = service.request(Method::GET, path).send().await.unwrap().text().await.unwrap();
        // JSON shows a backslash as two.
        for spelling in spellings(token) {
            let shown = [spelling.clone(), spelling.replace('\\', "\\\\")];
            assert!(!shown.iter().any(|shown| text.contains(shown)), "{path} shows {spelling}");
        }
        // Not a part of it either, as where a text was cut.
        assert!(!text.contains(&token[..30]), "{path} shows a part of {token}: {text}");
    }
}

#[tokio::test]
async fn no_answer_shows_a_token_that_a_body_quotes() {
    let (upstream, service) =
        Scene::new().downloads_nothing().set("CALLBACK__SECRET", "an-older-secret-of-ours").start().await;
    service.submit(&mixed_urls(1)).await;
    upstream.until(|upstream| upstream.submitted() == 1).await;
    let older = upstream.submits()[0].body.callback_url.clone().unwrap();
    // What an older secret signed is still in force.
    let mut setup = service.stop().await;
    setup = setup.set("CALLBACK__SECRET", "the-newest-secret-of-ours,an-older-secret-of-ours");
    let service = setup.start().await;
    service.submit(&mixed_urls(2)[1..]).await;
    upstream.until(|upstream| upstream.submitted() == 2).await;
    let newer = upstream.submits()[1].body.callback_url.clone().unwrap();
    for (url, quoted) in [(&older, &newer), (&older, &older), (&newer, &older)] {
        let path = url.strip_prefix(&service.base).unwrap();
        let token = quoted.rsplit('/').next().unwrap();
        let id = service.items("/v1/tasks").await[0]["upstream_id"].as_str().unwrap_or("t").to_owned();
        for (number, body) in bodies(&service.base, token, &id).into_iter().enumerate() {
            assert_eq!(service.post_callback(path, body.clone()).await, 200);
            // Strangers are limited.
            if number % 9 == 0 {
                assert_eq!(service.post_callback("/callback", body).await, 202);
            }
        }
    }
    let mut paths: Vec<String> = LISTS.map(str::to_owned).to_vec();
    for task in service.items("/v1/tasks").await {
        let id = task["id"].as_str().unwrap();
        paths.extend([format!("/v1/tasks/{id}"), format!("/v1/tasks/{id}/callbacks?limit=500")]);
    }
    for job in service.items("/v1/jobs").await {
        let id = job["id"].as_str().unwrap();
        paths.extend([format!("/v1/jobs/{id}"), format!("/v1/jobs/{id}/urls")]);
    }
    for url in [&older, &newer] {
        assert_hidden(&service, url.rsplit('/').next().unwrap(), &paths).await;
    }
    let quarantine = service.get("/v1/quarantine?limit=500").await.to_string();
    assert!(quarantine.contains("[token]"), "{quarantine}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stored_stays_raw_and_neither_the_log_nor_the_client_shows_it() {
    let service = Process::start_as(1, |binary| binary.variable("RUST_LOG", "trace")).await;
    let url = service.upstream.submits()[0].body.callback_url.clone().unwrap();
    let token = url.rsplit('/').next().unwrap();
    let body = json!({ "status": "FAILED", "message": format!("no answer from {url}") }).to_string();
    for (url, status) in [(url.clone(), 200), (format!("{}/callback", service.serving.base), 202)] {
        let answer = service.client.post(url).body(body.clone()).send().await.unwrap();
        assert_eq!(answer.status(), status);
    }
    let mut file = open(&service.binary.path("scrapehook.db")).await;
    for table in ["callbacks", "quarantine"] {
        let query = AssertSqlSafe(format!("SELECT body FROM {table}"));
        let kept: Vec<Vec<u8>> = sqlx::query_scalar(query).fetch_all(&mut file).await.unwrap();
        assert_eq!(kept, [body.clone().into_bytes()], "{table}");
    }
    let binary = service.binary.variable("SCRAPEHOOK_URL", &service.serving.base);
    for arguments in [&["events"][..], &["events", "--json"], &["tasks"], &["tasks", "--json"], &["status"]] {
        let (_, stdout, stderr) = binary.run(arguments);
        assert!(!stdout.contains(token) && !stderr.contains(token), "{stdout}{stderr}");
    }
    let (_, events, _) = binary.run(&["events", "--json"]);
    assert!(events.contains("/callback/[token]"), "{events}");
    let (code, log) = service.serving.terminate();
    assert_eq!(code, 0, "{log}");
    assert!(!log.contains(token), "{log}");
}

#[tokio::test]
async fn a_token_that_upstream_quotes_in_an_answer_is_masked() {
    let mut quoted = String::new();
    for escape in [|url: &str| url.to_owned(), |url: &str| url.replace('/', "\\/")] {
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let service = Setup::new(&format!("http://{}", upstream.local_addr().unwrap())).start().await;
        let job = service.submit(&mixed_urls(1)).await;
        let (mut stream, _) =
            tokio::time::timeout(DEADLINE, upstream.accept()).await.expect("a submit").unwrap();
        let mut request = Vec::new();
        let url = loop {
            stream.read_buf(&mut request).await.unwrap();
            let text = String::from_utf8_lossy(&request);
            if let Some((_, rest)) = text.split_once(r#""callback_url":""#)
                && let Some((url, _)) = rest.split_once('"')
            {
                break url.to_owned();
            }
        };
        // So that the words are cut within the token.
        let words = format!("{} {}", "x".repeat(300 - 70), escape(&url));
        let body = format!(r#"{{"code":"0003","msg":"{words}","data":null}}"#);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        service.until_settled(&job).await;
        let token = url.rsplit('/').next().unwrap();
        let paths = ["/v1/tasks", "/v1/events", "/v1/status"].map(str::to_owned);
        assert_hidden(&service, token, &[&paths[..], &[format!("/v1/jobs/{job}/urls")]].concat()).await;
        quoted = service.get("/v1/tasks").await.to_string();
        service.stop().await;
    }
    assert!(quoted.contains("[token]"), "{quoted}");
}

/// A token of each kind for a task: one that names the task alone, and one with its destination and quality.
fn both_kinds(secret: &str, task: &str) -> [String; 2] {
    let old = Claims::of(task.parse().unwrap());
    let new = Claims { destination: Some(Destination::Default.hash()), quality: Some(Quality::P360), ..old };
    [old, new].map(|claims| TokenKeys::new([secret]).issue(claims).unwrap())
}

#[tokio::test]
async fn both_kinds_of_token_are_taken_and_shown_by_no_answer() {
    let secret = "a-secret-of-this-service";
    let (_upstream, service) = Scene::new().downloads_nothing().set("CALLBACK__SECRET", secret).start().await;
    service.submit(&mixed_urls(1)).await;
    let page = service.until_task("accepted").await;
    let (task, upstream_id) = (page.id.as_str(), page.upstream_id.as_deref().unwrap());
    let tokens = both_kinds(secret, task);
    assert_eq!(tokens.each_ref().map(String::len), [43, 56]);
    for (with, quoted) in [(0, 1), (1, 0), (1, 1)] {
        for body in bodies(&service.base, &tokens[quoted], upstream_id) {
            let path = format!("/callback/{}", tokens[with]);
            assert_eq!(service.post_callback(&path, body).await, 200);
        }
    }
    let paths = LISTS.map(str::to_owned).to_vec();
    let paths = [paths, vec![format!("/v1/tasks/{task}"), format!("/v1/tasks/{task}/callbacks?limit=500")]];
    for token in &tokens {
        assert_hidden(&service, token, &paths.concat()).await;
    }
    for token in &tokens {
        let body = json!({ "taskId": upstream_id, "status": "SUCCEEDED" }).to_string();
        assert_eq!(service.post_callback(&format!("//Callback/{token}.?x=1"), body).await, 200);
    }
    let callbacks = service.items(&format!("/v1/tasks/{task}/callbacks")).await;
    assert_eq!((&callbacks[0]["understood"], &callbacks[0]["deliveries"]), (&json!("succeeded"), &json!(2)));
    assert!(service.items("/v1/quarantine").await.is_empty());
    service.stop().await;
}

#[tokio::test]
async fn a_token_of_another_destination_or_quality_is_a_hint() {
    let secret = "a-secret-of-this-service";
    let (_upstream, service) = Scene::new().downloads_nothing().set("CALLBACK__SECRET", secret).start().await;
    service.submit(&mixed_urls(1)).await;
    let page = service.until_task("accepted").await;
    let [old, new] = both_kinds(secret, &page.id);
    let mut forged: Vec<String> = [22, 31, 33, 34, 40, 55]
        .map(|place| {
            let other = if &new[place..=place] == "A" { "B" } else { "A" };
            format!("{}{other}{}", &new[..place], &new[place + 1..])
        })
        .into();
    // The beginning of one kind with the proof of the other.
    forged.extend([
        new[..43].to_owned(),
        format!("{}{}", &new[..34], &old[21..]),
        format!("{old}{}", &new[43..]),
    ]);
    for token in forged {
        let body = json!({ "taskId": "of-a-stranger", "status": "SUCCEEDED" }).to_string();
        assert_eq!(service.post_callback(&format!("/callback/{token}"), body).await, 202, "{token}");
    }
    service.stop().await;
}
