//! The real process under a bad upstream: what it takes of the processor and of memory.
//!
//! `SCRAPEHOOK_HUGE=1000 cargo test --test it upstream_faults -- --nocapture` is the long form: so many polls.

use std::time::Instant;

use scrapehook::simulator::{Faults, Settings};

use super::*;
use crate::support::binary::{Binary, Serving};
use crate::support::{DEADLINE, NEVER, Scene, free_address, simulator};

const MIB: u64 = 1024 * 1024;
/// Most that the resident memory may grow.
const GROWTH: u64 = 16 * MIB;

struct Process {
    upstream: Simulator,
    /// Its folder goes with it.
    binary: Binary,
    serving: Serving,
    client: reqwest::Client,
}

impl Process {
    /// With three tasks that are accepted and polled, and get no videos.
    async fn start(timeout: &str, poll_after: &str, probe_after: &str) -> Self {
        let (listen, faults) = (free_address(), silent(Faults::default()));
        let settings = Settings { listen, download_delay: NEVER, faults, ..Settings::default() };
        let (upstream, binary) =
            Scene::new().simulator(settings).set("UPSTREAM__TIMEOUT", timeout).binary().await;
        let binary = binary.set("RECONCILE__AFTER", poll_after).set("DISPATCH__PROBE_AFTER", probe_after);
        let serving = binary.serve(&[]);
        let client = crate::support::client();
        let process = Self { upstream, binary, serving, client };
        process.submit("first", 3).await;
        process.upstream.until(|upstream| upstream.submits().len() == 3).await;
        process
    }

    /// A job of so many tasks of one URL.
    async fn submit(&self, name: &str, tasks: usize) {
        let urls: Vec<_> = (0..tasks).map(|n| format!("https://{name}{n}.example/post")).collect();
        let job = self.client.post(format!("{}/v1/jobs", self.serving.base));
        assert_eq!(job.json(&json!({ "video_urls": urls })).send().await.unwrap().status(), 202);
    }

    /// Less than half of one processor since then.
    fn assert_idle(&self, what: &str, (since, before): (Instant, Duration)) {
        let (went_by, taken) = (since.elapsed(), self.serving.processor_time().saturating_sub(before));
        println!("{what}: {taken:?} of the processor in {went_by:.1?}");
        assert!(taken < went_by / 2, "{what}: {taken:?} in {went_by:?}");
    }

    fn now(&self) -> (Instant, Duration) {
        (Instant::now(), self.serving.processor_time())
    }

    fn stop(self) {
        assert!(self.binary.path("scrapehook.db").exists());
        let (code, log) = self.serving.terminate();
        assert_eq!(code, 0);
        assert!(!log.contains("panicked"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_upstream_costs_next_to_no_processor_time() {
    let process = Process::start("1s", "50ms", "50ms").await;
    let since = process.now();
    process.upstream.set_faults(silent(Faults { hang: 1.0, ..Faults::default() }));
    let polls = process.upstream.polls();
    process.submit("hanging", 4).await;
    let all = |upstream: &Simulator| upstream.submits().len() == 3 + 4 && upstream.polls() >= polls + 4;
    tokio::time::timeout(DEADLINE, process.upstream.until(all)).await.unwrap();
    process.assert_idle("a hanging upstream", since);
    assert_charged_once(&process.upstream, 3 + 4);
    process.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_upstream_costs_next_to_no_processor_time() {
    let Process { upstream, binary, serving, client } = Process::start("1s", "50ms", "50ms").await;
    let listen = upstream.url().strip_prefix("http://").unwrap().parse().unwrap();
    upstream.shutdown().await;
    let since = (Instant::now(), serving.processor_time());
    let job = client.post(format!("{}/v1/jobs", serving.base));
    job.json(&json!({ "video_urls": ["https://down.example/post"] })).send().await.unwrap();
    let refused_twice = async {
        // Every question costs the process what is measured here, so they are few.
        let mut now_and_then = tokio::time::interval(Duration::from_millis(500));
        loop {
            now_and_then.tick().await;
            let events = client.get(format!("{}/v1/events?kind=task.queued", serving.base));
            let events: Value = events.send().await.unwrap().json().await.unwrap();
            let reasons =
                events["items"].as_array().unwrap().iter().filter_map(|event| event["message"].as_str());
            if reasons.filter(|reason| reason.starts_with("no_connection: ")).count() >= 2 {
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, refused_twice).await.unwrap();
    let upstream = simulator(Settings { listen, ..Settings::default() }).await;
    let process = Process { upstream, binary, serving, client };
    process.assert_idle("a dead upstream", since);
    let sent = process.upstream.until(|upstream| upstream.charged().len() == 1);
    tokio::time::timeout(DEADLINE, sent).await.unwrap();
    process.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_of_10_mib_leave_memory_flat() {
    let count: u64 = std::env::var("SCRAPEHOOK_HUGE").map_or(64, |text| text.parse().expect("a number"));
    let process = Process::start("5s", "5ms", "1ms").await;
    let before = process.serving.memory();
    let since = Instant::now();
    process.upstream.set_faults(silent(Faults { huge: 1.0, ..Faults::default() }));
    let polls = process.upstream.polls();
    process.submit("huge", 8).await;
    let enough =
        |upstream: &Simulator| upstream.submits().len() == 3 + 8 && upstream.polls() >= polls + count;
    let deadline = DEADLINE + Duration::from_millis(100) * u32::try_from(count).unwrap();
    tokio::time::timeout(deadline, process.upstream.until(enough)).await.unwrap();
    let growth = process.serving.memory().saturating_sub(before);
    println!(
        "memory grew by {} KiB under 8 submits and {} polls answered with 10 MiB, in {:.1?}",
        growth / 1024,
        process.upstream.polls() - polls,
        since.elapsed()
    );
    assert!(growth < GROWTH, "{growth}");
    assert!(process.upstream.charged().values().all(|times| *times == 1));
    process.stop();
}
