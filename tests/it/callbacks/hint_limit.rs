//! The limit of hints: strangers are refused beyond it, and senders with a good token hear nothing of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::support::process::Process;
use crate::support::raw;
use crate::support::{DEADLINE, Scene, Service};

/// As docs/operating.md has them.
const HINTS_AT_ONCE: usize = 200;
const BYTES_AT_ONCE: usize = 2 * 1024 * 1024;
const BYTES_PER_SECOND: usize = 1024 * 1024;
const LARGEST: usize = 64 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_write_no_more_than_the_limit_and_genuine_callbacks_are_all_answered_200() {
    let service = Process::start(1).await;
    let genuine = service.upstream.submits()[0].body.callback_url.clone().unwrap();
    let base = service.serving.base.clone();
    let [is_over, is_refused] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
    let number = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let strangers = (0..16).map(|_| {
        let (base, number) = (base.clone(), number.clone());
        let (is_over, is_refused) = (is_over.clone(), is_refused.clone());
        tokio::spawn(async move {
            // A connection of its own.
            let client = crate::support::client();
            let mut statuses = BTreeMap::<u16, usize>::new();
            while !is_over.load(Ordering::Relaxed) {
                // Every other one is a duplicate.
                let mut body = (number.fetch_add(1, Ordering::Relaxed) / 2).to_string();
                body.push_str(&"x".repeat(LARGEST - body.len()));
                let answer = client.post(format!("{base}/callback")).body(body).send().await.unwrap();
                let status = answer.status().as_u16();
                if status == 503 {
                    is_refused.store(true, Ordering::Relaxed);
                    let after = answer.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap();
                    assert!((1..=5).contains(&after), "{after}");
                    let problem: Value = answer.json().await.unwrap();
                    // Or those that were let through at once are more than wait for their commit.
                    assert!(["too_many_hints", "unavailable"].contains(&problem["code"].as_str().unwrap()));
                }
                *statuses.entry(status).or_default() += 1;
            }
            statuses
        })
    });
    let strangers: Vec<_> = strangers.collect();
    let mut genuine_sent = 0;
    while genuine_sent < 30 || !is_refused.load(Ordering::Relaxed) {
        assert!(started.elapsed() < DEADLINE, "no hint was refused");
        let body =
            json!({ "taskId": "t", "videoId": format!("VI{genuine_sent}"), "status": "INDEXING_SUCCEEDED" });
        let answer = service.client.post(&genuine).body(body.to_string()).send().await.unwrap();
        assert_eq!(answer.status(), 200, "genuine callback {genuine_sent}");
        genuine_sent += 1;
    }
    is_over.store(true, Ordering::Relaxed);
    let mut statuses = BTreeMap::<u16, usize>::new();
    for stranger in join_all(strangers).await {
        for (status, count) in stranger.unwrap() {
            *statuses.entry(status).or_default() += count;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("{statuses:?} in {seconds:.2} s");
    let taken = statuses.remove(&202).unwrap_or_default();
    assert!(statuses.remove(&503).unwrap_or_default() > 0 && statuses.is_empty(), "{statuses:?}");
    let most = BYTES_AT_ONCE as f64 + BYTES_PER_SECOND as f64 * seconds;
    assert!((taken * LARGEST) as f64 <= most, "{taken} hints of {LARGEST} bytes in {seconds} s");
    let metrics = service.client.get(format!("{base}/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains(r#"outcome="too_many_hints""#), "{metrics}");
    let (code, log) = service.serving.terminate();
    assert_eq!(code, 0, "{log}");
    let said = log.lines().filter(|line| line.contains("more callbacks without a good token")).count();
    assert_eq!(said, 1, "the log is not filled");
}

/// What became of hints that were sent until one was refused.
struct Sent {
    taken: usize,
    /// The limit let them through, and the writer's queue was full.
    busy: usize,
    took: Duration,
}

/// Sends so many hints at a time until one is refused. However slow the machine is, the limit decides when their heads
/// arrive, which is long before they are written.
async fn until_refused<F: Future<Output = (u16, String)>>(at_once: usize, send: impl Fn() -> F) -> Sent {
    let started = Instant::now();
    let (mut taken, mut busy, mut refused) = (0, 0, 0);
    while refused == 0 {
        assert!(started.elapsed() < DEADLINE, "no hint was refused");
        for (status, text) in join_all((0..at_once).map(|_| send())).await {
            match status {
                202 => taken += 1,
                503 if text.contains("too_many_hints") => refused += 1,
                503 => busy += 1,
                _ => panic!("{status}: {text}"),
            }
        }
    }
    Sent { taken, busy, took: started.elapsed() }
}

async fn post(service: &Service, path: &str, body: &str) -> (u16, String) {
    let answer = service.request(Method::POST, path).body(body.to_owned()).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn small_hints_are_counted_and_a_redelivery_counts_too() {
    let (_upstream, service) = Scene::new().downloads_nothing().start().await;
    let sent = until_refused(256, || post(&service, "/callback/nobody", "{}")).await;
    let most = HINTS_AT_ONCE as f64 + 100.0 * sent.took.as_secs_f64();
    assert!(sent.taken + sent.busy >= HINTS_AT_ONCE && (sent.taken as f64) <= most, "{}", sent.taken);
    let hints = service.items("/v1/quarantine").await;
    assert_eq!(
        (hints.len(), &hints[0]["deliveries"]),
        (1, &json!(sent.taken)),
        "what was refused is not kept"
    );
    service.stop().await;
}

#[tokio::test]
async fn a_hint_without_a_declared_length_is_limited_as_it_arrives() {
    let (_upstream, service) = Scene::new().start().await;
    let chunk = format!("{:x}\r\n{}\r\n", LARGEST / 4, "x".repeat(LARGEST / 4));
    let request = format!(
        "POST /callback HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
        chunk.repeat(4)
    );
    let send = async || {
        let mut stream = raw::connect(&service).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let said = String::from_utf8(raw::until_closed(&mut stream).await).unwrap();
        (said.split(' ').nth(1).unwrap().parse().unwrap(), said)
    };
    let sent = until_refused(64, send).await;
    let most = BYTES_AT_ONCE as f64 + BYTES_PER_SECOND as f64 * sent.took.as_secs_f64();
    assert!((sent.taken * LARGEST) as f64 <= most, "{}", sent.taken);
    service.stop().await;
}

#[tokio::test]
async fn a_client_that_asks_before_it_sends_is_refused_before_the_body() {
    let (_upstream, service) = Scene::new().start().await;
    let refused = async {
        loop {
            let mut stream = raw::connect(&service).await;
            let head = format!("POST /callback HTTP/1.1\r\nHost: x\r\nContent-Length: {LARGEST}\r\n");
            stream.write_all(format!("{head}Expect: 100-continue\r\n\r\n").as_bytes()).await.unwrap();
            // The head alone takes its bytes; what the service asks for is never sent.
            let (status, text) = raw::answer(&mut stream).await;
            if status != 100 {
                return (status, text);
            }
        }
    };
    let (status, text) = tokio::time::timeout(DEADLINE, refused).await.expect("refused in time");
    assert_eq!(status, 503, "{text}");
    service.stop().await;
}

#[tokio::test]
async fn where_callbacks_without_a_token_are_facts_they_are_not_limited() {
    let (_upstream, service) =
        Scene::new().downloads_nothing().set("CALLBACK__WITHOUT_TOKEN", "accept").start().await;
    for n in 0..HINTS_AT_ONCE + 50 {
        let body = json!({ "taskId": "t", "videoId": format!("VI{n}"), "status": "INDEXING_SUCCEEDED" });
        assert_eq!(service.post_callback("/callback", body.to_string()).await, 200, "{n}");
    }
    // What names no task is a hint even there.
    let sent = until_refused(256, || post(&service, "/callback", "{}")).await;
    assert!(sent.taken + sent.busy >= HINTS_AT_ONCE, "{}", sent.taken);
    service.stop().await;
}
