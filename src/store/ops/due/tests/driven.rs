//! A database whose operations are committed one by one, with a count of the work of each.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::Row;
use sqlx::sqlite::SqliteConnection;
use tempfile::TempDir;

use crate::domain::id::{JobId, TaskId};
use crate::domain::job::JobOptions;
use crate::domain::time::Timestamp;
use crate::domain::url::PostUrl;
use crate::store::batch::operation::Operation;
use crate::store::batch::working_set::WorkingSet;
use crate::store::derive::due::is_any;
use crate::store::derive::jobs;
use crate::store::file::lock::InstanceLock;
use crate::store::file::open::{self, Binding, Opened};
use crate::store::ops::due::{Continue, Front};
use crate::store::ops::forming::NextRequest;
use crate::store::ops::jobs::NewJob;
use crate::store::ops::submits::{EndSubmit, SubmitEnd};
use crate::store::policy::Policy;
use crate::store::read::queue::{Request, Turn};
use crate::store::writer::apply;
use crate::store::writer::op::{Pending, call};

pub(super) const POLICY: Policy = Policy {
    poll_after: Duration::from_secs(60),
    urls_per_task: 50,
    probe_after: Duration::from_secs(60),
    settle_after: Duration::from_secs(60),
    deadline: Duration::from_secs(86_400),
    hint_interval: Duration::from_secs(60),
};
/// The most steps of the virtual machine that one commit may take, which are far below a quarter of a second.
pub(super) const MOST_STEPS: u64 = 12_000_000;
pub(super) const TICK: u64 = 1_000;

pub(super) const fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + millis)
}

/// A database whose operations are committed one by one.
pub(super) struct Driven {
    pub(super) folder: TempDir,
    pub(super) connection: SqliteConnection,
    pub(super) loaded: WorkingSet,
    pub(super) ticks: Arc<AtomicU64>,
    /// The most steps that one commit took.
    pub(super) most: u64,
    pub(super) commits: usize,
}

pub(super) async fn opened(path: &Path, now: Timestamp) -> Opened {
    open::open(&mut InstanceLock::take(path).unwrap(), Binding::to("http://upstream"), now).await.unwrap()
}

impl Driven {
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let opened = opened(&folder.path().join("a.db"), at(0)).await;
        let mut connection = opened.writer;
        // Other tests cover the state of the disk after a crash of the machine.
        sqlx::query("PRAGMA synchronous = OFF").execute(&mut connection).await.unwrap();
        let ticks = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&ticks);
        connection.lock_handle().await.unwrap().set_progress_handler(1_000, move || {
            count.fetch_add(1, Ordering::Relaxed);
            true
        });
        Self { folder, connection, loaded: WorkingSet::default(), ticks, most: 0, commits: 0 }
    }

    /// Commits an operation. Returns its reply, and whether something was left for the next commits.
    pub(super) async fn commit<O: Operation>(&mut self, op: O) -> (O::Reply, bool) {
        let (pending, mut reply) = call(op);
        let mut batch = [pending];
        self.ticks.store(0, Ordering::Relaxed);
        let applied =
            apply::commit(&mut self.connection, &mut batch, POLICY, &mut self.loaded).await.unwrap();
        let steps = self.ticks.load(Ordering::Relaxed) * TICK;
        self.most = self.most.max(steps);
        self.commits += 1;
        assert!(steps <= MOST_STEPS, "commit {} took {steps} steps", self.commits);
        batch.into_iter().for_each(Pending::answer);
        (reply.try_recv().unwrap().unwrap(), applied.has_due)
    }

    /// Commits an operation, and all work that it leaves.
    pub(super) async fn finish(&mut self, op: impl Operation) -> usize {
        let before = self.commits;
        let (_, has_due) = self.commit(op).await;
        self.go_on(has_due).await;
        self.commits - before
    }

    pub(super) async fn go_on(&mut self, mut has_due: bool) {
        let before = self.commits;
        while has_due {
            assert!(self.commits - before < 1_000, "it comes to no end");
            (has_due, _) = self.commit(Continue(Front::default())).await;
        }
        assert!(!is_any(&mut self.connection).await.unwrap());
    }

    pub(super) async fn job(&mut self, urls: &[String]) -> JobId {
        let id = JobId::new(at(0));
        self.finish(new_job(id, urls)).await;
        id
    }

    /// Makes this many more jobs like the given one, directly in the tables.
    pub(super) async fn more_like(&mut self, job: JobId, count: i64) {
        for statement in [
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?2)
             INSERT INTO jobs (id, created_at, state, labels, quality, library, force, urls, waiting, key)
             SELECT printf('%s%06x', substr(id, 1, 30), n), created_at, state, labels, quality, library, force, urls,
               waiting, key FROM n, jobs WHERE id = ?1",
            "INSERT INTO wants SELECT new.number, position, round, mark, wants.url
             FROM jobs AS old JOIN wants ON wants.job = old.number JOIN jobs AS new ON new.number > (
               SELECT max(number) FROM jobs) - ?2 WHERE old.id = ?1",
        ] {
            let statement = sqlx::query(statement).bind(job.to_string()).bind(count);
            statement.execute(&mut self.connection).await.unwrap();
        }
    }

    /// The counts of the URLs of every job, as stored and as counted again.
    pub(super) async fn counts(&mut self) -> Vec<[i64; 6]> {
        counts(&mut self.connection).await
    }

    pub(super) async fn number(&mut self, question: &'static str) -> i64 {
        sqlx::query_scalar(question).fetch_one(&mut self.connection).await.unwrap()
    }

    /// Forms the next request, and does all work that it leaves.
    pub(super) async fn form(&mut self, turn: Turn) -> Option<Request> {
        let next = NextRequest::new(turn, at(1), None);
        let (request, has_due) = self.commit(next).await;
        self.go_on(has_due).await;
        request
    }

    /// Forms the next request of a line.
    pub(super) async fn send(&mut self) -> Request {
        loop {
            let group = self.number("SELECT min(number) FROM queue_groups WHERE waiting > 0").await;
            if let Some(request) = self.form(Turn::Group(group)).await {
                return request;
            }
        }
    }

    pub(super) async fn submit(&mut self, task: TaskId, end: SubmitEnd) -> usize {
        self.finish(EndSubmit { task, at: at(2), end }).await
    }
}

pub(super) async fn counts(connection: &mut SqliteConnection) -> Vec<[i64; 6]> {
    const STORED: &str = "SELECT waiting, sent, indexed, failed, known, canceled FROM jobs ORDER BY number";
    let read = async |connection: &mut SqliteConnection| {
        let rows = sqlx::query(STORED).fetch_all(connection).await.unwrap();
        rows.iter().map(|row| std::array::from_fn(|column| row.get(column))).collect::<Vec<[i64; 6]>>()
    };
    let stored = read(connection).await;
    let numbers: Vec<i64> =
        sqlx::query_scalar("SELECT number FROM jobs").fetch_all(&mut *connection).await.unwrap();
    jobs::count(connection, &numbers).await.unwrap();
    assert_eq!(read(connection).await, stored, "the stored counts are the true ones");
    stored
}

pub(super) fn new_job(id: JobId, urls: &[String]) -> NewJob {
    let urls = urls.iter().map(|url| PostUrl::parse(url).unwrap()).collect();
    NewJob {
        id,
        at: at(0),
        created_by: None,
        options: JobOptions::default(),
        urls,
        force: false,
        callback: None,
        idempotency: None,
    }
}

pub(super) fn posts(count: usize) -> Vec<String> {
    (0..count)
        .map(|n| format!("https://www.tiktok.com/@u/video/{}", 7_300_000_000_000_000_000_u64 + n as u64))
        .collect()
}
