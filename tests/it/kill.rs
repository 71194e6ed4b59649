//! `kill -9` of the real process under load, again and again on one file, against one simulator.
//!
//! `SCRAPEHOOK_KILL_ROUNDS=1000 cargo test --test it kill -- --nocapture` is the long form;
//! `SCRAPEHOOK_KILL_SEED` replays a run.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use scrapehook::simulator::{Faults, Settings, Simulator};
use serde_json::{Value, json};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use crate::binary::Binary;
use crate::recompute::assert_states_follow_from_facts;
use crate::support::{DEADLINE, simulator};

const ROUNDS: u64 = 5;
const URLS_PER_ROUND: u64 = 12;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

/// Every callback that was answered 200.
fn acknowledged(upstream: &Simulator) -> BTreeSet<(String, String)> {
    let sent = upstream.callbacks_sent().into_iter().filter(|callback| callback.answer == Some(200));
    sent.map(|callback| (callback.task_id, serde_json::to_string(&callback.body).unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_nothing_acknowledged_is_lost_and_nothing_is_sent_twice() {
    let (rounds, seed) = (number("SCRAPEHOOK_KILL_ROUNDS", ROUNDS), number("SCRAPEHOOK_KILL_SEED", 11));
    let mut random = StdRng::seed_from_u64(seed);
    let faults = Faults { duplicate: 0.3, early_callback: 0.3, ..Faults::default() };
    let index_delay = Duration::from_millis(40);
    let upstream = simulator(Settings { faults, index_delay, ..Settings::default() }).await;
    let binary = Binary::with_upstream(&upstream.url())
        .await
        .set("DISPATCH__PROBE_AFTER", "20ms")
        .set("RECONCILE__AFTER", "100ms");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();

    for round in 0..rounds {
        let mut serving = binary.serve(&[]);
        // Every unknown host is a task of its own: many submits are on their way one after the other.
        let urls: Vec<_> =
            (0..URLS_PER_ROUND).map(|n| format!("https://host{n}.example/round{round}")).collect();
        let jobs = format!("{}/v1/jobs", serving.base);
        let job = client.post(jobs).json(&json!({ "video_urls": urls })).send().await.unwrap();
        assert_eq!(job.status(), 202);
        let (submits, callbacks) = (upstream.submits().len(), upstream.callbacks_sent().len());
        let more = random.random_range(1..URLS_PER_ROUND as usize);
        let by_submits = random.random_bool(0.5);
        let reached = upstream.until(|upstream| match by_submits {
            true => upstream.submits().len() >= submits + more,
            false => upstream.callbacks_sent().len() >= callbacks + more,
        });
        tokio::time::timeout(DEADLINE, reached)
            .await
            .unwrap_or_else(|_| panic!("seed {seed}, round {round}"));
        serving.end();
    }

    let mut serving = binary.serve(&[]);
    let open = format!("{}/v1/tasks?limit=1&state=", serving.base);
    let ask = async |url: &str| -> Value { client.get(url).send().await.unwrap().json().await.unwrap() };
    let settle = async {
        for state in ["queued", "submitting", "accepted", "downloaded"] {
            while !ask(&format!("{open}{state}")).await["items"].as_array().unwrap().is_empty() {}
        }
    };
    let patience = DEADLINE + Duration::from_millis(500) * u32::try_from(rounds).unwrap();
    if tokio::time::timeout(patience, settle).await.is_err() {
        let mut left = Vec::new();
        for state in ["queued", "submitting", "accepted", "downloaded"] {
            left.push(ask(&format!("{open}{state}")).await["items"].as_array().unwrap().len());
        }
        let paused = ask(&format!("{}/v1/events?kind=sending.paused&limit=500", serving.base)).await;
        let (paused, log) = (paused["items"].as_array().unwrap().last().cloned(), serving.end());
        let log: Vec<_> = log.lines().rev().take(5).collect();
        panic!("seed {seed}: tasks have no way on: {left:?}, last pause {paused:?}, {log:?}");
    }
    assert_eq!(serving.terminate().0, 0);

    let acknowledged = acknowledged(&upstream);
    let kept = kept(&binary.path("scrapehook.db")).await;
    let missing: Vec<_> = acknowledged.difference(&kept).collect();
    assert!(missing.is_empty(), "seed {seed}: {missing:?}");
    let twice: Vec<_> = upstream.charged().into_iter().filter(|(_, times)| *times > 1).collect();
    assert!(twice.is_empty(), "seed {seed}: {twice:?}");
    assert_states_follow_from_facts(&binary.path("scrapehook.db")).await;
    println!(
        "seed {seed}: {rounds} kills, {} submits, {} acknowledged callbacks all kept, none sent twice",
        upstream.charged().len(),
        acknowledged.len()
    );
}

/// Every callback on disk, under the upstream's own task id.
async fn kept(database: &Path) -> BTreeSet<(String, String)> {
    let mut file = SqliteConnectOptions::new().filename(database).connect().await.unwrap();
    let rows: Vec<(String, Vec<u8>)> =
        sqlx::query_as("SELECT upstream_id, body FROM callbacks JOIN tasks ON tasks.id = task_id")
            .fetch_all(&mut file)
            .await
            .unwrap();
    rows.into_iter().map(|(task, body)| (task, String::from_utf8(body).unwrap())).collect()
}
