//! A real file, the simulator, and a dispatcher between them whose clock is the test.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use scrapehook::config::Live;
use scrapehook::domain::id::JobId;
use scrapehook::domain::job::{JobOptions, Progress, Quality};
use scrapehook::domain::pause::Pause;
use scrapehook::domain::token::TokenKeys;
use scrapehook::simulator::{Faults, Settings, Simulator};
use scrapehook::upstream::{Budget, Upstream};
use scrapehook::workers::{Budgets, CallbackUrls, Dispatcher, Step, Worker};
use tokio_util::sync::CancellationToken;

use super::file::{File, at};
use super::rounds::stands;
use super::{DEADLINE, NEVER, UPSTREAM_KEY, simulator};

/// A real file, the simulator, and a dispatcher whose clock is the test.
pub struct ByHand {
    pub file: File,
    pub upstream: Simulator,
    pub dispatcher: Dispatcher,
    pub now: i64,
}

impl ByHand {
    pub async fn start(faults: Faults) -> Self {
        let file = File::started().await;
        let settings = Settings { download_delay: NEVER, faults, ..Settings::default() };
        let upstream = simulator(settings).await;
        let client = Upstream::new(&upstream.url(), &UPSTREAM_KEY.into(), DEADLINE).unwrap();
        let requests = Arc::new(Budget::new(Duration::from_millis(1)));
        let budgets = Budgets { requests, urls_per_day: None };
        let callbacks = CallbackUrls::new(None, Arc::new(Live::new(TokenKeys::new([]))));
        let dispatcher =
            Dispatcher::new(file.store.clone(), client, budgets, callbacks, CancellationToken::new());
        Self { file, upstream, dispatcher, now: 1 }
    }

    pub async fn job(&self, urls: &[String]) -> JobId {
        self.file.waiting_job(urls, Quality::P360, false).await
    }

    pub async fn job_in(&self, folder: &str, urls: &[String]) -> JobId {
        let options = JobOptions { unique_id: Some(folder.to_owned()), ..JobOptions::default() };
        self.file.waiting_job_with(urls, options, false).await
    }

    /// Sends until nothing is left to do, or this much time has passed. Time passes only where the dispatcher waits.
    pub async fn run(&mut self, span: Duration) {
        let end = self.now + i64::try_from(span.as_millis()).unwrap();
        for _ in 0..2_000 {
            let began = std::time::Instant::now();
            let step = self.dispatcher.step(at(self.now));
            match tokio::time::timeout(DEADLINE, step).await.unwrap().unwrap() {
                // The dispatcher's own clock goes on while it works.
                Step::Worked => self.now += i64::try_from(began.elapsed().as_millis()).unwrap() + 1,
                Step::WaitUntil(then) if then <= at(end) => {
                    self.now = self.now.max(then.as_millis() - at(0).as_millis());
                }
                Step::WaitUntil(_) | Step::Idle => return self.now = end,
            }
        }
        panic!("it sends without end: {} submits", self.upstream.submitted());
    }

    pub async fn progress(&self, job: JobId) -> Progress {
        stands(&self.file, job).await.1
    }

    /// The codes of the job's URLs that have failed, and whether each is certain.
    pub async fn codes(&self, job: JobId) -> BTreeMap<(String, bool), usize> {
        let failed = Some(scrapehook::domain::outcome::UrlState::Failed);
        let rows = self.file.store.read().job_urls(job, failed, 0, 500).await.unwrap();
        let mut codes = BTreeMap::new();
        for (_, url) in rows {
            let reason = url.error.unwrap();
            *codes.entry((reason.failure.code, reason.certain)).or_default() += 1;
        }
        codes
    }

    pub async fn pauses(&self) -> Vec<Pause> {
        self.file.store.read().pauses().await.unwrap()
    }
}

pub fn urls(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("https://www.tiktok.com/@u/video/{number:03}")).collect()
}

pub fn bad(numbers: &[usize]) -> Vec<String> {
    numbers.iter().map(|number| format!("/video/{number:03}")).collect()
}
