//! The real binary beside a simulator that downloads nothing, and the callbacks that it is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use reqwest::Client;
use scrapehook::simulator::{Settings, Simulator};
use serde_json::{Value, json};
use sqlx::Connection;

use super::binary::{Binary, Serving};
use super::database::open;
use super::{NEVER, mixed_urls, simulator};

/// The real binary beside a simulator that takes its submits and downloads nothing.
pub struct Process {
    pub upstream: Simulator,
    pub binary: Binary,
    pub serving: Serving,
    pub client: Client,
}

impl Process {
    /// With a job of so many mixed URLs, all of them sent.
    pub async fn start(urls: usize) -> Self {
        Self::start_as(urls, |binary| binary).await
    }

    /// The same, with a binary that is set up further.
    pub async fn start_as(urls: usize, set_up: impl FnOnce(Binary) -> Binary) -> Self {
        let process = Self::idle(Settings::default(), set_up).await;
        assert_eq!(process.submit(urls).await, 202);
        process.upstream.until(|upstream| upstream.charged().len() == urls).await;
        process
    }

    /// Without a job.
    pub async fn idle(settings: Settings, set_up: impl FnOnce(Binary) -> Binary) -> Self {
        let upstream = simulator(Settings { download_delay: NEVER, ..settings }).await;
        let binary = set_up(Binary::with_upstream(&upstream.url()));
        let serving = binary.serve(&[]);
        let client = crate::support::client();
        Self { upstream, binary, serving, client }
    }

    /// Submits a job of so many mixed URLs; gives the status.
    pub async fn submit(&self, urls: usize) -> u16 {
        let job = self.client.post(format!("{}/v1/jobs", self.serving.base));
        let job = job.json(&json!({ "video_urls": mixed_urls(urls) })).send().await.unwrap();
        job.status().as_u16()
    }

    /// Sends a callback with this number; gives the status, if it was answered.
    pub async fn call(&self, number: u64) -> Option<u16> {
        let url = self.upstream.submits()[0].body.callback_url.clone().unwrap();
        let body = json!({ "status": "NOBODY_KNOWS", "n": number, "pad": "x".repeat(20_000) }).to_string();
        Some(self.client.post(url).body(body).send().await.ok()?.status().as_u16())
    }

    pub async fn status_of(&self, path: &str) -> u16 {
        self.client.get(format!("{}{path}", self.serving.base)).send().await.unwrap().status().as_u16()
    }

    /// What the service itself says of why it can't write.
    pub async fn why(&self) -> String {
        let get = async |path, status| -> Value {
            let answer = self.client.get(format!("{}{path}", self.serving.base)).send().await.unwrap();
            assert_eq!(answer.status(), status, "{path}");
            answer.json().await.unwrap()
        };
        let (status, ready) = (get("/v1/status", 200).await, get("/readyz", 503).await);
        let problems = status["problems"].as_array().unwrap();
        let problem = problems.iter().find(|problem| problem["code"] == "not_writable").expect("a problem");
        assert!(problem["since"].is_string() && problem["action"].is_string(), "{problem}");
        let (detail, ready) = (problem["detail"].as_str().unwrap(), ready["detail"].as_str().unwrap());
        let reason = detail.split(". The service").next().unwrap().rsplit(": ").next().unwrap();
        assert!(ready.contains(reason), "{ready:?} and {detail:?}");
        reason.to_owned()
    }

    /// The numbers of the callbacks that are on disk.
    pub async fn kept(&self) -> BTreeSet<u64> {
        kept_in(&self.binary.path("scrapehook.db")).await
    }
}

/// How many commits have failed so far, as the service itself counts them.
pub async fn failed_commits(client: &Client, base: &str) -> u64 {
    let text = client.get(format!("{base}/metrics")).send().await.unwrap().text().await.unwrap();
    let count = text.lines().find_map(|line| line.strip_prefix("scrapehook_failed_commits_total "));
    count.unwrap().parse().unwrap()
}

/// The numbers of the callbacks in a file that SQLite finds whole.
pub async fn kept_in(database: &Path) -> BTreeSet<u64> {
    let mut file = open(database).await;
    let whole: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut file).await.unwrap();
    assert_eq!(whole, "ok");
    let bodies: Vec<(Vec<u8>,)> =
        sqlx::query_as("SELECT body FROM callbacks").fetch_all(&mut file).await.unwrap();
    file.close().await.unwrap();
    let number = |(body,): (Vec<u8>,)| serde_json::from_slice::<Value>(&body).unwrap()["n"].as_u64().unwrap();
    bodies.into_iter().map(number).collect()
}

/// Callbacks that were sent, each with its own number, and how they were answered.
#[derive(Default)]
pub struct Sent(pub BTreeMap<u64, Option<u16>>);

impl Sent {
    pub async fn one(&mut self, service: &Process) -> Option<u16> {
        let number = self.0.len() as u64;
        let status = service.call(number).await;
        self.0.insert(number, status);
        status
    }

    /// Sends so many one after the other; each is answered with this status.
    pub async fn each(&mut self, service: &Process, count: usize, status: u16) {
        for _ in 0..count {
            assert_eq!(self.one(service).await, Some(status), "after {:?}", self.0);
        }
    }

    pub fn answered(&self, status: u16) -> BTreeSet<u64> {
        self.0.iter().filter(|(_, answer)| **answer == Some(status)).map(|(number, _)| *number).collect()
    }
}
