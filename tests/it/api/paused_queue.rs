//! What waits behind a pause costs nothing: callbacks take the same processor time with it as without it.
//!
//! `SCRAPEHOOK_PAUSED=100000 SCRAPEHOOK_CALLBACKS=500 cargo test --release --test it paused_queue -- --nocapture` is
//! the long form: so many posts wait, and so many callbacks are measured together.

#![cfg(target_os = "linux")]

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::aftermath::number;
use crate::support::process::Process;

/// Between two callbacks: 50 arrive each second.
const INTERVAL: Duration = Duration::from_millis(20);
/// So often each of the two services is measured, in turns.
const ROUNDS: usize = 6;
/// So many URLs a job has at most.
const JOB: u64 = 10_000;

impl Process {
    /// The processor time that these new callbacks take.
    async fn callbacks(&self, urls: &[String], numbers: std::ops::Range<u64>) -> Duration {
        let before = self.serving.processor_time();
        let mut ticks = tokio::time::interval(INTERVAL);
        for number in numbers {
            ticks.tick().await;
            let url = &urls[usize::try_from(number).unwrap() % urls.len()];
            let body =
                json!({ "taskId": "t", "videoId": format!("VI{number}"), "status": "INDEXING_SUCCEEDED" });
            let answer = self.client.post(url).body(body.to_string()).send().await.unwrap();
            assert_eq!(answer.status(), 200);
        }
        self.serving.processor_time().saturating_sub(before)
    }

    async fn post(&self, path: &str, body: serde_json::Value) -> u16 {
        let url = format!("{}{path}", self.serving.base);
        self.client.post(url).json(&body).send().await.unwrap().status().as_u16()
    }

    fn callback_urls(&self) -> Vec<String> {
        self.upstream.submits().into_iter().map(|submit| submit.body.callback_url.unwrap()).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_paused_costs_callbacks_no_processor_time() {
    let (posts, callbacks) = (number("SCRAPEHOOK_PAUSED", 4_000), number("SCRAPEHOOK_CALLBACKS", 25));
    let [with, without] = [Process::start(20).await, Process::start(20).await];
    for process in [&with, &without] {
        assert_eq!(process.post("/v1/pause", json!({})).await, 200);
    }
    for first in (0..posts).step_by(usize::try_from(JOB).unwrap()) {
        let post = |number| format!("https://www.tiktok.com/@user/video/73{number:017}");
        let urls: Vec<String> = (first..posts.min(first + JOB)).map(post).collect();
        assert_eq!(with.post("/v1/jobs", json!({ "video_urls": urls })).await, 202);
    }
    let sent = with.upstream.submitted();
    let services = [(&with, with.callback_urls()), (&without, without.callback_urls())];
    let mut times = [Vec::new(), Vec::new()];
    let began = Instant::now();
    for round in 0..u64::try_from(ROUNDS).unwrap() {
        let numbers = round * callbacks..(round + 1) * callbacks;
        for ((service, urls), times) in services.iter().zip(&mut times) {
            times.push(service.callbacks(urls, numbers.clone()).await);
        }
    }
    let [median_with, median_without] = times.each_mut().map(|times| {
        times.sort_unstable();
        times[ROUNDS / 2]
    });
    println!(
        "{callbacks} callbacks take {median_with:?} of the processor with {posts} paused posts, {median_without:?} \
         without (medians of {ROUNDS}; {times:?}), in {:.1?}",
        began.elapsed()
    );
    assert_eq!(with.upstream.submitted(), sent, "nothing paused is sent");
    assert!(median_with < median_without * 3 / 2 + Duration::from_millis(50), "{times:?}");
}
