//! `kill -9` of the real process under load, again and again on one file, against one simulator.
//!
//! `SCRAPEHOOK_KILL_ROUNDS=1000 cargo test --test it kill:: -- --nocapture` is the long form;
//! `SCRAPEHOOK_KILL_SEED` replays a run.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use scrapehook::simulator::Faults;
use serde_json::json;

use crate::support::aftermath::{assert_promises_were_kept, come_to_rest, number};
use crate::support::{DEADLINE, Scene};

const ROUNDS: u64 = 50;
const URLS_PER_ROUND: u64 = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_nothing_acknowledged_is_lost_and_nothing_is_sent_twice() {
    let (rounds, seed) = (number("SCRAPEHOOK_KILL_ROUNDS", ROUNDS), number("SCRAPEHOOK_KILL_SEED", 11));
    let mut random = StdRng::seed_from_u64(seed);
    let faults = Faults { duplicate: 0.3, early_callback: 0.3, ..Faults::default() };
    let index_delay = Duration::from_millis(40);
    let (upstream, binary) = Scene::new()
        .faults(faults)
        .index_delay(index_delay)
        .set("DISPATCH__PROBE_AFTER", "20ms")
        .set("RECONCILE__AFTER", "100ms")
        .binary()
        .await;
    let client = crate::support::client();

    for round in 0..rounds {
        let mut serving = binary.serve(&[]);
        // Every unknown host is a platform, and so a task, of its own: many submits are on their way, one after the
        // other.
        let urls: Vec<_> =
            (0..URLS_PER_ROUND).map(|n| format!("https://host{n}.example/round{round}")).collect();
        let jobs = format!("{}/v1/jobs", serving.base);
        let job = client.post(jobs).json(&json!({ "video_urls": urls })).send().await.unwrap();
        assert_eq!(job.status(), 202);
        let (submits, callbacks) = (upstream.submitted(), upstream.called_back());
        let more = random.random_range(1..URLS_PER_ROUND as usize);
        let by_submits = random.random_bool(0.5);
        let reached = upstream.until(|upstream| match by_submits {
            true => upstream.submitted() >= submits + more,
            false => upstream.called_back() >= callbacks + more,
        });
        tokio::time::timeout(DEADLINE, reached)
            .await
            .unwrap_or_else(|_| panic!("seed {seed}, round {round}"));
        serving.end();
    }

    let context = format!("seed {seed}");
    come_to_rest(&binary, DEADLINE, &context).await;
    let counts = assert_promises_were_kept(&upstream, &binary.path("scrapehook.db"), &context).await;
    println!("{context}: {rounds} kills, {counts:?}: all kept, none sent twice");
}
