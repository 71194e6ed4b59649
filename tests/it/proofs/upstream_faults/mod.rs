//! Whatever becomes of upstream: nothing is sent twice, nothing spins, and what was charged is found.

mod clock;
mod polls;
#[cfg(target_os = "linux")]
mod process;
mod submits;

use std::time::Duration;

use scrapehook::simulator::{Faults, Simulator};
use scrapehook::upstream::wire::POLL;
use serde_json::{Value, json};

use crate::support::{Service, UPSTREAM_KEY};

/// How long the service waits for an answer.
const TIMEOUT: Duration = Duration::from_millis(300);
const TASKS: usize = 5;

/// Two posts of each of five hosts: five tasks.
fn urls() -> Vec<String> {
    let first = ["https://www.tiktok.com/@u/video/", "https://youtu.be/", "https://www.instagram.com/p/"];
    let hosts = first.into_iter().chain(["https://a.example/", "https://b.example/"]);
    hosts.flat_map(|host| [format!("{host}1"), format!("{host}2")]).collect()
}

/// Each way of answering that says nothing, for certain.
fn spoiled() -> [(&'static str, Faults); 5] {
    let none = Faults::default();
    [
        ("hang", Faults { hang: 1.0, ..none.clone() }),
        ("drip", Faults { drip: 1.0, ..none.clone() }),
        ("html", Faults { html: 1.0, ..none.clone() }),
        ("huge", Faults { huge: 1.0, ..none.clone() }),
        ("redirect", Faults { redirect: 1.0, ..none }),
    ]
}

/// Without callbacks of its own: the test sends them, once it has seen enough.
fn silent(faults: Faults) -> Faults {
    Faults { lose: 1.0, ..faults }
}

fn assert_charged_once(upstream: &Simulator, urls: usize) {
    let charged = upstream.charged();
    assert!(charged.values().all(|times| *times == 1), "{charged:?}");
    assert_eq!(charged.len(), urls, "{charged:?}");
}

/// Sends the callbacks of every task that upstream took, under its token.
async fn send_callbacks(service: &Service, upstream: &Simulator) {
    for submit in upstream.submits() {
        let Some(task) = submit.task_id else { continue };
        let url = submit.body.callback_url.unwrap();
        let path = url.strip_prefix(&service.base).unwrap();
        let ask = service.client.get(format!("{}{POLL}", upstream.url())).query(&[("task_id", &task)]);
        let listed = ask.header("Authorization", UPSTREAM_KEY).send().await.unwrap();
        let listed: Value = listed.json().await.unwrap();
        let videos = listed["data"]["videos"].as_array().unwrap();
        let mut bodies = vec![json!({ "taskId": task, "status": "SUCCEEDED" })];
        bodies.extend(videos.iter().map(
            |video| json!({ "taskId": task, "videoId": video["video_no"], "status": "INDEXING_SUCCEEDED" }),
        ));
        for body in bodies {
            assert_eq!(service.post_callback(path, body.to_string()).await, 200);
        }
    }
}

async fn states(service: &Service, job: &str) -> Vec<String> {
    let tasks = service.items(&format!("/v1/tasks?job={job}")).await;
    tasks.iter().map(|task| task["state"].as_str().unwrap().to_owned()).collect()
}
