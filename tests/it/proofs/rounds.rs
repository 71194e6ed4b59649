//! Rounds: one attempt serves everybody who waits for a post, and its end is the end for all of them. After it nothing
//! is sent again unless somebody asks.

use scrapehook::domain::callback::Meaning;
use scrapehook::domain::id::JobId;
use scrapehook::domain::job::{JobState, Quality};
use scrapehook::domain::outcome::UrlState;
use scrapehook::domain::task::TaskState;
use scrapehook::domain::video::VideoState::Indexed;
use scrapehook::store::{Decision, Found, JobRetried, ReceivedHint, SubmitEnd};
use sha2::{Digest, Sha256};

use crate::support::file::{DAY, File, at, callback, indexed, listed, lost};
use crate::support::rounds::{X, Y, decide, deferred, failed, refused, sent, stands, urls, wanted};

/// The codes with which URLs of a job have failed.
async fn codes(file: &File, job: JobId) -> Vec<String> {
    let rows = file.store.read().job_urls(job, Some(UrlState::Failed), 0, 9).await.unwrap();
    rows.into_iter().map(|(_, url)| url.error.unwrap().failure.code).collect()
}

#[tokio::test]
async fn all_who_wait_for_a_broken_post_pay_for_one_attempt() {
    let file = File::started().await;
    let (first, task) = sent(&file, &[X], Quality::P360, false).await;
    let mut jobs = vec![first];
    for when in 0..20 {
        if when == 10 {
            file.accept(task[0]).await;
        }
        jobs.push(wanted(&file, &[X], Quality::P360, false).await);
        assert!(file.send(5).await.is_none(), "it is on its way");
    }
    file.store.receive_callback(callback(task[0], 6, failed(), "t")).await.unwrap();
    for job in &jobs {
        assert_eq!(stands(&file, *job).await.0, JobState::Failed);
        assert_eq!(codes(&file, *job).await, ["task_failed"]);
    }
    assert!(file.send(7).await.is_none(), "nobody has asked since");
    let (new, again) = sent(&file, &[X], Quality::P360, false).await;
    assert_eq!(again.len(), 1, "a new job asks");
    file.accept(again[0]).await;
    file.store.receive_callback(callback(again[0], 8, indexed("v"), "t2")).await.unwrap();
    assert_eq!(stands(&file, new).await.0, JobState::Done);
    assert_eq!(stands(&file, first).await.0, JobState::Failed, "another round never changes it");
    file.close().await;
}

#[tokio::test]
async fn late_truth_about_an_attempt_is_the_truth_for_all_who_waited_for_it() {
    let file = File::started().await;
    let (first, task) = sent(&file, &[X], Quality::P360, false).await;
    file.accept(task[0]).await;
    let second = wanted(&file, &[X, Y], Quality::P360, false).await;
    file.store.receive_callback(callback(task[0], 5, failed(), "t")).await.unwrap();
    assert_eq!((stands(&file, first).await.0, stands(&file, second).await.1.failed), (JobState::Failed, 1));
    file.store.receive_callback(callback(task[0], 6, indexed("v"), "t")).await.unwrap();
    let (state, progress) = stands(&file, second).await;
    assert_eq!((state, progress.indexed, progress.waiting), (JobState::Running, 1, 1));
    assert_eq!(stands(&file, first).await.0, JobState::Done);
    file.close().await;
}

#[tokio::test]
async fn what_waits_is_sent_once_in_the_best_quality_that_anybody_wants() {
    let file = File::started().await;
    let low = wanted(&file, &[X], Quality::P360, false).await;
    let high = wanted(&file, &[X, Y], Quality::P720, false).await;
    let forced = wanted(&file, &[Y], Quality::P360, true).await;
    let request = file.send(1).await.unwrap();
    assert_eq!((request.quality, request.urls), (Quality::P720, vec![X.to_owned(), Y.to_owned()]));
    assert!(file.send(1).await.is_none());
    for job in [low, high, forced] {
        assert_eq!(stands(&file, job).await.1.waiting, 0);
    }
    file.close().await;
}

#[tokio::test]
async fn who_leaves_takes_the_quality_along_that_only_they_wanted() {
    let file = File::started().await;
    wanted(&file, &[X], Quality::P360, false).await;
    let high = wanted(&file, &[X], Quality::P720, false).await;
    assert!(decide(&file, Decision::CancelJob(high), 2).await);
    assert_eq!(file.send(3).await.unwrap().quality, Quality::P360);
    assert!(file.send(4).await.is_none());
    file.close().await;
}

#[tokio::test]
async fn a_better_quality_takes_its_post_out_of_a_task_that_waits() {
    let file = File::started().await;
    let (low, task) = sent(&file, &[X, Y], Quality::P360, false).await;
    file.submit(task[0], deferred()).await;
    let high = wanted(&file, &[X], Quality::P720, false).await;
    let better = file.send(3).await.unwrap();
    let rest = file.send(3).await.unwrap();
    let (better, rest) = if better.task == task[0] { (rest, better) } else { (better, rest) };
    assert_eq!((better.quality, better.urls), (Quality::P720, vec![X.to_owned()]));
    assert_eq!((rest.task, rest.quality, rest.urls), (task[0], Quality::P360, vec![Y.to_owned()]));
    file.accept(better.task).await;
    file.store.receive_callback(callback(better.task, 5, indexed("v"), "t")).await.unwrap();
    assert_eq!(stands(&file, high).await.0, JobState::Done);
    let (state, progress) = stands(&file, low).await;
    assert_eq!((state, progress.indexed, progress.sent), (JobState::Running, 1, 1));
    file.close().await;
}

#[tokio::test]
async fn what_nobody_wants_any_more_leaves_the_task_that_waits_with_it() {
    let file = File::started().await;
    let one = wanted(&file, &[X], Quality::P360, false).await;
    let (other, task) = sent(&file, &[Y], Quality::P360, false).await;
    assert_eq!(
        (task.len(), urls(&file, task[0]).await),
        (1, vec![X.to_owned(), Y.to_owned()]),
        "one request"
    );
    file.submit(task[0], deferred()).await;
    assert!(decide(&file, Decision::CancelJob(one), 3).await);
    assert_eq!(urls(&file, task[0]).await, [Y]);
    assert!(decide(&file, Decision::CancelJob(other), 4).await);
    assert_eq!(file.state(task[0]).await, TaskState::Canceled);
    assert!(file.send(5).await.is_none());
    file.close().await;
}

#[tokio::test]
async fn a_waiting_task_that_is_canceled_ends_its_wants_and_costs_nothing() {
    let file = File::started().await;
    let (one, task) = sent(&file, &[X], Quality::P360, false).await;
    file.submit(task[0], deferred()).await;
    let other = wanted(&file, &[X, Y], Quality::P360, false).await;
    assert!(decide(&file, Decision::Cancel(task[0]), 3).await);
    assert_eq!(stands(&file, one).await.0, JobState::Canceled);
    let (state, progress) = stands(&file, other).await;
    assert_eq!((state, progress.canceled, progress.waiting), (JobState::Running, 1, 1));
    assert_eq!(file.send(4).await.unwrap().urls, [Y]);
    file.close().await;
}

#[tokio::test]
async fn an_unconfirmed_attempt_is_shared_after_its_deadline_too() {
    let file = File::started().await;
    let (first, task) = sent(&file, &[X], Quality::P360, false).await;
    file.submit(task[0], lost()).await;
    file.store.sweep(at(3).after(DAY)).await.unwrap();
    assert_eq!(codes(&file, first).await, ["unconfirmed"]);
    let second = wanted(&file, &[X], Quality::P360, false).await;
    assert!(file.send(4).await.is_none(), "nobody knows whether it was charged");
    assert_eq!(stands(&file, second).await.0, JobState::Failed);
    // Only a retry and `force` send it again.
    assert_eq!(file.store.retry_job(second, None, None, at(5)).await, Ok(JobRetried::Changed));
    let request = file.send(6).await.unwrap();
    assert_eq!((request.urls, stands(&file, first).await.0), (vec![X.to_owned()], JobState::Failed));
    file.close().await;
}

#[tokio::test]
async fn late_news_of_what_was_given_up_sends_nothing() {
    let file = File::started().await;
    let (_, task) = sent(&file, &[X], Quality::P360, false).await;
    file.submit(task[0], lost()).await;
    let other = wanted(&file, &[X], Quality::P360, false).await;
    assert!(decide(&file, Decision::Cancel(task[0]), 4).await);
    assert_eq!(
        (stands(&file, other).await.0, codes(&file, other).await),
        (JobState::Failed, vec!["unconfirmed".into()])
    );
    file.store.receive_callback(callback(task[0], 5, failed(), "u")).await.unwrap();
    let (state, progress) = stands(&file, other).await;
    assert_eq!((state, progress.failed, progress.canceled), (JobState::Failed, 1, 0));
    assert_eq!(codes(&file, other).await, ["task_failed"]);
    assert!(file.send(6).await.is_none());
    assert_eq!(sent(&file, &[X], Quality::P360, false).await.1.len(), 1, "a new job asks");
    file.close().await;
}

#[tokio::test]
async fn a_refused_post_was_not_charged_so_a_new_job_sends_it_again() {
    let file = File::started().await;
    let (first, task) = sent(&file, &[X], Quality::P360, false).await;
    let second = wanted(&file, &[X], Quality::P360, false).await;
    file.submit(task[0], refused()).await;
    for job in [first, second] {
        assert_eq!(
            (stands(&file, job).await.0, codes(&file, job).await),
            (JobState::Failed, vec!["0003".into()])
        );
    }
    assert!(file.send(3).await.is_none(), "the end of an attempt is the end for all");
    wanted(&file, &[X, Y], Quality::P360, false).await;
    assert_eq!(file.send(4).await.unwrap().urls, [X], "alone: no stranger shares its fate");
    assert_eq!(file.send(4).await.unwrap().urls, [Y]);
    file.close().await;
}

#[tokio::test]
async fn two_rounds_of_a_post_that_change_in_one_commit_are_counted_each_for_its_own_wants() {
    let file = File::started().await;
    let (_, task) = sent(&file, &[X], Quality::P360, false).await;
    file.accept(task[0]).await;
    let waiting = wanted(&file, &[X, Y], Quality::P360, false).await;
    let better = wanted(&file, &[X], Quality::P720, false).await;
    let request = loop {
        let request = file.send(3).await.unwrap();
        if request.quality == Quality::P720 {
            break request;
        }
    };
    file.accept(request.task).await;
    let (one, two) = tokio::join!(
        file.store.receive_callback(callback(task[0], 5, failed(), "t")),
        file.store.receive_callback(callback(request.task, 5, Some(Meaning::Succeeded), "o")),
    );
    one.unwrap();
    two.unwrap();
    let (_, progress) = stands(&file, waiting).await;
    assert_eq!((progress.failed, progress.sent, progress.downloaded), (1, 1, 0));
    assert_eq!(stands(&file, better).await.1.downloaded, 1);
    file.close().await;
}

#[tokio::test]
async fn a_sweep_that_ends_a_round_ends_no_job_too_early() {
    let file = File::started().await;
    let (_, task) = sent(&file, &[X], Quality::P360, false).await;
    file.accept(task[0]).await;
    let (waiting, other) = sent(&file, &[X, Y], Quality::P360, false).await;
    let late = at(3).after(2 * DAY);
    let poll = file.due().await.unwrap();
    file.store.record_poll(poll, late, late, listed(&[])).await.unwrap();
    file.store.end_submit(other[0], late, SubmitEnd::Accepted("y".to_owned())).await.unwrap();
    file.store.sweep(late).await.unwrap();
    assert_eq!(file.state(task[0]).await, TaskState::Stalled);
    let (state, progress) = stands(&file, waiting).await;
    assert_eq!((state, progress.sent, progress.failed), (JobState::Running, 1, 1));
    file.close().await;
}

#[tokio::test]
async fn a_deadline_does_not_wait_for_a_clock_that_was_ahead() {
    let file = File::started().await;
    let waiting = wanted(&file, &[X], Quality::P360, false).await;
    let ahead = at(0).after(365 * DAY);
    let task = file.send(ahead.since(at(0)).as_millis().try_into().unwrap()).await.unwrap().task;
    file.store.end_submit(task, ahead, lost()).await.unwrap();
    // The clock is put right, and a deadline goes by.
    file.store.clock_set_back(at(0)).await.unwrap();
    file.store.sweep(at(0).after(2 * DAY)).await.unwrap();
    assert_eq!(stands(&file, waiting).await.0, JobState::Failed);
    file.close().await;
}

#[tokio::test]
async fn a_hint_that_fits_two_tasks_is_nobodys() {
    let file = File::started().await;
    let (_, first) = sent(&file, &[X], Quality::P360, false).await;
    file.submit(first[0], lost()).await;
    let (_, second) = sent(&file, &[X], Quality::P720, false).await;
    file.submit(second[0], lost()).await;
    let body = r#"{"taskId":"theirs"}"#;
    let hint = ReceivedHint {
        at: at(3),
        body: body.into(),
        body_hash: Sha256::digest(body).into(),
        upstream_id: Some("theirs".to_owned()),
    };
    file.store.receive_hint(hint).await.unwrap();
    let folder = || Some("default".to_owned());
    let found = || Found { unique_id: folder(), posts: vec![X.to_owned()], ..Found::default() };
    assert_eq!(file.store.store_lookup("theirs".to_owned(), found(), at(4)).await, Ok(false));
    // The token says whose it is.
    file.store.receive_callback(callback(second[0], 5, Some(Meaning::Succeeded), "theirs")).await.unwrap();
    assert_eq!(file.store.read().find_task("theirs").await.unwrap(), Some(second[0]));
    // Then only one is left that it could be.
    let other = "others".to_owned();
    assert_eq!(file.store.store_lookup(other, found(), at(6)).await, Ok(true));
    assert_eq!(file.store.read().find_task("others").await.unwrap(), Some(first[0]));
    file.close().await;
}

#[tokio::test]
async fn who_shares_with_others_can_cancel_what_was_not_sent() {
    let file = File::started().await;
    let owner = wanted(&file, &[X], Quality::P360, false).await;
    let other = wanted(&file, &[X, Y], Quality::P360, false).await;
    assert!(decide(&file, Decision::CancelJob(other), 3).await);
    assert_eq!(stands(&file, other).await.0, JobState::Canceled);
    assert!(!decide(&file, Decision::CancelJob(other), 4).await);
    assert_eq!(codes(&file, other).await, ["canceled", "canceled"]);
    // The owner still has it, and who canceled gets nothing more of it.
    assert_eq!(stands(&file, owner).await.1.waiting, 1);
    assert!(decide(&file, Decision::CancelJob(owner), 5).await);
    assert_eq!(stands(&file, owner).await.0, JobState::Canceled);
    assert!(file.send(6).await.is_none());
    file.close().await;
}

#[tokio::test]
async fn a_join_that_later_evidence_takes_away_reopens_the_url_and_all_of_its_jobs() {
    let file = File::started().await;
    let (first, task) = sent(&file, &[X], Quality::P360, false).await;
    let second = wanted(&file, &[X, Y], Quality::P360, false).await;
    file.accept(task[0]).await;
    // Another URL of no known shape: it may be another spelling.
    let poll = file.due().await.unwrap();
    file.store
        .record_poll(poll, at(5), at(5), listed(&[("v", Indexed, "https://b.example/1")]))
        .await
        .unwrap();
    assert_eq!((stands(&file, first).await.0, stands(&file, second).await.1.indexed), (JobState::Done, 1));
    let poll = file.due().await.unwrap();
    let own = listed(&[
        ("v", Indexed, "https://b.example/1"),
        ("w", scrapehook::domain::video::VideoState::Indexing, X),
    ]);
    file.store.record_poll(poll, at(6), at(6), own).await.unwrap();
    assert_eq!((stands(&file, first).await.0, stands(&file, second).await.1.indexed), (JobState::Running, 0));
    file.close().await;
}
