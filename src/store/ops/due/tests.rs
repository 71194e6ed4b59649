//! How much work one commit does, counted in steps of SQLite's virtual machine: they are the same on every machine.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::AssertSqlSafe;
use tempfile::TempDir;

use super::*;
use crate::domain::id::{JobId, TaskId};
use crate::domain::job::{JobOptions, Library, Quality};
use crate::domain::task::Failure;
use crate::domain::time::Timestamp;
use crate::domain::url::PostUrl;
use crate::store::Store;
use crate::store::batch::working_set::WorkingSet;
use crate::store::derive::due::is_any;
use crate::store::file::lock::InstanceLock;
use crate::store::file::open::{self, Binding, Opened};
use crate::store::ops::decisions::Decision;
use crate::store::ops::jobs::NewJob;
use crate::store::ops::submits::SubmitEnd;
use crate::store::policy::Policy;
use crate::store::writer::apply::{self, Applied};
use crate::store::writer::op::{Effect, Op};
use sqlx::sqlite::SqliteConnection;

const POLICY: Policy = Policy {
    poll_after: Duration::from_secs(60),
    urls_per_task: 50,
    probe_after: Duration::from_secs(60),
    settle_after: Duration::from_secs(60),
    deadline: Duration::from_secs(86_400),
    hint_interval: Duration::from_secs(60),
};
/// Steps of the virtual machine that one commit may take: far below a quarter of a second.
const MOST_STEPS: u64 = 12_000_000;
const TICK: u64 = 1_000;

const fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + millis)
}

/// A database whose operations are committed one by one.
struct Driven {
    folder: TempDir,
    connection: SqliteConnection,
    loaded: WorkingSet,
    ticks: Arc<AtomicU64>,
    /// The most steps that one commit took.
    most: u64,
    commits: usize,
}

async fn opened(path: &Path, now: Timestamp) -> Opened {
    open::open(&mut InstanceLock::take(path).unwrap(), Binding::to("http://upstream"), now).await.unwrap()
}

impl Driven {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let opened = opened(&folder.path().join("a.db"), at(0)).await;
        let mut connection = opened.writer;
        // What is on disk after a crash of the machine is tested elsewhere.
        sqlx::query("PRAGMA synchronous = OFF").execute(&mut connection).await.unwrap();
        let ticks = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&ticks);
        connection.lock_handle().await.unwrap().set_progress_handler(1_000, move || {
            count.fetch_add(1, Ordering::Relaxed);
            true
        });
        Self { folder, connection, loaded: WorkingSet::default(), ticks, most: 0, commits: 0 }
    }

    async fn commit(&mut self, op: Op) -> Applied {
        self.ticks.store(0, Ordering::Relaxed);
        let applied = apply::commit(&mut self.connection, &[&op], POLICY, &mut self.loaded).await.unwrap();
        let steps = self.ticks.load(Ordering::Relaxed) * TICK;
        self.most = self.most.max(steps);
        self.commits += 1;
        assert!(steps <= MOST_STEPS, "commit {} took {steps} steps", self.commits);
        applied
    }

    /// Commits an operation, and all that it leaves.
    async fn finish(&mut self, op: Op) -> usize {
        let before = self.commits;
        let mut has_due = self.commit(op).await.has_due;
        while has_due {
            assert!(self.commits - before < 1_000, "it comes to no end");
            let applied = self.commit(Op::Continue(Front::default())).await;
            has_due = !matches!(applied.effects[..], [Effect::Nothing]);
        }
        assert!(!is_any(&mut self.connection).await.unwrap());
        self.commits - before
    }

    async fn job(&mut self, urls: &[String]) -> JobId {
        let id = JobId::new(at(0));
        self.finish(Op::CreateJob(new_job(id, urls))).await;
        id
    }

    /// So many more jobs like this one, made in one go.
    async fn more_like(&mut self, job: JobId, count: i64) -> Vec<JobId> {
        let numbered = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?2)";
        for statement in [
            "INSERT INTO jobs SELECT printf('%s%06x', substr(id, 1, 30), n), created_at, created_by, settled_at, state,
               labels, unique_id, folder_id, quality, library, force, urls, waiting, sent, downloaded, indexed, failed,
               known, canceled FROM n, jobs WHERE id = ?1",
            "INSERT INTO job_urls SELECT printf('%s%06x', substr(job_id, 1, 30), n), position, url, task_id,
               task_position, fixed FROM n, job_urls WHERE job_id = ?1",
        ] {
            sqlx::query(AssertSqlSafe(format!("{numbered} {statement}")))
                .bind(job.to_string())
                .bind(count)
                .execute(&mut self.connection)
                .await
                .unwrap();
        }
        let prefix = job.to_string();
        (1..=count).map(|n| format!("{}{n:06x}", &prefix[..30]).parse().unwrap()).collect()
    }

    /// Where the URLs of every job stand, as stored and as counted again.
    async fn counts(&mut self) -> Vec<[i64; 6]> {
        counts(&mut self.connection).await
    }

    async fn tasks(&mut self, job: JobId) -> Vec<TaskId> {
        let ids: Vec<String> = sqlx::query_scalar("SELECT id FROM tasks WHERE job_id = ?1 ORDER BY id")
            .bind(job.to_string())
            .fetch_all(&mut self.connection)
            .await
            .unwrap();
        ids.iter().map(|id| id.parse().unwrap()).collect()
    }

    async fn submit(&mut self, task: TaskId, end: SubmitEnd) {
        self.finish(Op::BeginSubmit { task, at: at(1) }).await;
        self.finish(Op::EndSubmit { task, at: at(2), end }).await;
    }
}

async fn counts(connection: &mut SqliteConnection) -> Vec<[i64; 6]> {
    const STORED: &str = "SELECT waiting, sent, indexed, failed, known, canceled FROM jobs ORDER BY id";
    let read = async |connection: &mut SqliteConnection| {
        let rows: Vec<(i64, i64, i64, i64, i64, i64)> =
            sqlx::query_as(STORED).fetch_all(connection).await.unwrap();
        rows.into_iter().map(|(a, b, c, d, e, f)| [a, b, c, d, e, f]).collect::<Vec<_>>()
    };
    let stored = read(connection).await;
    let jobs: Vec<String> =
        sqlx::query_scalar("SELECT id FROM jobs").fetch_all(&mut *connection).await.unwrap();
    let jobs: Vec<JobId> = jobs.iter().map(|id| id.parse().unwrap()).collect();
    followers::count(connection, &jobs).await.unwrap();
    assert_eq!(read(connection).await, stored, "the stored counts are the true ones");
    stored
}

fn new_job(id: JobId, urls: &[String]) -> NewJob {
    let options = JobOptions {
        unique_id: None,
        folder_id: None,
        quality: Quality::P360,
        library: Library::Private,
        labels: BTreeMap::new(),
    };
    let urls = urls.iter().map(|url| PostUrl::parse(url).unwrap()).collect();
    NewJob { id, at: at(0), created_by: None, options, urls, force: false, idempotency: None }
}

fn posts(count: usize) -> Vec<String> {
    (0..count)
        .map(|n| format!("https://www.tiktok.com/@u/video/{}", 7_300_000_000_000_000_000_u64 + n as u64))
        .collect()
}

fn cancel_job(job: JobId) -> Op {
    Op::Decide { decision: Decision::CancelJob(job), by: None, at: at(9) }
}

fn rejected() -> SubmitEnd {
    SubmitEnd::Rejected(Failure::new("0003", "no"))
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
    assert_eq!(file.tasks(second).await.len(), 200, "packed as closely as before");
    file.most = 0;
    file.finish(cancel_job(second)).await;
    println!("alone: the largest took {} steps", file.most);
    assert_eq!(file.counts().await[1], [0, 0, 0, 10_000, 0, 10_000]);
}

#[tokio::test]
async fn canceling_a_job_of_as_many_tasks_as_urls_is_many_small_commits() {
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
        let jobs = [file.job(&urls).await, file.job(&urls).await];
        assert!(file.commit(cancel_job(jobs[0])).await.has_due);
        for _ in 0..steps {
            file.commit(Op::Continue(Front::default())).await;
        }
        // Nothing of the canceled job is sent meanwhile.
        let queued: Option<String> = sqlx::query_scalar(
            "SELECT id FROM tasks WHERE job_id = ?1 AND state = 'queued' ORDER BY id DESC",
        )
        .bind(jobs[0].to_string())
        .fetch_optional(&mut file.connection)
        .await
        .unwrap();
        if let Some(task) = queued {
            let begun = file.commit(Op::BeginSubmit { task: task.parse().unwrap(), at: at(9) }).await;
            assert!(matches!(begun.effects[..], [Effect::Nothing]));
        }
        let Driven { folder, connection, .. } = file;
        drop(connection);
        let path = folder.path().join("a.db");
        assert_eq!(
            end_of(&path).await,
            [[0, 0, 0, 2_500, 0, 2_500], [2_500, 0, 0, 0, 0, 0]],
            "after {steps}"
        );
    }
}

/// Waits until so many entries are due.
async fn until_due(store: &Store, entries: i64) {
    const DUE: &str = "SELECT (SELECT count(*) FROM due_urls) + (SELECT count(*) FROM due_counts)
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
async fn a_post_that_a_thousand_jobs_wait_for_ends_retries_and_is_canceled_in_small_commits() {
    let mut file = Driven::new().await;
    let urls = posts(1);
    let mut jobs = vec![file.job(&urls).await, file.job(&urls).await];
    jobs.extend(file.more_like(jobs[1], 5_000).await);
    let task = file.tasks(jobs[0]).await[0];
    file.submit(task, rejected()).await;
    // The first job's task was refused: the others share one task.
    let counts = file.counts().await;
    assert_eq!(
        (counts[0], counts[1], counts[4_999]),
        ([0, 0, 0, 1, 0, 0], [1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0])
    );
    let carrier: String = sqlx::query_scalar("SELECT id FROM tasks WHERE state = 'queued'")
        .fetch_one(&mut file.connection)
        .await
        .unwrap();
    let carrier: TaskId = carrier.parse().unwrap();
    file.submit(carrier, SubmitEnd::Unknown(Failure::new("no_answer", "cut"))).await;
    assert_eq!(file.counts().await[4_999], [0, 1, 0, 0, 0, 0]);
    let new = TaskId::new(at(20));
    let retry = Decision::Retry { task: carrier, new };
    let commits = file.finish(Op::Decide { decision: retry, by: None, at: at(20) }).await;
    assert!(commits > 5, "{commits}");
    assert_eq!(file.counts().await[4_999], [1, 0, 0, 0, 0, 0]);
    let again = Decision::Retry { task: carrier, new: TaskId::new(at(21)) };
    let applied = file.commit(Op::Decide { decision: again, by: None, at: at(21) }).await;
    assert!(matches!(applied.effects[..], [Effect::Nothing]), "nobody waits there any more");
    file.finish(Op::Decide { decision: Decision::Cancel(new), by: None, at: at(22) }).await;
    assert_eq!(file.counts().await[4_999][..2], [1, 0], "others still want it");
}

#[tokio::test]
async fn a_retry_that_is_still_being_handed_over_sends_nothing_twice() {
    let mut file = Driven::new().await;
    let urls = posts(1);
    let mut jobs = vec![file.job(&urls).await];
    jobs.extend(file.more_like(jobs[0], 4_500).await);
    let task = file.tasks(jobs[0]).await[0];
    file.submit(task, SubmitEnd::Unknown(Failure::new("no_answer", "cut"))).await;
    let retry = |millis| Decision::Retry { task, new: TaskId::new(at(millis)) };
    assert!(file.commit(Op::Decide { decision: retry(20), by: None, at: at(20) }).await.has_due);
    let again = file.commit(Op::Decide { decision: retry(21), by: None, at: at(21) }).await;
    assert!(matches!(again.effects[..], [Effect::Nothing]));
    let late = jobs.last().copied().unwrap();
    assert!(file.commit(cancel_job(late)).await.effects.len() == 1);
    while is_any(&mut file.connection).await.unwrap() {
        file.commit(Op::Continue(Front::default())).await;
    }
    let queued: i64 = sqlx::query_scalar("SELECT count(*) FROM tasks WHERE state = 'queued'")
        .fetch_one(&mut file.connection)
        .await
        .unwrap();
    assert_eq!(queued, 1);
    assert_eq!(file.counts().await[0], [1, 0, 0, 0, 0, 0]);
}

#[tokio::test]
async fn what_becomes_of_a_retry_while_it_is_handed_over_counts_nothing_below_zero() {
    for end in [SubmitEnd::Accepted("new".to_owned()), rejected()] {
        let mut file = Driven::new().await;
        let job = file.job(&posts(1)).await;
        file.more_like(job, 4_500).await;
        let task = file.tasks(job).await[0];
        file.submit(task, SubmitEnd::Unknown(Failure::new("no_answer", "cut"))).await;
        let new = TaskId::new(at(20));
        let retry = Decision::Retry { task, new };
        assert!(file.commit(Op::Decide { decision: retry, by: None, at: at(20) }).await.has_due);
        // Some follow the new task by now, and none of them is counted.
        file.commit(Op::Continue(Front::default())).await;
        file.commit(Op::BeginSubmit { task: new, at: at(21) }).await;
        file.commit(Op::EndSubmit { task: new, at: at(22), end }).await;
        const LEAST: &str = "SELECT min(min(waiting, sent, failed, canceled)) FROM jobs";
        let least: i64 = sqlx::query_scalar(LEAST).fetch_one(&mut file.connection).await.unwrap();
        assert_eq!(least, 0);
        while is_any(&mut file.connection).await.unwrap() {
            file.commit(Op::Continue(Front::default())).await;
        }
        file.counts().await;
    }
}

#[tokio::test]
async fn a_failed_task_of_a_large_shared_job_is_a_small_commit() {
    let mut file = Driven::new().await;
    let urls = posts(10_000);
    let (first, _) = (file.job(&urls).await, file.job(&urls).await);
    let tasks = file.tasks(first).await;
    file.most = 0;
    for task in &tasks[..3] {
        file.submit(*task, rejected()).await;
    }
    println!("the largest of a failed task took {} steps", file.most);
    assert!(file.most < 1_000_000, "{} steps", file.most);
    assert_eq!(file.counts().await[1], [10_000, 0, 0, 0, 0, 0]);
}

#[tokio::test]
async fn an_entry_that_can_not_be_read_holds_up_no_other() {
    let mut file = Driven::new().await;
    let mut jobs = Vec::new();
    for url in posts(2) {
        let job = file.job(std::slice::from_ref(&url)).await;
        file.more_like(job, 4_200).await;
        jobs.push(job);
    }
    let tasks = [file.tasks(jobs[0]).await[0], file.tasks(jobs[1]).await[0]];
    for task in tasks {
        let applied = file.commit(Op::BeginSubmit { task, at: at(1) }).await;
        assert!(applied.has_due);
    }
    sqlx::query("UPDATE due_urls SET source = 'nonsense' WHERE task_id = ?1")
        .bind(tasks[0].to_string())
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
    let left: Vec<String> =
        sqlx::query_scalar("SELECT task_id FROM due_urls").fetch_all(&mut opened.writer).await.unwrap();
    assert_eq!(left, [tasks[0].to_string()]);
}
