//! Tasks that hand over URLs while others change: nobody pays twice, nobody is left behind, every count adds up.

use scrapehook::domain::callback::Meaning;
use scrapehook::domain::event::EventKind;
use scrapehook::domain::id::{JobId, TaskId};
use scrapehook::domain::job::{JobOptions, JobState, Library, Progress, Quality, UrlState};
use scrapehook::domain::task::{Failure, TaskState};
use scrapehook::domain::url::PostUrl;
use scrapehook::domain::video::VideoState::{Failed, Indexed, Indexing};
use scrapehook::store::{CreatedJob, Decision, EventFilter, Found, NewJob, ReceivedHint, SubmitEnd};
use sha2::{Digest, Sha256};

use crate::file::{DAY, File, at, callback, listed, lost};

const X: &str = "https://a.example/x";
const Y: &str = "https://a.example/y";

async fn job(file: &File, urls: &[&str], quality: Quality, force: bool) -> (JobId, Vec<TaskId>) {
    let options = JobOptions {
        unique_id: None,
        folder_id: None,
        quality,
        library: Library::Private,
        labels: Default::default(),
    };
    let urls = urls.iter().map(|url| PostUrl::parse(url).unwrap()).collect();
    let (id, at) = (JobId::new(at(0)), at(0));
    let job = NewJob { id, at, created_by: None, options, urls, force, idempotency: None };
    let CreatedJob::New(job) = file.store.create_job(job).await.unwrap() else { panic!("not new") };
    (job.id, job.tasks.unwrap().into_iter().map(|task| task.id).collect())
}

async fn decide(file: &File, decision: Decision, millis: i64) -> bool {
    file.store.decide(decision, None, at(millis)).await.unwrap()
}

async fn retry(file: &File, task: TaskId, millis: i64) -> (bool, TaskId) {
    let new = TaskId::new(at(millis));
    (decide(file, Decision::Retry { task, new }, millis).await, new)
}

async fn stands(file: &File, job: JobId) -> (JobState, Progress) {
    let job = file.store.read().job(job).await.unwrap().unwrap();
    (job.state, job.progress)
}

fn failed() -> Option<Meaning> {
    Some(Meaning::Failed(Failure::new("task_failed", "no")))
}

#[tokio::test]
async fn a_task_that_waits_hides_none_that_was_sent() {
    let file = File::started().await;
    let (_, old) = job(&file, &[X], Quality::P360, false).await;
    file.submit(old[0], lost()).await;
    let (_, new) = retry(&file, old[0], 3).await;
    // Another job's task in a better quality waits as well, and is newer.
    job(&file, &[X], Quality::P720, false).await;
    file.store.receive_callback(callback(old[0], 5, Some(Meaning::Succeeded), "theirs")).await.unwrap();
    assert_eq!(file.store.begin_submit(new, at(6)).await, Ok(false));
    file.close().await;
}

#[tokio::test]
async fn late_news_of_what_was_given_up_sends_nothing() {
    let file = File::started().await;
    let (_, task) = job(&file, &[X], Quality::P360, false).await;
    file.submit(task[0], lost()).await;
    let (follower, _) = job(&file, &[X], Quality::P360, false).await;
    assert!(decide(&file, Decision::Cancel(task[0]), 4).await);
    assert_eq!(stands(&file, follower).await.0, JobState::Canceled);
    file.store.receive_callback(callback(task[0], 5, failed(), "u")).await.unwrap();
    let (state, progress) = stands(&file, follower).await;
    assert_eq!((state, progress.failed, progress.canceled), (JobState::Failed, 1, 0));
    assert!(file.store.read().next_queued(&[], &[]).await.unwrap().is_none());
    file.close().await;
}

#[tokio::test]
async fn who_made_way_can_not_be_retried_for_nobody_and_the_old_task_can() {
    let file = File::started().await;
    let (waiting, old) = job(&file, &[X], Quality::P360, false).await;
    file.submit(old[0], lost()).await;
    let (_, new) = retry(&file, old[0], 3).await;
    file.store.receive_callback(callback(old[0], 5, None, "theirs")).await.unwrap();
    assert_eq!(file.store.begin_submit(new, at(7)).await, Ok(false));
    file.store.receive_callback(callback(old[0], 8, failed(), "theirs")).await.unwrap();
    assert!(!retry(&file, new, 9).await.0, "no job waits for it");
    let (is_made, again) = retry(&file, old[0], 10).await;
    assert!(is_made);
    assert_eq!(file.store.begin_submit(again, at(11)).await, Ok(true));
    assert_eq!(stands(&file, waiting).await.1.sent, 1);
    file.close().await;
}

#[tokio::test]
async fn a_url_that_went_back_to_the_old_task_can_be_retried_there() {
    let file = File::started().await;
    let (waiting, old) = job(&file, &[X, Y], Quality::P360, false).await;
    file.submit(old[0], lost()).await;
    let (_, new) = retry(&file, old[0], 3).await;
    file.store.receive_callback(callback(old[0], 5, Some(Meaning::Succeeded), "theirs")).await.unwrap();
    let poll = file.due().await.unwrap();
    file.store
        .record_poll(poll, at(6), at(6), listed(&[("v", Failed, X), ("w", Indexing, Y)]))
        .await
        .unwrap();
    assert_eq!(file.store.begin_submit(new, at(7)).await, Ok(false));
    // x goes to what is left of the retry, y back to the old task; there it fails.
    let rest = file.store.read().task(new).await.unwrap().unwrap().replaced_by.unwrap();
    let poll = file.due().await.unwrap();
    file.store.record_poll(poll, at(8), at(8), listed(&[("v", Failed, X), ("w", Failed, Y)])).await.unwrap();
    file.submit(rest, SubmitEnd::Accepted("rest".to_owned())).await;
    assert!(!retry(&file, new, 9).await.0);
    let (is_made, again) = retry(&file, old[0], 10).await;
    assert!(is_made);
    let urls: Vec<_> = file.store.read().task(again).await.unwrap().unwrap().urls.unwrap();
    assert_eq!(urls.iter().map(|url| url.url.as_str()).collect::<Vec<_>>(), [Y]);
    let (_, progress) = stands(&file, waiting).await;
    assert_eq!((progress.sent, progress.waiting, progress.failed), (1, 1, 0));
    file.close().await;
}

#[tokio::test]
async fn a_retry_of_what_others_have_makes_no_task_and_leaves_nobody_behind() {
    let file = File::started().await;
    let (waiting, task) = job(&file, &[X], Quality::P360, false).await;
    file.submit(task[0], SubmitEnd::Rejected(Failure::new("0001", "no"))).await;
    let (_, forced) = job(&file, &[X], Quality::P360, true).await;
    file.accept(forced[0]).await;
    let (is_done, new) = retry(&file, task[0], 5).await;
    assert!(is_done);
    assert!(file.store.read().task(new).await.unwrap().is_none());
    let (state, progress) = stands(&file, waiting).await;
    assert_eq!((state, progress.sent), (JobState::Running, 1));
    file.close().await;
}

#[tokio::test]
async fn a_retry_tells_of_no_end_that_is_none() {
    let file = File::started().await;
    let (waiting, task) = job(&file, &[X, Y], Quality::P360, false).await;
    file.submit(task[0], SubmitEnd::Rejected(Failure::new("0001", "no"))).await;
    let (_, forced) = job(&file, &[X], Quality::P360, true).await;
    file.accept(forced[0]).await;
    let poll = file.due().await.unwrap();
    file.store.record_poll(poll, at(3), at(3), listed(&[("v", Indexed, X)])).await.unwrap();
    let after = file.store.read().last_seq().await.unwrap();
    assert!(retry(&file, task[0], 5).await.0);
    let filter = EventFilter {
        after,
        job: Some(waiting),
        kind: Some(EventKind::JobSettled),
        limit: 9,
        ..EventFilter::default()
    };
    assert!(file.store.read().events(&filter).await.unwrap().is_empty());
    assert_eq!(stands(&file, waiting).await.0, JobState::Running);
    file.close().await;
}

#[tokio::test]
async fn two_carriers_that_change_in_one_commit_are_counted_once() {
    let file = File::started().await;
    let (_, task) = job(&file, &[X], Quality::P360, false).await;
    file.accept(task[0]).await;
    let (waiting, _) = job(&file, &[X, Y], Quality::P360, false).await;
    let (_, better) = job(&file, &[X], Quality::P720, false).await;
    file.accept(better[0]).await;
    let (one, two) = tokio::join!(
        file.store.receive_callback(callback(task[0], 5, failed(), "t")),
        file.store.receive_callback(callback(better[0], 5, Some(Meaning::Succeeded), "o")),
    );
    one.unwrap();
    two.unwrap();
    let (_, progress) = stands(&file, waiting).await;
    assert_eq!((progress.waiting, progress.sent, progress.downloaded), (1, 0, 1));
    file.close().await;
}

#[tokio::test]
async fn a_sweep_that_ends_two_carriers_ends_no_job_too_early() {
    let file = File::started().await;
    let (_, task) = job(&file, &[X], Quality::P360, false).await;
    file.accept(task[0]).await;
    let (waiting, tasks) = job(&file, &[X, Y], Quality::P360, false).await;
    let (_, better) = job(&file, &[X], Quality::P720, false).await;
    file.submit(better[0], lost()).await;
    let other = *tasks.iter().find(|id| **id != task[0]).unwrap();
    let late = at(3).after(2 * DAY);
    let poll = file.due().await.unwrap();
    file.store.record_poll(poll, late, late, listed(&[])).await.unwrap();
    assert!(file.store.begin_submit(other, late).await.unwrap());
    file.store.end_submit(other, late, SubmitEnd::Accepted("y".to_owned())).await.unwrap();
    file.store.sweep(late).await.unwrap();
    assert_eq!(file.state(task[0]).await, TaskState::Stalled);
    let (state, progress) = stands(&file, waiting).await;
    assert_eq!((state, progress.sent, progress.failed), (JobState::Running, 1, 1));
    file.close().await;
}

#[tokio::test]
async fn a_hint_that_fits_two_tasks_is_nobodys() {
    let file = File::started().await;
    let (_, first) = job(&file, &[X], Quality::P360, false).await;
    file.submit(first[0], lost()).await;
    let (_, second) = job(&file, &[X], Quality::P720, false).await;
    file.submit(second[0], lost()).await;
    let body = r#"{"taskId":"theirs"}"#;
    let hint = ReceivedHint {
        at: at(3),
        body: body.into(),
        body_hash: Sha256::digest(body).into(),
        upstream_id: Some("theirs".to_owned()),
    };
    file.store.receive_hint(hint).await.unwrap();
    assert_eq!(
        file.store
            .looked("theirs".to_owned(), Found { posts: vec![X.to_owned()], ..Found::default() }, at(4))
            .await,
        Ok(false)
    );
    // The token says whose it is.
    file.store.receive_callback(callback(second[0], 5, Some(Meaning::Succeeded), "theirs")).await.unwrap();
    assert_eq!(file.store.read().find_task("theirs").await.unwrap(), Some(second[0]));
    file.close().await;
}

#[tokio::test]
async fn who_follows_others_can_cancel_what_was_not_sent() {
    let file = File::started().await;
    let (owner, task) = job(&file, &[X], Quality::P360, false).await;
    let (follower, _) = job(&file, &[X, Y], Quality::P360, false).await;
    assert!(decide(&file, Decision::CancelJob(follower), 3).await);
    assert_eq!(stands(&file, follower).await.0, JobState::Canceled);
    assert!(!decide(&file, Decision::CancelJob(follower), 4).await);
    let rows = file.store.read().job_urls(follower, Some(UrlState::Failed), 0, 9).await.unwrap();
    let codes: Vec<_> = rows.into_iter().map(|(_, url)| url.error.unwrap().code).collect();
    assert_eq!(codes, ["canceled", "canceled"]);
    // The owner still has it, and who canceled gets nothing more of it.
    assert_eq!(stands(&file, owner).await.1.waiting, 1);
    assert!(decide(&file, Decision::CancelJob(owner), 5).await);
    assert_eq!(file.state(task[0]).await, TaskState::Canceled);
    assert!(file.store.read().next_queued(&[], &[]).await.unwrap().is_none());
    file.close().await;
}

#[tokio::test]
async fn a_deadline_does_not_wait_for_a_clock_that_was_ahead() {
    let file = File::started().await;
    let (waiting, task) = job(&file, &[X], Quality::P360, false).await;
    let ahead = at(0).after(365 * DAY);
    assert!(file.store.begin_submit(task[0], ahead).await.unwrap());
    file.store.end_submit(task[0], ahead, lost()).await.unwrap();
    // The clock is put right, and a deadline goes by.
    file.store.clock_set_back(at(0)).await.unwrap();
    file.store.sweep(at(0).after(2 * DAY)).await.unwrap();
    assert_eq!(stands(&file, waiting).await.0, JobState::Failed);
    file.close().await;
}
