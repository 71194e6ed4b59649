//! How SQLite answers the questions that must not become slower with the file.

use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteConnection;

use crate::domain::id::JobId;
use crate::domain::job::JobState;
use crate::domain::time::Timestamp;
use crate::store::derive::{carriers, followers, tasks};
use crate::store::file::lock::InstanceLock;
use crate::store::file::open::{self, Binding};
use crate::store::ops::decisions;
use crate::store::read::jobs::{self, JobFilter};
use crate::store::read::status;

/// Tables that grow with what is submitted.
const GROWING: [&str; 10] = [
    "jobs",
    "job_labels",
    "tasks",
    "task_urls",
    "job_urls",
    "submits",
    "facts",
    "listings",
    "videos",
    "events",
];

/// How SQLite goes about it, a step a line, in the order of its loops.
async fn plan(connection: &mut SqliteConnection, question: &str) -> Vec<String> {
    let rows: Vec<(i64, i64, i64, String)> =
        sqlx::query_as(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {question}")))
            .fetch_all(connection)
            .await
            .unwrap();
    rows.into_iter().map(|(.., step)| step).collect()
}

async fn connection(folder: &tempfile::TempDir) -> SqliteConnection {
    let now = Timestamp::from_millis(7);
    let mut lock = InstanceLock::take(&folder.path().join("a.db")).unwrap();
    open::open(&mut lock, Binding::to("http://upstream"), now).await.unwrap().writer
}

/// No table that grows is read from one end to the other, and JSON is never read once for each row of a table.
#[tokio::test]
async fn statements_over_many_rows_go_from_their_json_to_the_rows_by_keys() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = connection(&folder).await;
    for statement in [
        followers::FOLLOW,
        followers::LOST,
        followers::FOLLOW_OTHERS,
        followers::MOVE,
        followers::COUNT,
        followers::COUNTS,
        followers::SETTLE,
        tasks::UPDATE,
        tasks::UPDATE_URLS,
        carriers::FOLLOWERS,
        decisions::CANCELABLE,
        decisions::CANCEL_ELSEWHERE,
    ] {
        let steps = plan(&mut file, statement).await;
        let mut has_rows = false;
        for step in &steps {
            let mut words = step.split(' ');
            let (what, of) = (words.next().unwrap(), words.next().unwrap_or_default());
            assert!(what != "SCAN" || !GROWING.contains(&of), "{statement}: {steps:?}");
            assert!(!step.contains("VIRTUAL TABLE") || !has_rows, "{statement}: {steps:?}");
            has_rows |= what == "SEARCH";
        }
    }
}

/// The status of a file with a million videos is read as quickly as that of an empty one.
#[tokio::test]
async fn no_question_of_the_status_reads_a_whole_table() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = connection(&folder).await;
    for question in [status::BY_STATE, status::UNCONFIRMED, status::STALLED, status::SILENT] {
        let steps = plan(&mut file, question).await;
        assert!(steps.iter().all(|step| step.starts_with("SEARCH")), "{question}: {steps:?}");
    }
}

/// A page of jobs follows an index from the newest on: nothing is sorted.
#[tokio::test]
async fn a_page_of_jobs_follows_an_index_whatever_the_filter_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = connection(&folder).await;
    let label = Some(("k".to_owned(), "v".to_owned()));
    let before = Some(JobId::new(Timestamp::from_millis(7)));
    for (state, label, before, by_state, index) in [
        (None, label.clone(), None, false, "job_labels USING PRIMARY KEY (key=? AND value=?)"),
        (None, label.clone(), before, false, "job_labels USING PRIMARY KEY (key=? AND value=? AND job_id<?)"),
        (
            Some(JobState::Failed),
            label.clone(),
            before,
            false,
            "job_labels USING PRIMARY KEY (key=? AND value=?",
        ),
        (Some(JobState::Failed), label, before, true, "jobs USING INDEX jobs_by_state (state=? AND id<?)"),
        (Some(JobState::Done), None, before, true, "jobs USING INDEX jobs_by_state (state=? AND id<?)"),
        (None, None, before, false, "jobs USING PRIMARY KEY (id<?)"),
    ] {
        let filter = JobFilter { state, label, before, limit: 50 };
        let question = jobs::list(&filter, by_state).sql().as_str().to_owned();
        let steps = plan(&mut file, &question).await;
        assert!(steps[0].starts_with(&format!("SEARCH {index}")), "{steps:?}");
        assert!(steps.iter().all(|step| !step.contains("B-TREE")), "{steps:?}");
    }
}
