//! The same against the binary, with kills: users share posts while the process ends at fail points or at any moment.
//!
//! `SCRAPEHOOK_MONEY_KILLS=200 cargo test --test it money::kills:: -- --nocapture` is the long form;
//! `SCRAPEHOOK_MONEY_SEED` chooses the users and the moments. No attempt ends badly here. So a post is asked for by the
//! first job that names it, by a job of a better quality, by `force`, by a job after a cancel, and by the retry of a
//! task. Nothing else asks.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::{Client, RequestBuilder};
use scrapehook::domain::url::PostUrl;
use scrapehook::failpoint::FailPoint;
use scrapehook::simulator::{Faults, Simulator};
use serde_json::{Value, json};

use crate::support::aftermath::{come_to_rest, number};
use crate::support::binary::{Binary, Serving};
use crate::support::database::read;
use crate::support::recompute::assert_states_follow_from_facts;
use crate::support::{DEADLINE, Scene};

const KILLS: u64 = 12;
/// Posts that each life of the process begins with.
const POSTS: u64 = 4;
/// What users do in one life.
const CALLS: u64 = 12;

/// A post in a folder: its canonical URL, and the name of the folder.
type Post = (String, String);

/// Users and an operator who call one process after the other.
struct Users {
    random: StdRng,
    client: Client,
    life: u64,
    calls: u64,
    asks: BTreeMap<Post, u32>,
    /// The best quality that was asked for, until a cancel may have taken it away.
    best: BTreeMap<Post, u32>,
    jobs: Vec<(String, Vec<Post>)>,
}

fn canonical(url: &str) -> String {
    PostUrl::parse(url).unwrap().canonical
}

impl Users {
    fn ask(&mut self, post: &Post) {
        *self.asks.entry(post.clone()).or_default() += 1;
    }

    /// A post of this life, or of one of the two before, in any spelling.
    fn url(&mut self) -> String {
        let life = self.life.saturating_sub(self.random.random_range(0..3));
        let post = self.random.random_range(0..POSTS);
        let id = format!("73{life:09}{post:08}");
        match self.random.random_range(0..2) {
            0 => format!("https://www.tiktok.com/@user/video/{id}"),
            _ => format!("https://www.tiktok.com/@/video/{id}?lang=en"),
        }
    }

    /// The answer; none if the process has ended.
    async fn hear(request: RequestBuilder) -> Option<(u16, Value)> {
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.json().await.ok()?))
    }

    /// One call; none if the process has ended.
    async fn call(&mut self, base: &str) -> Option<()> {
        self.calls += 1;
        match self.random.random_range(0..10) {
            0 => self.retry(base).await,
            1 => self.cancel(base).await,
            _ => self.submit(base).await,
        }
    }

    /// Takes a job; a request without an answer is sent again under its key, which is no ask.
    async fn submit(&mut self, base: &str) -> Option<()> {
        let mut urls: Vec<String> = (0..self.random.random_range(1..4)).map(|_| self.url()).collect();
        urls.sort_unstable();
        let quality = [360, 360, 720][self.random.random_range(0..3)];
        let folder = ["default", "default", "cats"][self.random.random_range(0..3)].to_owned();
        let force = self.random.random_bool(0.1);
        let mut posts: Vec<Post> = urls.iter().map(|url| (canonical(url), folder.clone())).collect();
        posts.sort_unstable();
        posts.dedup();
        for post in &posts {
            let best = self.best.get(post).copied().unwrap_or_default();
            if force || quality > best {
                self.ask(post);
            }
            self.best.insert(post.clone(), best.max(quality));
        }
        let body = json!({ "video_urls": urls, "quality": quality.to_string(), "unique_id": folder, "force": force });
        let key = format!("call-{}-{}", self.life, self.calls);
        let request =
            || self.client.post(format!("{base}/v1/jobs")).header("Idempotency-Key", &key).json(&body);
        let (status, job) = Self::hear(request()).await?;
        assert_eq!(status, 202, "{job}");
        let (_, again) = Self::hear(request()).await?;
        assert_eq!(again["id"], job["id"]);
        self.jobs.push((job["id"].as_str().unwrap().to_owned(), posts));
        Some(())
    }

    /// Retries a task of unknown fate.
    async fn retry(&mut self, base: &str) -> Option<()> {
        let tasks = self.client.get(format!("{base}/v1/tasks?state=unconfirmed&limit=20"));
        let (_, page) = Self::hear(tasks).await?;
        let tasks = page["items"].as_array().unwrap();
        if tasks.is_empty() {
            return Some(());
        }
        let id = tasks[self.random.random_range(0..tasks.len())]["id"].as_str().unwrap().to_owned();
        let (_, task) = Self::hear(self.client.get(format!("{base}/v1/tasks/{id}"))).await?;
        // Its jobs say in which folder it is. If nobody heard of them, it may be in each.
        let folder = self.jobs.iter().find(|(job, _)| task["jobs"].as_array().unwrap().contains(&json!(job)));
        let folders = match folder.and_then(|(_, posts)| posts.first()) {
            Some((_, folder)) => vec![folder.clone()],
            None => ["default", "cats"].map(str::to_owned).to_vec(),
        };
        for url in task["urls"].as_array().unwrap() {
            for folder in &folders {
                self.ask(&(canonical(url["url"].as_str().unwrap()), folder.clone()));
            }
        }
        Self::hear(self.client.post(format!("{base}/v1/tasks/{id}/retry"))).await.map(drop)
    }

    async fn cancel(&mut self, base: &str) -> Option<()> {
        if self.jobs.is_empty() {
            return Some(());
        }
        let (id, posts) = self.jobs[self.random.random_range(0..self.jobs.len())].clone();
        for post in &posts {
            self.best.remove(post);
        }
        Self::hear(self.client.post(format!("{base}/v1/jobs/{id}/cancel"))).await.map(drop)
    }

    /// One life of the process: it ends in the middle of what its users do, or just after.
    async fn live(&mut self, mut serving: Serving, upstream: &Simulator) {
        let most = upstream.submitted() + upstream.called_back() + self.random.random_range(1..40);
        let base = serving.base.clone();
        let calls = async {
            for _ in 0..CALLS {
                if self.call(&base).await.is_none() {
                    break;
                }
            }
        };
        let busy = upstream.until(|upstream| upstream.submitted() + upstream.called_back() >= most);
        tokio::select! {
            () = calls => {}
            () = busy => {}
        }
        serving.end();
    }
}

/// How often each post was charged.
fn charges(upstream: &Simulator) -> BTreeMap<Post, u32> {
    let mut charges = BTreeMap::new();
    for submit in upstream.submits().into_iter().filter(|submit| submit.task_id.is_some()) {
        let folder = submit.body.unique_id.clone().unwrap_or_else(|| "default".to_owned());
        for url in &submit.body.video_urls {
            *charges.entry((canonical(url), folder.clone())).or_default() += 1;
        }
    }
    charges
}

/// Serves until no post waits.
async fn send_the_rest(binary: &Binary) {
    let serving = binary.serve(&[]);
    let mut file = read(&binary.path("scrapehook.db")).await;
    let wait = async {
        loop {
            let waiting: i64 = sqlx::query_scalar("SELECT count(*) FROM rounds WHERE line IS NOT NULL")
                .fetch_one(&mut file)
                .await
                .unwrap();
            if waiting == 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(4 * DEADLINE, wait).await.expect("every post is sent");
    assert_eq!(serving.terminate().0, 0);
}

/// URLs of jobs that have no end, though nobody waits for the fate of a submit.
const LEFT: &str = "SELECT count(*) FROM wants JOIN rounds ON rounds.number = wants.round
     WHERE mark IS NULL AND rounds.state IN (1, 2, 3) AND NOT EXISTS (
       SELECT 1 FROM attempts JOIN tasks ON tasks.number = attempts.task
       WHERE attempts.round = rounds.number AND tasks.state = 'unconfirmed')";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_no_post_is_charged_more_often_than_somebody_asked_for_it() {
    let (kills, seed) = (number("SCRAPEHOOK_MONEY_KILLS", KILLS), number("SCRAPEHOOK_MONEY_SEED", 1));
    let faults = Faults {
        cut: 0.2,
        cut_unread: 0.05,
        lose: 0.6,
        early_callback: 0.3,
        duplicate: 0.3,
        reorder: 0.2,
        rate_limited: 0.05,
        unavailable: 0.05,
        other_spelling: 0.2,
        ..Faults::default()
    };
    let index_delay = Duration::from_millis(20);
    let (upstream, mut binary) = Scene::new()
        .faults(faults)
        .index_delay(index_delay)
        .set("DISPATCH__PROBE_AFTER", "20ms")
        .set("RECONCILE__AFTER", "100ms")
        .binary()
        .await;
    let random = StdRng::seed_from_u64(seed);
    let client = crate::support::client();
    let (asks, best, jobs) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    let mut users = Users { random, client, life: 0, calls: 0, asks, best, jobs };
    for life in 0..kills {
        users.life = life;
        let point = FailPoint::ALL[users.random.random_range(0..FailPoint::ALL.len())];
        let passing = users.random.random_range(1..12);
        let is_point = users.random.random_bool(0.5);
        let point = if is_point { format!("{point:?}:{passing}") } else { String::new() };
        binary = binary.variable(FailPoint::VARIABLE, &point);
        // It may end before it serves: starting writes, too.
        if let Ok(serving) = binary.try_serve(&[]) {
            users.live(serving, &upstream).await;
        }
    }
    let binary = binary.variable(FailPoint::VARIABLE, "");
    send_the_rest(&binary).await;
    let context = format!("seed {seed}");
    come_to_rest(&binary, DEADLINE, &context).await;
    let charges = charges(&upstream);
    for (post, charges) in &charges {
        let asks = users.asks.get(post).copied().unwrap_or_default();
        assert!(*charges <= asks, "{context}: {post:?}: {charges} charges, {asks} asks");
    }
    let database = binary.path("scrapehook.db");
    let left: i64 = sqlx::query_scalar(LEFT).fetch_one(&mut read(&database).await).await.unwrap();
    assert_eq!(left, 0, "{context}: URLs without an end");
    assert_states_follow_from_facts(&database).await;
    let (asks, charged): (u32, u32) = (users.asks.values().sum(), charges.values().sum());
    println!("{context}: {kills} kills, {} jobs, {asks} asks, {charged} charges", users.jobs.len());
    assert!(charged > 0);
}
