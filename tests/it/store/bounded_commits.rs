//! What a large decision does to everybody else: callbacks and probes come in between its commits.
//!
//! `SCRAPEHOOK_SHARED_URLS=10000 cargo test --release --test it bounded_commits:: -- --nocapture` is the long form.

use std::time::{Duration, Instant};

use scrapehook::domain::id::{JobId, TaskId};
use scrapehook::domain::job::{JobState, Quality};
use scrapehook::store::{Decided, Decision, WriteError};
use tokio::task::JoinHandle;

use crate::support::aftermath::number;
use crate::support::file::{File, at, callback};

async fn job(file: &File, urls: &[String]) -> JobId {
    file.waiting_job(urls, Quality::P360, false).await
}

/// Does this, and gives how long it took, how many callbacks were committed meanwhile, and the longest that one waited.
async fn beside(file: &File, task: TaskId, work: impl Future<Output = ()>) -> (Duration, usize, Duration) {
    let began = Instant::now();
    let (mut count, mut longest) = (0, Duration::ZERO);
    tokio::pin!(work);
    loop {
        let asked = Instant::now();
        let body = format!("{count} {:?}", began.elapsed());
        let other = file.store.receive_callback(callback(task, 5, None, &body));
        tokio::select! {
            () = &mut work => return (began.elapsed(), count, longest),
            kept = other => kept.unwrap(),
        }
        count += 1;
        longest = longest.max(asked.elapsed());
    }
}

fn print(what: &str, (took, callbacks, longest): (Duration, usize, Duration)) {
    println!("{what}: {took:?}, {callbacks} callbacks meanwhile, the longest waited {longest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callbacks_are_committed_between_the_commits_of_a_large_cancel() {
    let count = number("SCRAPEHOOK_SHARED_URLS", 4_000);
    let file = File::started().await;
    let witness = file.job(&["witness"]).await[0];
    file.accept(witness).await;
    let posts: Vec<_> = (0..count).map(|n| format!("https://www.tiktok.com/@u/video/73{n:017}")).collect();
    let hosts: Vec<_> = (0..count).map(|n| format!("https://host{n}.example/post")).collect();
    for (name, urls) in [("one platform", &posts), ("as many platforms", &hosts)] {
        let mut jobs = Vec::new();
        for n in 0..3 {
            print(
                &format!("{name}: job {n}"),
                beside(&file, witness, async { jobs.push(job(&file, urls).await) }).await,
            );
        }
        let canceled = async {
            assert_eq!(file.store.decide(Decision::CancelJob(jobs[0]), None, at(9)).await, Ok(Decided::Done));
        };
        let measured = beside(&file, witness, canceled).await;
        print(&format!("{name}: cancel"), measured);
        // The first was asked for together with the cancel. Of more, the machine decides.
        assert!(measured.1 >= 1, "callbacks come in between");
        // The answer came when all of it was done.
        let first = file.store.read().job(jobs[0]).await.unwrap().unwrap();
        assert_eq!((first.state, first.progress.failed), (JobState::Canceled, count as i64));
        for other in &jobs[1..] {
            let other = file.store.read().job(*other).await.unwrap().unwrap();
            assert_eq!((other.state, other.progress.waiting), (JobState::Running, count as i64));
        }
    }
    file.close().await;
}

/// Begins the cancel of a job of many URLs; returns once its first commit is made, and the rest is due.
async fn cancel_begun(file: &File) -> (JobId, JoinHandle<Result<Decided, WriteError>>) {
    let urls: Vec<_> = (0..6_000).map(|n| format!("https://www.tiktok.com/@u/video/73{n:017}")).collect();
    let id = job(file, &urls).await;
    let store = file.store.clone();
    let mut committed = store.committed();
    committed.borrow_and_update();
    let canceled = tokio::spawn(async move { store.decide(Decision::CancelJob(id), None, at(9)).await });
    committed.changed().await.unwrap();
    (id, canceled)
}

#[tokio::test]
async fn a_pause_does_not_wait_for_the_rest_of_a_cancel() {
    let file = File::started().await;
    let (id, canceled) = cancel_begun(&file).await;
    for decision in [Decision::Pause, Decision::Resume] {
        assert_eq!(file.store.decide(decision, None, at(10)).await, Ok(Decided::Done));
        assert!(!canceled.is_finished());
    }
    assert_eq!(canceled.await.unwrap(), Ok(Decided::Done));
    assert_eq!(file.store.read().job(id).await.unwrap().unwrap().state, JobState::Canceled);
    file.close().await;
}

#[tokio::test]
async fn a_stop_leaves_what_is_due_to_the_next_start() {
    let mut file = File::started().await;
    let (id, canceled) = cancel_begun(&file).await;
    file.store.close();
    file.running.take().unwrap().await.unwrap();
    assert_eq!(canceled.await.unwrap(), Ok(Decided::Done), "the decision is on disk");
    let mut file = File::open(file.folder).await;
    assert_eq!(file.store.read().job(id).await.unwrap().unwrap().state, JobState::Running);
    file.run();
    while file.store.read().job(id).await.unwrap().unwrap().state == JobState::Running {
        tokio::task::yield_now().await;
    }
    file.close().await;
}
