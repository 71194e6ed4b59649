//! The work that one commit does, counted in steps of SQLite's virtual machine, because these are the same on every
//! machine.

mod driven;

use std::path::Path;
use std::time::Instant;

use sqlx::sqlite::SqliteConnection;

use self::driven::{Driven, POLICY, at, counts, new_job, opened, posts};
use super::*;
use crate::domain::id::TaskId;
use crate::domain::outcome::Failure;
use crate::domain::queue::Priority;
use crate::store::Store;
use crate::store::file::open::Binding;
use crate::store::ops::adopts::{Conflict, Decided};
use crate::store::ops::decisions::{Decide, Decision};
use crate::store::ops::forming::NextRequest;
use crate::store::ops::job_patches::{JobPatch, PatchJob};
use crate::store::ops::job_retries::RetryJob;
use crate::store::ops::submits::{EndSubmit, SubmitEnd};
use crate::store::read::queue::Turn;

fn cancel_job(job: JobId) -> Decide {
    Decide { decision: Decision::CancelJob(job), by: None, at: at(9) }
}

fn rejected() -> SubmitEnd {
    // This code ends all of its posts.
    SubmitEnd::refused(Failure::new("0409", "no"), at(2))
}

fn unknown() -> SubmitEnd {
    SubmitEnd::Unknown(Failure::new("no_answer", "cut"))
}

fn retry(task: TaskId, new: TaskId, millis: i64) -> Decide {
    Decide { decision: Decision::Retry { task, new }, by: None, at: at(millis) }
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
        assert!(file.commit(cancel_job(canceled)).await.1);
        for _ in 0..steps {
            file.commit(Continue(Front::default())).await;
        }
        // Posts that only the canceled job wanted are not sent meanwhile.
        let sent = loop {
            let group = file.number("SELECT min(number) FROM queue_groups WHERE waiting > 0").await;
            let next = NextRequest::new(Turn::Group(group), at(9), None);
            if let (Some(request), _) = file.commit(next).await {
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

/// Waits until this many entries are due.
async fn until_due(store: &Store, entries: i64) {
    const DUE: &str = "SELECT (SELECT count(*) FROM due_rounds) + (SELECT count(*) FROM due_counts)
       + (SELECT count(*) FROM due_cancels) + (SELECT count(*) FROM due_priorities)";
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
    let (again, _) = file.commit(retry(task, TaskId::new(at(21)), 21)).await;
    assert_eq!(again, Decided::Impossible(Conflict::RetriedAs(new)), "nobody waits there any more");
    assert_eq!(file.form(Turn::Task(new)).await.unwrap().urls.len(), 1);
    let commits = file.submit(new, rejected()).await;
    assert!(commits > 5, "{commits}");
    assert!(file.counts().await.iter().all(|counts| *counts == [0, 0, 0, 1, 0, 0]), "one end for all");
    assert_eq!(file.number("SELECT sum(waiting) FROM lines").await, 0, "and nobody is sent again");
    let (last, third) = (TaskId::new(at(22)), TaskId::new(at(23)));
    file.finish(retry(new, last, 22)).await;
    file.finish(Decide { decision: Decision::Cancel(last), by: None, at: at(23) }).await;
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
        let next = NextRequest::new(Turn::Group(group), at(1), None);
        let new = next.new[0];
        assert!(file.commit(next).await.1);
        // Some jobs have counted the submit by now, but none its end.
        file.commit(Continue(Front::default())).await;
        file.commit(EndSubmit { task: new, at: at(22), end }).await;
        // One of them is canceled, and another one arrives.
        file.commit(cancel_job(job)).await;
        file.commit(new_job(JobId::new(at(23)), &posts(1))).await;
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
    file.finish(RetryJob { job, codes: None, by: None, at: at(9) }).await;
    println!("the largest of a retry took {} steps", file.most);
    assert_eq!(file.counts().await, [[5_000, 0, 0, 0, 0, 0]]);
}

fn hurry(job: JobId, priority: Priority) -> PatchJob {
    PatchJob { job, patch: JobPatch { priority: Some(priority), labels: None }, at: at(9) }
}

/// The number of waiting posts in each priority.
async fn by_priority(connection: &mut SqliteConnection) -> Vec<(i64, i64)> {
    const QUESTION: &str = "SELECT priority, count(*) FROM places JOIN queue_groups ON number = grp
       GROUP BY priority ORDER BY 1";
    sqlx::query_as(QUESTION).fetch_all(connection).await.unwrap()
}

#[tokio::test]
async fn a_large_job_takes_a_priority_over_in_one_small_commit() {
    let mut file = Driven::new().await;
    let posts = posts(20_000);
    let of_host = |n: usize| format!("https://host{}.example/{n}", n % 200);
    let mixed: Vec<_> = (0..5_000).map(of_host).chain(posts[..5_000].iter().cloned()).collect();
    let (one, many) = (file.job(&posts[10_000..]).await, file.job(&mixed).await);
    for (name, job) in [("one line", one), ("two hundred lines", many)] {
        for priority in [Priority::High, Priority::Low] {
            file.most = 0;
            let began = Instant::now();
            assert_eq!(file.finish(hurry(job, priority)).await, 1, "commits");
            println!("{name}, {priority}: {} steps, {:?}", file.most, began.elapsed());
            assert!(file.most < 4_000_000, "{} steps", file.most);
        }
    }
    assert_eq!(by_priority(&mut file.connection).await, [(2, 20_000)]);
}

#[tokio::test]
async fn a_job_that_many_others_share_takes_a_priority_over_in_small_commits() {
    let mut file = Driven::new().await;
    let job = file.job(&posts(2_000)).await;
    file.more_like(job, 100).await;
    file.most = 0;
    let began = Instant::now();
    let commits = file.finish(hurry(job, Priority::High)).await;
    println!("{commits} commits in {:?}, the largest took {} steps", began.elapsed(), file.most);
    assert!(commits > 5, "{commits}");
    assert_eq!(by_priority(&mut file.connection).await, [(0, 2_000), (1, 2_000)]);
    let turns =
        "SELECT count(DISTINCT places.turn) FROM places JOIN queue_groups ON number = grp WHERE priority = 0";
    assert_eq!(file.number(turns).await, 40, "its URLs keep their turns");
    let first = file.number("SELECT number FROM queue_groups WHERE priority = 0").await;
    assert_eq!(file.form(Turn::Group(first)).await.unwrap().urls, posts(50));
}

#[tokio::test]
async fn a_priority_that_a_crash_interrupts_is_taken_over_by_all_urls() {
    for steps in [0, 2] {
        let mut file = Driven::new().await;
        let job = file.job(&posts(1_000)).await;
        file.more_like(job, 100).await;
        assert!(file.commit(hurry(job, Priority::Low)).await.1);
        for _ in 0..steps {
            file.commit(Continue(Front::default())).await;
        }
        let Driven { folder, mut connection, .. } = file;
        let begun = by_priority(&mut connection).await;
        assert!(begun.len() == 2 && begun[1].1 < 1_000, "{begun:?}");
        drop(connection);
        let path = folder.path().join("a.db");
        end_of(&path).await;
        let mut opened = opened(&path, at(12)).await;
        assert_eq!(by_priority(&mut opened.writer).await, [(1, 1_000), (2, 1_000)], "after {steps}");
    }
}

#[tokio::test]
async fn an_entry_that_can_not_be_read_holds_up_no_other() {
    let mut file = Driven::new().await;
    for url in posts(2) {
        let job = file.job(std::slice::from_ref(&url)).await;
        file.more_like(job, 4_200).await;
    }
    let group = file.number("SELECT number FROM queue_groups").await;
    let next = NextRequest::new(Turn::Group(group), at(1), None);
    assert!(file.commit(next).await.1);
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
