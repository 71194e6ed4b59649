//! `?wait=`: who waits hears of the end at once, costs nothing until then, and holds up nobody.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::process::Process;
use crate::support::{DEADLINE, Scene, Service, mixed_urls};

#[tokio::test]
async fn a_wait_ends_when_the_job_settles() {
    let index_delay = Duration::from_millis(300);
    let (_upstream, service) = Scene::new().index_delay(index_delay).start().await;
    let job = service.submit(&mixed_urls(3)).await;
    let done = service.get(&format!("/v1/jobs/{job}?wait=60s")).await;
    assert_eq!((&done["state"], done["tasks"].as_array().unwrap().len()), (&json!("done"), 3));
    // One that has settled is not waited for.
    assert_eq!(service.get(&format!("/v1/jobs/{job}?wait=2m")).await, done);
    let task = done["tasks"][0]["id"].as_str().unwrap();
    assert_eq!(service.get(&format!("/v1/tasks/{task}?wait=60s")).await["state"], "indexed");
    service.stop().await;
}

async fn waiting_service() -> (scrapehook::simulator::Simulator, Service, String, String) {
    let (upstream, service) = Scene::new().downloads_nothing().start().await;
    let job = service.submit(&mixed_urls(1)).await;
    let accepted = service.until_task("accepted").await;
    let task = accepted.id;
    (upstream, service, job, task)
}

#[tokio::test]
async fn a_wait_that_is_over_answers_the_state_of_now() {
    let (_upstream, service, job, task) = waiting_service().await;
    for path in [format!("/v1/jobs/{job}"), format!("/v1/tasks/{task}")] {
        for wait in ["0s", "100ms"] {
            let now = service.get(&format!("{path}?wait={wait}")).await;
            assert!(["running", "accepted"].contains(&now["state"].as_str().unwrap()), "{now}");
        }
        for wait in ["", "1y", "121s", "-1s", "soon", "30", "1e9s"] {
            let answer = service.request(reqwest::Method::GET, &format!("{path}?wait={wait}")).send().await;
            let answer = answer.unwrap();
            assert_eq!(answer.status(), 400, "{wait}");
            let problem: Value = answer.json().await.unwrap();
            assert_eq!(problem["code"], "bad_query");
            assert!(problem["detail"].as_str().unwrap().starts_with("wait: "), "{problem}");
        }
    }
    service.stop().await;
}

#[tokio::test]
async fn waits_end_with_the_service() {
    let (_upstream, service, job, task) = waiting_service().await;
    let ask = |path: String| {
        let request = service.request(reqwest::Method::GET, &path);
        tokio::spawn(async move { request.send().await.unwrap().json::<Value>().await.unwrap() })
    };
    let waits = [ask(format!("/v1/jobs/{job}?wait=2m")), ask(format!("/v1/tasks/{task}?wait=2m"))];
    // Both are there once somebody who asked later has an answer.
    service.get(&format!("/v1/jobs/{job}?wait=100ms")).await;
    let setup = service.stop().await;
    for wait in waits {
        let last = tokio::time::timeout(DEADLINE, wait).await.expect("answered in time").unwrap();
        assert!(["running", "accepted"].contains(&last["state"].as_str().unwrap()), "{last}");
    }
    drop(setup);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_who_wait_cost_nothing_until_all_of_them_are_answered() {
    const WAITING: usize = 1_000;
    scrapehook::network::raise_open_files(WAITING as u64 + 512);
    let service = Process::start(1).await;
    let jobs: Value = service
        .client
        .get(format!("{}/v1/jobs", service.serving.base))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let job = format!("{}/v1/jobs/{}", service.serving.base, jobs["items"][0]["id"].as_str().unwrap());
    let before = service.serving.descriptors();
    let waits: Vec<_> = (0..WAITING)
        .map(|_| {
            let request = service.client.get(format!("{job}?wait=2m"));
            tokio::spawn(async move { request.send().await.unwrap().json::<Value>().await.unwrap() })
        })
        .collect();
    let connected = async {
        while service.serving.descriptors() < before + WAITING {
            tokio::task::yield_now().await
        }
    };
    tokio::time::timeout(DEADLINE, connected).await.expect("all connect");
    // Each pass waits for a second. How many it takes until all others have come to rest depends on the machine.
    let rest = async {
        loop {
            let (cpu, started) = (service.serving.processor_time(), Instant::now());
            service.client.get(format!("{job}?wait=1s")).send().await.unwrap();
            let used = service.serving.processor_time() - cpu;
            let share = used.as_secs_f64() / started.elapsed().as_secs_f64();
            if share < 0.2 {
                return share;
            }
        }
    };
    let share = tokio::time::timeout(DEADLINE, rest).await.expect("those who wait cost next to nothing");
    let url = service.upstream.submits()[0].body.callback_url.clone().unwrap();
    let started = Instant::now();
    let told = service.client.post(url).body(r#"{"status":"FAILED"}"#).send().await.unwrap();
    assert_eq!(told.status(), 200);
    let answers = tokio::time::timeout(DEADLINE, join_all(waits)).await.expect("all are answered");
    println!(
        "{WAITING} who wait take {:.1} % of a core, and are all answered {:?} after the end",
        share * 100.0,
        started.elapsed()
    );
    assert!(answers.into_iter().all(|answer| answer.unwrap()["state"] == "failed"));
    assert_eq!(service.serving.terminate().0, 0);
}
