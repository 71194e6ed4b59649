//! The real process under load for long, with faults on, ended and started again every minute.
//!
//! `SCRAPEHOOK_SOAK_MINUTES=30 cargo test --test it soak:: -- --nocapture` is the long form.

#![cfg(target_os = "linux")]

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::Client;
use scrapehook::simulator::{Faults, Settings};
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use crate::support::aftermath::{assert_promises_were_kept, come_to_rest, number};
use crate::support::binary::Serving;
use crate::support::database::read;
use crate::support::{DEADLINE, Scene};

const MIB: u64 = 1024 * 1024;
/// How long a process lives in the long form.
const LIFE: Duration = Duration::from_secs(60);
/// The same in the short form.
const SHORT_LIFE: Duration = Duration::from_secs(4);
const SHORT_LIVES: u64 = 3;
/// With these, a little over 200 callbacks a second.
const URLS_PER_JOB: usize = 180;
const BETWEEN_JOBS: Duration = Duration::from_secs(1);
/// What silent tasks are given, and what a soak must wait for at its end.
const SILENCE: &str = "30s";
const SHORT_SILENCE: &str = "8s";
/// Most that memory and the log may grow from an early life to a late one.
const GROWTH: u64 = 16 * MIB;

/// The most that one life of the process held, and what it did.
#[derive(Clone, Copy, Debug, Default)]
struct Life {
    memory: u64,
    descriptors: usize,
    log: u64,
    database: u64,
    callbacks: usize,
    seconds: f64,
}

impl Life {
    fn look(&mut self, serving: &Serving, database: &Path) {
        let length = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        self.memory = self.memory.max(serving.memory());
        self.descriptors = self.descriptors.max(serving.descriptors());
        self.log = self.log.max(length(&database.with_extension("db-wal")));
        self.database = self.database.max(length(database));
    }
}

fn bad_day() -> Faults {
    Faults {
        early_callback: 0.2,
        duplicate: 0.2,
        reorder: 0.2,
        lose: 0.02,
        fail_task: 0.01,
        fail_video: 0.02,
        no_video: 0.01,
        second_video: 0.05,
        several_videos: 0.02,
        late_video: 0.02,
        late_by: 2,
        null_url: 0.02,
        resolved_url: 0.02,
        unknown_url: 0.01,
        other_spelling: 0.05,
        no_id: 0.01,
        null_list: 0.02,
        empty_polls: 1,
        other_video: 0.01,
        second_task: 0.01,
        other_task: 0.01,
        other_task_same_urls: 0.01,
        rate_limited: 0.01,
        no_credits: 0.005,
        unavailable: 0.01,
        cut: 0.01,
        slow: 0.01,
        slow_by: Duration::from_millis(300),
        ..Faults::default()
    }
}

fn urls(job: usize) -> Vec<String> {
    let post = |n: usize| match n % 3 {
        0 => format!("https://www.tiktok.com/@user/video/73{job:08}{n:08}"),
        1 => format!("https://www.youtube.com/watch?v=v{job:06}{n:04}"),
        _ => format!("https://www.instagram.com/p/P{job:06}{n:04}/"),
    };
    (0..URLS_PER_JOB).map(post).collect()
}

/// Has a job taken.
async fn submit(client: &Client, serving: &Serving, job: usize) -> bool {
    let request = client.post(format!("{}/v1/jobs", serving.base)).json(&json!({ "video_urls": urls(job) }));
    request.send().await.is_ok_and(|answer| answer.status() == 202)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_for_long_nothing_is_lost_or_doubled_and_nothing_grows() {
    let (life, lives, silence) = match number("SCRAPEHOOK_SOAK_MINUTES", 0) {
        0 => (SHORT_LIFE, SHORT_LIVES, SHORT_SILENCE),
        minutes => (LIFE, minutes, SILENCE),
    };
    let index_delay = Duration::from_millis(500);
    let settings =
        Settings { faults: bad_day(), download_delay: index_delay, index_delay, ..Settings::default() };
    let (upstream, binary) = Scene::new()
        .simulator(settings)
        .set("DISPATCH__PROBE_AFTER", "50ms")
        .set("RECONCILE__AFTER", "2s")
        .set("RECONCILE__SETTLE_AFTER", "3s")
        .set("RECONCILE__DEADLINE", silence)
        .binary()
        .await;
    let database = binary.path("scrapehook.db");
    let client = crate::support::client();
    let mut looks = interval(BETWEEN_JOBS);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut done = Vec::new();
    let mut job = 0;
    for number in 0..lives {
        let mut serving = binary.serve(&[]);
        let (mut most, started, before) = (Life::default(), Instant::now(), upstream.called_back());
        while started.elapsed() < life {
            looks.tick().await;
            assert!(submit(&client, &serving, job).await, "job {job}");
            job += 1;
            most.look(&serving, &database);
        }
        // One in two ends in order, the other one in the middle of whatever it does.
        match number % 2 {
            0 => assert!(serving.stopped().success()),
            _ => drop(serving.end()),
        }
        most.callbacks = upstream.called_back() - before;
        most.seconds = started.elapsed().as_secs_f64();
        println!(
            "life {number}: {:.0} callbacks/s, memory {:.1} MiB, {} descriptors, log {:.1} MiB, database {:.1} MiB",
            most.callbacks as f64 / most.seconds,
            most.memory as f64 / MIB as f64,
            most.descriptors,
            most.log as f64 / MIB as f64,
            most.database as f64 / MIB as f64,
        );
        done.push(most);
    }

    come_to_rest(&binary, 4 * DEADLINE, "soak").await;
    let counts = assert_promises_were_kept(&upstream, &database, "soak").await;
    let states: Vec<(String, i64)> =
        sqlx::query_as("SELECT state, count(*) FROM tasks GROUP BY state ORDER BY 2 DESC")
            .fetch_all(&mut read(&database).await)
            .await
            .unwrap();
    println!(
        "{job} jobs, {} URLs, {counts:?}, tasks {states:?}: nothing lost or doubled",
        job * URLS_PER_JOB
    );
    // The first process begins with an empty file.
    let third = done.len().div_ceil(3);
    let (early, late) = (&done[1..=third], &done[done.len() - third..]);
    for (what, of, room) in [
        ("memory", (|life| life.memory) as fn(&Life) -> u64, GROWTH),
        ("log", |life| life.log, GROWTH),
        ("descriptors", |life| life.descriptors as u64, 16),
    ] {
        let (early, late) = (median(early.iter().map(of)), median(late.iter().map(of)));
        println!("{what}: {early} early, {late} late (medians)");
        assert!(late < early + room, "{what}: {done:?}");
    }
}

fn median(values: impl Iterator<Item = u64>) -> u64 {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    values[values.len() / 2]
}
