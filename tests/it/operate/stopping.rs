//! A stop in the middle of everything: what has begun is finished, what waits is told, and nothing is lost.

use std::time::Duration;

use scrapehook::simulator::{Faults, Settings};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::DEADLINE;
use crate::support::binary::{Serving, signal};
use crate::support::process::Process;
use crate::support::raw;

async fn tasks(serving: &Serving) -> Vec<Value> {
    // One that has no connection to the process before it.
    let client = crate::support::client();
    let answer = client.get(format!("{}/v1/tasks", serving.base)).send().await.unwrap();
    answer.json::<Value>().await.unwrap()["items"].as_array().unwrap().clone()
}

/// An upload of which nothing more will come.
async fn half_an_upload(serving: &Serving, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(serving.base.strip_prefix("http://").unwrap()).await.unwrap();
    let head = format!("POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{{\"status\"");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_stop_in_the_middle_of_everything_finishes_what_has_begun() {
    let faults = Faults { slow: 1.0, slow_by: Duration::from_secs(1), ..Faults::default() };
    let settings = Settings { faults, ..Settings::default() };
    let process = Process::idle(settings, |binary| binary.set("SERVER__BODY_TIMEOUT", "1h")).await;
    let Process { upstream, binary, serving, client } = process;
    let base = serving.base.clone();
    let mut stream = client.get(format!("{base}/v1/events/stream")).send().await.unwrap();
    let mut job = half_an_upload(&serving, "/v1/jobs").await;
    let mut callback = half_an_upload(&serving, "/callback/x").await;
    let submitted = client.post(format!("{base}/v1/jobs")).header("content-type", "text/plain");
    let submitted = submitted.body("https://youtu.be/a").send().await.unwrap().json::<Value>().await.unwrap();
    let id = submitted["id"].as_str().unwrap();
    let waiter = client.get(format!("{base}/v1/jobs/{id}?wait=120s"));
    let waiter = tokio::spawn(async move { waiter.send().await.unwrap() });
    // The submit is on its way: upstream has it, and takes its time to say so.
    upstream.until(|upstream| upstream.submitted() == 1).await;
    let mut events = String::new();
    while !events.contains("task.submitting") {
        events.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
    }

    signal(serving.id(), "-TERM");
    let told = tokio::time::timeout(DEADLINE, waiter).await.unwrap().unwrap();
    assert_eq!(told.status(), 200, "who waits is told the state of now");
    assert_eq!(told.json::<Value>().await.unwrap()["state"], "running");
    let ends = async { while stream.chunk().await.unwrap().is_some() {} };
    tokio::time::timeout(DEADLINE, ends).await.expect("streams end as answers do");
    raw::until_closed(&mut job).await;
    raw::until_closed(&mut callback).await;
    let (code, log) = serving.ended();
    assert_eq!(code, 0, "{log}");

    // The answer to the submit was waited for, and is on disk.
    let serving = binary.serve(&[]);
    let tasks = tasks(&serving).await;
    assert_eq!(tasks[0]["state"], "accepted", "{tasks:?}");
    assert_eq!(serving.terminate().0, 0);
    assert_eq!(upstream.submitted(), 1);
}

#[tokio::test]
async fn a_second_signal_stops_at_once_and_what_was_on_its_way_is_not_sent_again() {
    let faults = Faults { hang: 1.0, ..Faults::default() };
    let Process { upstream, binary, serving, client } =
        Process::idle(Settings { faults, ..Settings::default() }, |binary| binary).await;
    let post = client.post(format!("{}/v1/jobs", serving.base)).header("content-type", "text/plain");
    assert_eq!(post.body("https://youtu.be/a").send().await.unwrap().status(), 202);
    upstream.until(|upstream| upstream.submitted() == 1).await;
    signal(serving.id(), "-TERM");
    assert!(serving.hear("stopping, a second signal stops at once").is_some());
    signal(serving.id(), "-INT");
    let (code, log) = serving.ended();
    assert_eq!(code, 1, "{log}");
    assert!(log.contains("stopped at once by a second signal"), "{log}");
    let serving = binary.serve(&[]);
    let tasks = tasks(&serving).await;
    assert_eq!(tasks[0]["state"], "unconfirmed", "{tasks:?}");
    assert_eq!(serving.terminate().0, 0);
    assert_eq!(upstream.submitted(), 1);
}
