//! How much work one commit does, counted in steps of SQLite's virtual machine: they are the same on every machine.

mod driven;

use std::path::Path;

use self::driven::{Driven, POLICY, at, counts, new_job, opened, posts};
use super::*;
use crate::domain::id::TaskId;
use crate::domain::task::Failure;
use crate::store::Store;
use crate::store::file::open::Binding;
use crate::store::ops::adopts::Decided;
use crate::store::ops::decisions::Decision;
use crate::store::ops::forming::NextRequest;
use crate::store::ops::submits::SubmitEnd;
use crate::store::read::queue::Turn;
use crate::store::writer::op::{Effect, Op};

fn cancel_job(job: JobId) -> Op {
    Op::Decide { decision: Decision::CancelJob(job), by: None, at: at(9) }
}

fn rejected() -> SubmitEnd {
    // A code that ends all of its posts.
    SubmitEnd::refused(Failure::new("0409", "no"), at(2))
}

fn unknown() -> SubmitEnd {
    SubmitEnd::Unknown(Failure::new("no_answer", "cut"))
}

fn retry(task: TaskId, new: TaskId, millis: i64) -> Op {
    Op::Decide { decision: Decision::Retry { task, new }, by: None, at: at(millis) }
}

#[tokio::test]
async fn canceling_a_job_that_another_one_shares_is_many_small_commits() {
    let mut file = Driven::new().await;
    let urls = posts(10_000);
    let (first, second) = (file.job(&urls).await, file.job(&urls).await);
    file.most = 0;
    let commits = file.finish(cancel_job(first)).await;
    println!("canceled in {commits} commits, the largest took {} steps", file.most);
    assert!((2..200).contains(&commits), "{commits}");
    assert_eq!(file.counts().await, [[0, 0, 0, 10_000, 0, 10_000], [10_000, 0, 0, 0, 0, 0]]);
    assert_eq!(file.send().await.urls.len(), 50, "packed as closely as before");
    file.most = 0;
    file.finish(cancel_job(second)).await;
    println!("alone: the largest took {} steps", file.most);
    assert_eq!(file.counts().await[1], [0, 50, 0, 9_950, 0, 9_950]);
    assert_eq!(file.number("SELECT sum(waiting) FROM lines").await, 0);
}

#[tokio::test]
async fn canceling_a_job_of_as_many_lines_as_urls_is_many_small_commits() {
    let mut file = Driven::new().await;
    let urls: Vec<_> = (0..2_000).map(|n| format!("https://host{n}.example/post")).collect();
    let (first, _) = (file.job(&urls).await, file.job(&urls).await);
    file.finish(cancel_job(first)).await;
    assert_eq!(file.counts().await, [[0, 0, 0, 2_000, 0, 2_000], [2_000, 0, 0, 0, 0, 0]]);
}

#[tokio::test]
async fn a_cancel_that_a_crash_interrupts_comes_to_the_same_end() {
    for steps in [0, 1, 3, 8] {
        let mut file = Driven::new().await;
        let urls = posts(2_500);
        let (canceled, _) = (file.job(&urls).await, file.job(&urls[1_250..]).await);
        assert!(file.commit(cancel_job(canceled)).await.has_due);
        for _ in 0..steps {
            file.commit(Op::Continue(Front::default())).await;
        }
        // Nothing that only the canceled job wanted is sent meanwhile.
        let sent = loop {
            let group = file.number("SELECT min(number) FROM queue_groups WHERE waiting > 0").await;
            let next = NextRequest {
                turn: Turn::Group(group),
                new: TaskId::new(at(9)),
                at: at(9),
                left_today: None,
            };
            if let Some(Effect::Formed(request)) = file.commit(Op::Form(next)).await.effects.pop() {
                break request.urls;
            }
        };
        assert!(sent.iter().all(|url| urls[1_250..].contains(url)), "after {steps}");
        let Driven { folder, connection, .. } = file;
        drop(connection);
        let sent = i64::try_from(sent.len()).unwrap();
        assert_eq!(
            end_of(&folder.path().join("a.db")).await,
            [[0, 0, 0, 2_500, 0, 2_500], [1_250 - sent, sent, 0, 0, 0, 0]],
            "after {steps}"
        );
    }
}

/// Waits until so many entries are due.
async fn until_due(store: &Store, entries: i64) {
    const DUE: &str = "SELECT (SELECT count(*) FROM due_rounds) + (SELECT count(*) FROM due_counts)
       + (SELECT count(*) FROM due_cancels)";
    let mut reader = store.read().acquire().await.unwrap();
    while sqlx::query_scalar::<_, i64>(DUE).fetch_one(&mut *reader).await.unwrap() != entries {
        tokio::task::yield_now().await;
    }
}

/// The counts after the service has run on the file again.
async fn end_of(path: &Path) -> Vec<[i64; 6]> {
    let (store, writer) = Store::open(path, Binding::to("http://upstream"), POLICY, at(10)).await.unwrap();
    let running = tokio::spawn(writer.run());
    until_due(&store, 0).await;
    store.close();
    running.await.unwrap();
    let mut opened = opened(path, at(12)).await;
    counts(&mut opened.writer).await
}

#[tokio::test]
async fn a_post_that_thousands_of_jobs_wait_for_ends_retries_and_is_canceled_in_small_commits() {
    let mut file = Driven::new().await;
    let first = file.job(&posts(1)).await;
    file.more_like(first, 5_000).await;
    let task = file.send().await.task;
    assert!(file.counts().await.iter().all(|counts| *counts == [0, 1, 0, 0, 0, 0]));
    let commits = file.submit(task, unknown()).await;
    assert_eq!(commits, 1, "nothing changes for the jobs");
    let new = TaskId::new(at(20));
    let commits = file.finish(retry(task, new, 20)).await;
    println!("retried in {commits} commits, the largest took {} steps", file.most);
    assert!(file.counts().await.iter().all(|counts| *counts == [1, 0, 0, 0, 0, 0]));
    let again = file.commit(retry(task, TaskId::new(at(21)), 21)).await;
    assert!(matches!(again.effects[..], [Effect::Decided(Decided::Nothing)]), "nobody waits there any more");
    assert_eq!(file.form(Turn::Task(new)).await.unwrap().urls.len(), 1);
    let commits = file.submit(new, rejected()).await;
    assert!(commits > 5, "{commits}");
    assert!(file.counts().await.iter().all(|counts| *counts == [0, 0, 0, 1, 0, 0]), "one end for all");
    assert_eq!(file.number("SELECT sum(waiting) FROM lines").await, 0, "and nobody is sent again");
    let (last, third) = (TaskId::new(at(22)), TaskId::new(at(23)));
    file.finish(retry(new, last, 22)).await;
    file.finish(Op::Decide { decision: Decision::Cancel(last), by: None, at: at(23) }).await;
    assert!(file.counts().await.iter().all(|counts| *counts == [0, 0, 0, 1, 0, 1]));
    file.finish(retry(last, third, 24)).await;
    assert!(file.form(Turn::Task(third)).await.is_some());
}

#[tokio::test]
async fn a_round_whose_change_is_still_being_told_is_counted_once() {
    for end in [SubmitEnd::Accepted("new".to_owned()), rejected()] {
        let mut file = Driven::new().await;
        let job = file.job(&posts(1)).await;
        file.more_like(job, 4_500).await;
        let group = file.number("SELECT number FROM queue_groups").await;
        let new = TaskId::new(at(1));
        let next = NextRequest { turn: Turn::Group(group), new, at: at(1), left_today: None };
        assert!(file.commit(Op::Form(next)).await.has_due);
        // Some have been told of the submit by now, and none of them of its end.
        file.commit(Op::Continue(Front::default())).await;
        file.commit(Op::EndSubmit { task: new, at: at(22), end }).await;
        // One of them is canceled, and another one comes.
        file.commit(cancel_job(job)).await;
        file.commit(Op::CreateJob(new_job(JobId::new(at(23)), &posts(1)))).await;
        const LEAST: &str = "SELECT min(min(waiting, sent, failed, canceled)) FROM jobs";
        assert_eq!(file.number(LEAST).await, 0);
        file.go_on(true).await;
        assert_eq!(file.number(LEAST).await, 0);
        file.counts().await;
    }
}

#[tokio::test]
async fn a_failed_task_of_a_large_shared_job_is_a_small_commit() {
    let mut file = Driven::new().await;
    let urls = posts(10_000);
    let _ = (file.job(&urls).await, file.job(&urls).await);
    file.most = 0;
    for _ in 0..3 {
        let task = file.send().await.task;
        file.submit(task, rejected()).await;
    }
    println!("the largest of a request and its end took {} steps", file.most);
    assert!(file.most < 1_000_000, "{} steps", file.most);
    assert_eq!(file.counts().await, [[9_850, 0, 0, 150, 0, 0]; 2]);
}

#[tokio::test]
async fn a_request_of_posts_that_many_jobs_wait_for_is_a_small_commit() {
    let mut file = Driven::new().await;
    let job = file.job(&posts(50)).await;
    file.more_like(job, 1_000).await;
    file.most = 0;
    let task = file.send().await.task;
    println!("to form it took {} steps at most", file.most);
    file.submit(task, rejected()).await;
    println!("with its end {} steps", file.most);
    assert!(file.counts().await.iter().all(|counts| *counts == [0, 0, 0, 50, 0, 0]));
    file.finish(retry(task, TaskId::new(at(3)), 3)).await;
    println!("with its retry {} steps", file.most);
    file.finish(cancel_job(job)).await;
    println!("with the cancel of one job {} steps", file.most);
    assert_eq!(file.counts().await[..2], [[0, 0, 0, 50, 0, 50], [50, 0, 0, 0, 0, 0]]);
}

#[tokio::test]
async fn a_retry_of_a_large_job_is_a_small_commit() {
    let mut file = Driven::new().await;
    let job = file.job(&posts(5_000)).await;
    for _ in 0..100 {
        let task = file.send().await.task;
        file.submit(task, rejected()).await;
    }
    assert_eq!(file.counts().await, [[0, 0, 0, 5_000, 0, 0]]);
    file.most = 0;
    file.finish(Op::RetryJob { job, codes: None, by: None, at: at(9) }).await;
    println!("the largest of a retry took {} steps", file.most);
    assert_eq!(file.counts().await, [[5_000, 0, 0, 0, 0, 0]]);
}

#[tokio::test]
async fn an_entry_that_can_not_be_read_holds_up_no_other() {
    let mut file = Driven::new().await;
    for url in posts(2) {
        let job = file.job(std::slice::from_ref(&url)).await;
        file.more_like(job, 4_200).await;
    }
    let group = file.number("SELECT number FROM queue_groups").await;
    let next = NextRequest { turn: Turn::Group(group), new: TaskId::new(at(1)), at: at(1), left_today: None };
    assert!(file.commit(Op::Form(next)).await.has_due);
    assert_eq!(file.number("SELECT count(*) FROM due_rounds").await, 2);
    let unread = file.number("SELECT min(round) FROM due_rounds").await;
    sqlx::query("UPDATE due_rounds SET source = 'nonsense' WHERE round = ?1")
        .bind(unread)
        .execute(&mut file.connection)
        .await
        .unwrap();
    let Driven { folder, connection, .. } = file;
    drop(connection);
    let path = folder.path().join("a.db");
    let (store, writer) = Store::open(&path, Binding::to("http://upstream"), POLICY, at(10)).await.unwrap();
    let running = tokio::spawn(writer.run());
    until_due(&store, 1).await;
    store.close();
    running.await.unwrap();
    let mut opened = opened(&path, at(12)).await;
    let left: Vec<i64> =
        sqlx::query_scalar("SELECT round FROM due_rounds").fetch_all(&mut opened.writer).await.unwrap();
    assert_eq!(left, [unread]);
}
