//! Estimates: the queue says when what waits has been sent, and that comes true.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use scrapehook::domain::event::Source;
use scrapehook::domain::forecast::JobQueue;
use scrapehook::domain::id::JobId;
use scrapehook::domain::job::{Job, JobOptions};
use scrapehook::domain::outcome::Failure;
use scrapehook::domain::plan::fold;
use scrapehook::domain::queue::Priority;
use scrapehook::domain::time::Timestamp;
use scrapehook::domain::url::PostUrl;
use scrapehook::store::{CreatedJob, Decision, FirstProbe, NewJob, NewPause, Pacing, QueueStatus, SubmitEnd};

use crate::support::file::{DAY, File, at};
use crate::support::queue::post;

/// Between two requests.
const INTERVAL: Duration = Duration::from_secs(20);

fn new_job(key: &str, priority: Priority, urls: &[String]) -> NewJob {
    NewJob {
        id: JobId::new(at(0)),
        at: at(0),
        created_by: Some(key.to_owned()),
        options: JobOptions { priority, ..JobOptions::default() },
        urls: fold(urls.iter().map(|url| PostUrl::parse(url).unwrap()).collect()),
        force: false,
        callback: None,
        idempotency: None,
    }
}

async fn ask(file: &File, key: &str, priority: Priority, urls: &[String]) -> Job {
    let CreatedJob::New(job) = file.store.create_job(new_job(key, priority, urls)).await.unwrap() else {
        panic!("not new")
    };
    job
}

fn pacing(now: Timestamp) -> Pacing {
    Pacing { now, least: INTERVAL, urls_per_day: None }
}

async fn estimated(file: &File, job: &Job, pacing: Pacing) -> Option<JobQueue> {
    let mut jobs = [file.store.read().job(job.id).await.unwrap().unwrap()];
    file.store.read().estimate(&mut jobs, pacing).await.unwrap();
    jobs[0].queue
}

async fn queue(file: &File) -> QueueStatus {
    file.store.read().queue(pacing(at(0))).await.unwrap()
}

/// Numbers that look random, the same ones for a seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

/// Jobs of one key or another, some of whose posts others want as well. Gives the URLs of each.
async fn load(file: &File, seed: u64) -> Vec<(Job, Vec<String>)> {
    let (mut numbers, mut jobs) = (Numbers(seed), Vec::new());
    for job in 0..4 + numbers.below(12) {
        let size = [3, 40, 200, 400][numbers.below(4)];
        let (key, priority) = (format!("key{}", numbers.below(3)), Priority::ALL[numbers.below(3)]);
        let lines = 1 + numbers.below(3);
        let mut urls = Vec::new();
        for number in 0..1 + numbers.below(size) {
            let number = if numbers.below(8) == 0 { number } else { number + 1_000 * (job + 1) };
            urls.push(post(numbers.below(lines), number));
        }
        jobs.push((ask(file, &key, priority, &urls).await, urls));
    }
    jobs
}

fn part(estimated: Timestamp, real: Timestamp) -> f64 {
    let [estimated, real] = [estimated, real].map(|time| time.since(at(0)).as_secs_f64());
    (estimated - real).abs() / real
}

#[tokio::test]
async fn estimates_come_true() {
    let mut errors = Vec::new();
    for seed in 1..=10 {
        let file = File::started().await;
        let jobs = load(&file, seed).await;
        let (whole, mut expected) = (queue(&file).await, Vec::new());
        for (job, _) in &jobs {
            expected.push(estimated(&file, job, pacing(at(0))).await.unwrap());
        }
        let (mut sent, mut requests) = (BTreeMap::new(), 0);
        let now = |requests: u32| at(0).after(INTERVAL * requests);
        while let Some(request) = file.send(now(requests).as_millis() - at(0).as_millis()).await {
            requests += 1;
            sent.extend(request.urls.into_iter().map(|url| (url, requests)));
            file.accept(request.task).await;
        }
        assert_eq!((whole.requests, whole.waiting), (usize::try_from(requests).unwrap(), sent.len()));
        assert_eq!(whole.sent_by, Some(now(requests)));
        for ((job, urls), expected) in jobs.iter().zip(expected) {
            let requests = urls.iter().map(|url| sent[url]);
            let (first, last) = (requests.clone().min().unwrap(), requests.max().unwrap());
            errors.push(part(expected.sent_by.unwrap(), now(last)));
            let first = usize::try_from(first).unwrap() - 1;
            assert!(expected.requests_ahead.abs_diff(first) <= 3, "{expected:?}, and it was {first}");
            assert!(estimated(&file, job, pacing(at(0))).await.is_none(), "nothing waits");
        }
        file.close().await;
    }
    errors.sort_by(f64::total_cmp);
    let (median, most) = (errors[errors.len() / 2], errors[errors.len() - 1]);
    eprintln!("{} jobs: median error {:.2} %, most {:.1} %", errors.len(), median * 100.0, most * 100.0);
    assert!(median < 0.1, "{errors:?}");
}

#[tokio::test]
async fn a_dry_run_says_what_the_job_hears_afterwards() {
    for seed in 21..=24 {
        let file = File::started().await;
        let jobs = load(&file, seed).await;
        for number in 0..3 {
            let request = file.send(number).await.unwrap();
            file.accept(request.task).await;
        }
        for (key, priority) in [("key0", Priority::Low), ("key1", Priority::High), ("new", Priority::Normal)]
        {
            let shared = jobs.iter().flat_map(|(_, urls)| urls.iter().take(2).cloned());
            let own = (0..120).map(|number| post(number % 4, 90_000 + number));
            let urls: Vec<String> = shared.chain(own).collect();
            let job = new_job(key, priority, &urls);
            let plan = file.store.read().plan_job(&job, pacing(at(9))).await.unwrap();
            let CreatedJob::New(job) = file.store.create_job(job).await.unwrap() else { panic!("not new") };
            let heard = estimated(&file, &job, pacing(at(9))).await;
            assert_eq!(plan.queue, heard, "seed {seed}, {key}");
            file.store.decide(Decision::CancelJob(job.id), None, at(9)).await.unwrap();
        }
        file.close().await;
    }
    let file = File::started().await;
    let job = ask(&file, "key", Priority::Normal, &[post(0, 0)]).await;
    let plan = |urls: Vec<String>| new_job("other", Priority::Normal, &urls);
    let queue = async |job: NewJob| file.store.read().plan_job(&job, pacing(at(0))).await.unwrap().queue;
    assert_eq!(queue(plan(vec![post(0, 0)])).await, estimated(&file, &job, pacing(at(0))).await);
    let request = file.send(1).await.unwrap();
    file.accept(request.task).await;
    assert_eq!(queue(plan(vec![post(0, 0)])).await, None, "it is on its way");
    file.close().await;
}

#[tokio::test]
async fn what_the_day_has_no_room_for_is_expected_after_midnight() {
    let file = File::started().await;
    let urls: Vec<String> = (0..170).map(|number| post(0, number)).collect();
    let job = ask(&file, "key", Priority::Normal, &urls).await;
    let request = file.send(0).await.unwrap();
    file.accept(request.task).await;
    let sent_by = async |urls_per_day| {
        let pacing = Pacing { urls_per_day: Some(urls_per_day), ..pacing(at(1)) };
        estimated(&file, &job, pacing).await.unwrap().sent_by.unwrap()
    };
    // Fifty have left, and three requests are to come.
    assert_eq!(sent_by(170).await, at(1).after(INTERVAL * 3));
    assert_eq!(sent_by(150).await, at(1).next_day().after(INTERVAL));
    assert_eq!(sent_by(50).await, at(1).next_day().after(DAY * 2).after(INTERVAL));
    file.close().await;
}

#[tokio::test]
async fn the_time_is_that_between_the_last_submits() {
    let file = File::started().await;
    let urls: Vec<String> = (0..500).map(|number| post(0, number)).collect();
    ask(&file, "key", Priority::Normal, &urls).await;
    for number in 0..5 {
        let request = file.send(number * 30_000).await.unwrap();
        file.accept(request.task).await;
    }
    let after = |millis| Pacing { least: Duration::from_secs(16), ..pacing(at(millis)) };
    let now = file.store.read().queue(after(120_000)).await.unwrap();
    assert_eq!((now.interval_ms, now.requests), (30_000, 5));
    assert_eq!(now.sent_by, Some(at(120_000).after(Duration::from_secs(150))));
    let later = file.store.read().queue(after(3_600_000)).await.unwrap();
    assert_eq!(later.interval_ms, 16_000, "nothing was sent in the last ten minutes");
    file.close().await;
}

#[tokio::test]
async fn no_time_is_named_while_a_pause_stops_it() {
    let file = File::started().await;
    let paused = ask(&file, "key", Priority::Normal, &[post(1, 0), post(0, 0)]).await;
    let running = ask(&file, "key", Priority::Normal, &[post(0, 1)]).await;
    let times = async || {
        let [paused, running] = [
            estimated(&file, &paused, pacing(at(0))).await.unwrap(),
            estimated(&file, &running, pacing(at(0))).await.unwrap(),
        ];
        [paused.sent_by, running.sent_by, queue(&file).await.sent_by].map(|time| time.is_some())
    };
    assert_eq!(times().await, [true, true, true]);
    let failure = Failure::new("0402", "no points");
    file.store
        .pause(
            NewPause { scope: "youtube".to_owned(), failure, first_probe: FirstProbe::Later },
            Source::Submit,
            at(1),
        )
        .await
        .unwrap();
    assert_eq!(times().await, [false, true, false]);
    let groups = queue(&file).await.groups;
    assert!(groups.iter().all(|group| group.paused == (group.platform.as_str() == "youtube")), "{groups:?}");
    let arriving = new_job("other", Priority::Normal, &[post(1, 7)]);
    let plan = file.store.read().plan_job(&arriving, pacing(at(1))).await.unwrap().queue.unwrap();
    assert_eq!((plan.requests_left, plan.sent_by), (2, None));
    file.store.resume("youtube".to_owned(), Source::Submit, at(2)).await.unwrap();
    file.store.decide(Decision::Pause, None, at(3)).await.unwrap();
    assert_eq!(times().await, [false, false, false]);
    file.close().await;
}

#[tokio::test]
async fn the_queue_counts_each_post_once_and_shows_the_largest_group_first() {
    let file = File::started().await;
    let urls: Vec<String> = (0..60).map(|number| post(0, number)).collect();
    ask(&file, "one", Priority::Low, &urls).await;
    ask(&file, "two", Priority::Normal, &urls[..10]).await;
    let options = JobOptions { unique_id: Some("mine".to_owned()), ..JobOptions::default() };
    let folder = NewJob { options, ..new_job("one", Priority::Normal, &urls[..30]) };
    file.store.create_job(folder).await.unwrap();
    let now = queue(&file).await;
    assert_eq!((now.waiting, now.requests, now.groups_total), (90, 3, 3));
    let shown = now
        .groups
        .iter()
        .map(|group| (group.urls, group.priority, group.destination.unique_id.as_deref(), group.oldest_at));
    let since = Some(at(0));
    let (low, normal) = (Priority::Low, Priority::Normal);
    let expected = [(50, low, None, since), (30, normal, Some("mine"), since), (10, normal, None, since)];
    assert_eq!(shown.collect::<Vec<_>>(), expected);
    // A task that waits for its next attempt counts as well.
    let request = file.send(0).await.unwrap();
    let failure = Failure::new("0429", "too fast");
    file.submit(request.task, SubmitEnd::Deferred(failure, Duration::from_secs(500))).await;
    let now = queue(&file).await;
    assert_eq!((now.waiting, now.requests), (90, 3));
    assert_eq!(now.sent_by, Some(at(2).after(Duration::from_secs(500)).after(INTERVAL)));
    file.close().await;
}

#[tokio::test]
async fn a_job_that_is_too_far_behind_to_be_read_is_sent_at_the_end_and_nothing_is_paused() {
    let file = File::started().await;
    let mut jobs = Vec::new();
    // More than are read.
    for job in 0..21 {
        let urls: Vec<String> = (0..5_000).map(|number| post(0, job * 5_000 + number)).collect();
        jobs.push(ask(&file, "key", Priority::Normal, &urls).await);
    }
    let now = queue(&file).await;
    assert_eq!((now.waiting, now.requests), (105_000, 2_100));
    assert_eq!(now.sent_by, Some(at(0).after(INTERVAL * 2_100)));
    let mut last = 0;
    for job in [&jobs[0], &jobs[20]] {
        let queue = estimated(&file, job, pacing(at(0))).await.unwrap();
        assert!(queue.sent_by.is_some());
        last = last.max(queue.requests_left);
    }
    assert_eq!(last, 2_100, "one of them has the last request");
    file.close().await;
}

/// `SCRAPEHOOK_QUEUE_POSTS=100000 cargo test --release --test it estimates -- --nocapture` measures a long queue.
#[tokio::test]
async fn a_list_of_jobs_says_what_each_job_says_and_a_long_queue_is_read_quickly() {
    let posts = std::env::var("SCRAPEHOOK_QUEUE_POSTS").map_or(6_000, |posts| posts.parse().unwrap());
    let file = File::started().await;
    let mut jobs = Vec::new();
    for job in 0..12 {
        let size = posts / 12;
        let urls: Vec<String> = (0..size).map(|number| post(number % 5, job * size + number)).collect();
        jobs.push(ask(&file, &format!("key{}", job % 4), Priority::ALL[job % 3], &urls).await);
    }
    let started = Instant::now();
    let now = queue(&file).await;
    let first = started.elapsed();
    assert_eq!(now.waiting, posts / 12 * 12);
    let filter = scrapehook::store::JobFilter { limit: 500, ..Default::default() };
    let mut listed = file.store.read().jobs(&filter).await.unwrap();
    let started = Instant::now();
    file.store.read().estimate(&mut listed, pacing(at(0))).await.unwrap();
    let list = started.elapsed();
    for job in &listed {
        let (listed, alone) = (job.queue.unwrap(), estimated(&file, job, pacing(at(0))).await.unwrap());
        assert!(listed.requests_left.abs_diff(alone.requests_left) <= 2, "{listed:?} {alone:?}");
        assert!(listed.requests_ahead.abs_diff(alone.requests_ahead) <= 2, "{listed:?} {alone:?}");
    }
    let request = file.send(1).await.unwrap();
    file.accept(request.task).await;
    let started = Instant::now();
    let again = estimated(&file, &jobs[11], pacing(at(0))).await.unwrap();
    eprintln!(
        "{posts} posts: {first:?} for the queue, {list:?} for a list of {} jobs, {:?} for one after a request",
        listed.len(),
        started.elapsed()
    );
    assert!(again.requests_left <= now.requests);
    file.close().await;
}
