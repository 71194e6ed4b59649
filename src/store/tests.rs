//! SQLite's plans for the queries that must not become slower with the file.

use std::fs;
use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Row};

use crate::domain::id::JobId;
use crate::domain::job::{JobState, Quality};
use crate::domain::time::Timestamp;
use crate::store::derive::tasks;
use crate::store::file::lock::InstanceLock;
use crate::store::file::open::{self, Binding};
use crate::store::read::jobs::{self, JobFilter};
use crate::store::read::{deliveries, events, job_search, recipients, status};

/// Tables that grow with submitted URLs.
const GROWING: [&str; 20] = [
    "deliveries",
    "delivery_order",
    "jobs",
    "job_labels",
    "tasks",
    "posts",
    "rounds",
    "wants",
    "attempts",
    "entries",
    "joins",
    "served",
    "submits",
    "facts",
    "videos",
    "events",
    "callbacks",
    "lines",
    "queue_groups",
    "places",
];

/// SQLite's plan for a query, one step per line, in the order of its loops.
async fn plan(connection: &mut SqliteConnection, question: &str) -> Result<Vec<String>, sqlx::Error> {
    let question = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {question}"));
    let rows = sqlx::query(question).fetch_all(connection).await?;
    rows.iter().map(|row| row.try_get("detail")).collect()
}

async fn connection(folder: &tempfile::TempDir) -> SqliteConnection {
    let now = Timestamp::from_millis(7);
    let mut lock = InstanceLock::take(&folder.path().join("a.db")).unwrap();
    open::open(&mut lock, Binding::to("http://upstream"), now).await.unwrap().writer
}

/// The source files below a folder, without those that only a test build compiles, and without the life of the file.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for item in fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && !matches!(name, "file" | "tests") {
            sources(&path, found);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            found.push(path);
        }
    }
}

/// The string literals of a source file that begin like a statement.
fn statements(source: &str) -> Vec<String> {
    let code: Vec<&str> = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n").replace("\\\"", "'");
    let texts = code.split('"').skip(1).step_by(2).map(str::trim_start);
    let begins =
        |text: &&str| ["SELECT ", "UPDATE ", "INSERT ", "DELETE "].iter().any(|word| text.starts_with(word));
    // A string can hold several statements, which go to SQLite in one trip.
    texts.filter(begins).flat_map(|text| text.split(";\n")).map(str::to_owned).collect()
}

/// Steps that read a growing table without a search but are short all the same. Either the index has few rows, or the
/// read ends after a few.
const SHORT: [&str; 10] = [
    "SCAN jobs USING INDEX jobs_with_callback",
    "SCAN lines USING INDEX lines_waiting",
    // There are as many rows as the configuration has had keys.
    "SCAN api_keys USING INDEX api_keys_by_clock",
    "SCAN tasks USING INDEX tasks_to_submit",
    "SCAN tasks USING INDEX tasks_unconfirmed",
    "SCAN submits USING INDEX submits_open",
    "SCAN submits USING INDEX submits_with_errors",
    "SCAN submits",
    "SCAN callbacks",
    "SCAN tasks USING INDEX tasks_to_poll",
];

/// No growing table is read from one end to the other, and JSON is never read once for each row of a table.
#[tokio::test]
async fn every_statement_goes_to_the_rows_of_growing_tables_by_keys() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = connection(&folder).await;
    // Checks of references are turned off, because SQLite plans them and then skips them as long as none is broken.
    sqlx::query("PRAGMA foreign_keys = OFF").execute(&mut file).await.unwrap();
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store"), &mut files);
    let (mut planned, mut parts) = (0, Vec::new());
    for path in files {
        for statement in statements(&fs::read_to_string(&path).unwrap()) {
            let Ok(steps) = plan(&mut file, &statement).await else {
                parts.push(statement);
                continue;
            };
            planned += 1;
            assert_goes_by_keys(&statement, &steps);
        }
    }
    for statement in [
        events::SEEN_BY,
        recipients::RECIPIENTS,
        recipients::JOBS_OF_EVENTS,
        deliveries::DUE,
        deliveries::OLDEST,
        tasks::UPDATE.as_str(),
    ] {
        let steps = plan(&mut file, statement).await.unwrap();
        assert_goes_by_keys(statement, &steps);
    }
    // Queries with filters are put together from parts and have separate tests.
    assert!(planned > 150, "{planned} statements were found");
    assert!(parts.len() <= 11, "these are no whole statements: {parts:#?}");
}

fn assert_goes_by_keys(statement: &str, steps: &[String]) {
    let mut has_rows = false;
    // A list or a value in parentheses is read once, whatever surrounds it.
    let mut is_list = false;
    for step in steps {
        // The second query of a union begins without rows.
        has_rows &= step != "UNION ALL";
        if std::mem::replace(
            &mut is_list,
            step.starts_with("LIST SUBQUERY") || step.starts_with("SCALAR SUBQUERY"),
        ) {
            continue;
        }
        let mut words = step.split(' ');
        let (what, of) = (words.next().unwrap(), words.next().unwrap_or_default());
        let is_long =
            what == "SCAN" && GROWING.contains(&of) && !SHORT.contains(&&*step.replace("COVERING ", ""));
        assert!(!is_long, "{statement}: {steps:?}");
        assert!(!step.contains("VIRTUAL TABLE") || !has_rows, "{statement}: {steps:?}");
        has_rows |= what == "SEARCH";
    }
}

/// The status of a file with a million videos is read as quickly as that of an empty one.
#[tokio::test]
async fn no_question_of_the_status_reads_a_whole_table() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = connection(&folder).await;
    for question in [status::BY_STATE, status::UNCONFIRMED, status::STALLED, status::SILENT] {
        let steps = plan(&mut file, question).await.unwrap();
        assert!(steps.iter().all(|step| step.starts_with("SEARCH")), "{question}: {steps:?}");
    }
}

/// A search by text looks at some jobs, and at their URLs.
#[tokio::test]
async fn no_question_of_a_search_for_jobs_reads_a_whole_table() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = connection(&folder).await;
    let among = JobFilter { among: Some(vec![1]), limit: 50, ..JobFilter::default() };
    let among = jobs::list(&among, false).sql().as_str().to_owned();
    for question in [job_search::NAMED, job_search::WITH_URL, &among] {
        let steps = plan(&mut file, question).await.unwrap();
        let whole = |step: &&String| step.starts_with("SCAN") && !step.contains("VIRTUAL TABLE");
        assert_eq!(steps.iter().find(whole), None, "{question}: {steps:?}");
    }
}

/// A page of jobs follows an index from the newest on, so nothing is sorted.
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
        (None, None, before, false, "jobs USING INDEX sqlite_autoindex_jobs_1 (id<?)"),
    ] {
        let quality = Some(Quality::P720);
        let filter = JobFilter { state, label, quality, among: None, before, limit: 50 };
        let question = jobs::list(&filter, by_state).sql().as_str().to_owned();
        let steps = plan(&mut file, &question).await.unwrap();
        assert!(steps[0].starts_with(&format!("SEARCH {index}")), "{steps:?}");
        assert!(steps.iter().all(|step| !step.contains("B-TREE")), "{steps:?}");
    }
}
