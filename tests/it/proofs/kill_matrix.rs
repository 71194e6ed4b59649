//! The process ends at each fail point in turn, at each passing of it, and is started again.
//!
//! `SCRAPEHOOK_KILL_PASSINGS=1000 cargo test --test it kill_matrix:: -- --nocapture` is the long form: it goes
//! on with a point until a whole run has not passed it so often.

#![cfg(debug_assertions)]

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use scrapehook::failpoint::FailPoint;
use scrapehook::simulator::{Faults, Simulator};
use serde_json::json;

use crate::support::aftermath::{Counts, assert_promises_were_kept, come_to_rest, moving, number};
use crate::support::binary::{Binary, Serving};
use crate::support::database::read;
use crate::support::{DEADLINE, Scene, mixed_urls};

/// How many passings of each point are tried.
const PASSINGS: u64 = 3;
const URLS: usize = 3;
const ABORTED: i32 = 6;

async fn submit(base: &str) -> bool {
    let client = crate::support::client();
    let job = client.post(format!("{base}/v1/jobs")).json(&json!({ "video_urls": mixed_urls(URLS) }));
    job.send().await.is_ok_and(|answer| answer.status() == 202)
}

/// Waits until the process has ended, or has nothing left to do: then it is told to end.
async fn end(mut serving: Serving, binary: &Binary, upstream: &Simulator) -> ExitStatus {
    let mut file = read(&binary.path("scrapehook.db")).await;
    let wait = async {
        loop {
            if let Some(status) = serving.has_ended() {
                return status;
            }
            if upstream.submitted() >= URLS && moving(&mut file).await.is_empty() {
                return serving.stopped();
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.expect("it ends, or comes to rest")
}

/// One run with one point; none where it was not passed so often.
async fn run(point: FailPoint, passing: u64) -> Option<Counts> {
    let faults = Faults {
        early_callback: 0.5,
        duplicate: 0.5,
        other_spelling: 0.3,
        resolved_url: 0.3,
        second_task: 0.3,
        empty_polls: 1,
        ..Faults::default()
    };
    let index_delay = Duration::from_millis(20);
    let (upstream, binary) = Scene::new()
        .faults(faults)
        .index_delay(index_delay)
        .set("DISPATCH__PROBE_AFTER", "20ms")
        .set("RECONCILE__AFTER", "100ms")
        .binary()
        .await;
    let context = format!("{point:?}:{passing}");
    let binary = binary.variable(FailPoint::VARIABLE, &context);
    let mut is_submitted = false;
    // It may end before it serves: starting writes, too.
    if let Ok(serving) = binary.try_serve(&[]) {
        is_submitted = submit(&serving.base).await;
        let status = end(serving, &binary, &upstream).await;
        if status.success() {
            return None;
        }
        assert_eq!(status.signal(), Some(ABORTED), "{context}: {status:?}");
    }
    let binary = binary.variable(FailPoint::VARIABLE, "");
    if !is_submitted {
        let serving = binary.serve(&[]);
        // The client heard nothing and asks again: the ledger must not let that cost anything.
        assert!(submit(&serving.base).await, "{context}");
        assert_eq!(serving.terminate().0, 0, "{context}");
    }
    come_to_rest(&binary, DEADLINE, &context).await;
    Some(assert_promises_were_kept(&upstream, &binary.path("scrapehook.db"), &context).await)
}

/// All passings of one point, up to so many; gives how often it ended there.
async fn all_passings(point: FailPoint, most: u64) -> (FailPoint, u64, usize, usize) {
    let (mut ends, mut acknowledged, mut unconfirmed) = (0, 0, 0);
    for passing in 1..=most {
        let Some(counts) = run(point, passing).await else { break };
        assert!(counts.submits <= URLS, "{point:?}:{passing}: {counts:?}");
        ends += 1;
        acknowledged += counts.acknowledged;
        unconfirmed += counts.unconfirmed;
    }
    (point, ends, acknowledged, unconfirmed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ended_at_any_fail_point_nothing_acknowledged_is_lost_and_nothing_is_sent_twice() {
    let most = number("SCRAPEHOOK_KILL_PASSINGS", PASSINGS);
    let runs = FailPoint::ALL.map(|point| all_passings(point, most));
    let done: Vec<_> = stream::iter(runs).buffer_unordered(3).collect().await;
    for (point, ends, acknowledged, unconfirmed) in &done {
        assert!(*ends > 0, "{point:?} is never passed");
        println!(
            "{point:?}: {ends} ends, {acknowledged} callbacks acknowledged, {unconfirmed} tasks unconfirmed"
        );
    }
    println!("{} ends in all", done.iter().map(|(_, ends, ..)| ends).sum::<u64>());
}
