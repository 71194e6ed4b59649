//! A file of an older version, carried over into posts, rounds, attempts and wants: nothing is lost, forgotten, queued
//! or sent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use scrapehook::store::{Binding, Store};
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, FromRow};
use tempfile::TempDir;

use crate::support::file::{POLICY, at};

mod load;

/// What services wrote, and the migrations that their files have.
struct Sample {
    migrations: &'static [&'static str],
    rows: &'static str,
}

const FIRST: &[&str] = &["0001_initial.sql"];
const MIXED: Sample = Sample { migrations: FIRST, rows: include_str!("carried_over/mixed.sql") };
const SAMPLES: [Sample; 3] = [
    MIXED,
    Sample { migrations: FIRST, rows: include_str!("migrations/0001.sql") },
    Sample {
        migrations: &["0001_initial.sql", "0002_store_bounded_work.sql"],
        rows: include_str!("migrations/0002.sql"),
    },
];

/// A file with these migrations.
async fn older(path: &Path, migrations: &[&str]) -> SqliteConnection {
    let folder = TempDir::new().unwrap();
    for name in migrations {
        let migration = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(name);
        std::fs::copy(migration, folder.path().join(name)).unwrap();
    }
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut file = options.connect().await.unwrap();
    sqlx::query("PRAGMA application_id = 0x73686f6b").execute(&mut file).await.unwrap();
    Migrator::new(folder.path()).await.unwrap().run(&mut file).await.unwrap();
    file
}

/// Opens the file with this version, and closes it before anything else happens.
async fn carry_over(path: &Path) {
    let (store, writer) = Store::open(path, Binding::to("http://upstream"), POLICY, at(0)).await.unwrap();
    store.close();
    drop((store, writer));
}

async fn filled(path: &Path, sample: &Sample) {
    let mut file = older(path, sample.migrations).await;
    let mut transaction = file.begin().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sample.rows)).execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
    file.close().await.unwrap();
}

async fn all<T>(path: &Path, question: &str) -> Vec<T>
where
    T: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
{
    let mut file = SqliteConnectOptions::new().filename(path).read_only(true).connect().await.unwrap();
    let rows = sqlx::query_as(AssertSqlSafe(question.to_owned())).fetch_all(&mut file).await.unwrap();
    file.close().await.unwrap();
    rows
}

/// Rows of text, which have to be unique.
async fn texts(path: &Path, question: &str) -> BTreeSet<String> {
    let rows: Vec<(String,)> = all(path, question).await;
    let count = rows.len();
    let rows: BTreeSet<String> = rows.into_iter().map(|(row,)| row).collect();
    assert_eq!(rows.len(), count, "{question}");
    rows
}

/// The file before and after, and the folder that holds both.
async fn carried(sample: &Sample) -> (TempDir, std::path::PathBuf, std::path::PathBuf) {
    let folder = TempDir::new().unwrap();
    let (old, new) = (folder.path().join("old.db"), folder.path().join("new.db"));
    filled(&old, sample).await;
    std::fs::copy(&old, &new).unwrap();
    carry_over(&new).await;
    (folder, old, new)
}

#[tokio::test]
async fn no_want_attempt_fact_video_callback_or_event_is_lost() {
    for sample in &SAMPLES {
        let (_folder, old, new) = carried(sample).await;
        assert_wants_and_attempts_stay(&old, &new).await;
        assert_evidence_stays(&old, &new).await;
    }
}

async fn assert_wants_and_attempts_stay(old: &Path, new: &Path) {
    let wants = texts(
        old,
        "SELECT concat_ws(' ', job_id, job_urls.position, job_urls.url, coalesce(fixed, state),
           iif(fixed IS NULL, ifnull(error_code, ''), ''))
         FROM job_urls JOIN task_urls
           ON task_urls.task_id = job_urls.task_id AND task_urls.position = task_position",
    )
    .await;
    let now = "SELECT concat_ws(' ', jobs.id, wants.position, coalesce(wants.url, posts.url),
           CASE mark WHEN 1 THEN 'known' WHEN 2 THEN 'canceled' ELSE
             CASE rounds.state WHEN 0 THEN 'failed' WHEN 1 THEN 'waiting' WHEN 2 THEN 'sent'
               WHEN 3 THEN 'downloaded' WHEN 4 THEN 'indexed' END END,
           iif(mark IS NULL, ifnull(rounds.code, ''), ''))
         FROM wants JOIN jobs ON jobs.number = wants.job JOIN rounds ON rounds.number = round
           JOIN posts ON posts.number = post";
    assert_eq!(texts(new, now).await, wants);

    // The URLs of a task that was never sent are no attempts.
    let attempts = texts(
        old,
        "SELECT concat_ws(' ', tasks.id, position, url, task_urls.state,
           ifnull(task_urls.error_code, ''))
         FROM task_urls JOIN tasks ON tasks.id = task_id
         WHERE tasks.state <> 'queued' OR EXISTS (SELECT 1 FROM submits WHERE submits.task_id = tasks.id)",
    )
    .await;
    let now = "SELECT concat_ws(' ', tasks.id, position, coalesce(rounds.url, posts.url),
           CASE attempts.state WHEN 0 THEN 'failed' WHEN 1 THEN 'waiting' WHEN 2 THEN 'sent' WHEN 3 THEN 'downloaded'
             WHEN 4 THEN 'indexed' END, ifnull(attempts.code, ''))
         FROM attempts JOIN tasks ON tasks.number = task JOIN rounds ON rounds.number = round
           JOIN posts ON posts.number = post";
    assert_eq!(texts(new, now).await, attempts);
}

async fn assert_evidence_stays(old: &Path, new: &Path) {
    for table in ["videos", "callbacks", "quarantine", "idempotency_keys", "job_labels", "pauses"] {
        let count = format!("SELECT count(*) FROM {table}");
        assert_eq!(all::<(i64,)>(new, &count).await, all(old, &count).await, "{table}");
    }
    let facts = "SELECT concat_ws(' ', task_id,
           CASE kind WHEN 'exhausted' THEN 'list_complete' WHEN 'unnamed' THEN 'polls_refused' ELSE kind END,
           video_id, at, source, code, message) FROM facts WHERE kind <> 'named'";
    let mut new_facts = texts(new, facts).await;
    for fact in texts(old, facts).await {
        assert!(new_facts.remove(&fact), "{fact}");
    }
    assert!(
        new_facts.iter().all(|fact| fact.contains(" canceled ") && fact.contains(" clock ")),
        "{new_facts:?}"
    );
    let [(last,)]: [(i64,); 1] = all(old, "SELECT max(seq) FROM events").await.try_into().unwrap();
    let events = format!(
        "SELECT concat_ws(' ', seq, kind, source, job_id, task_id, upstream_id, video_id, at, message)
         FROM events WHERE seq <= {last}"
    );
    assert_eq!(texts(new, &events).await, texts(old, &events).await);
    let more = format!("SELECT kind || ' ' || source FROM events WHERE seq > {last} GROUP BY 1");
    let more = texts(new, &more).await;
    assert_eq!(more.iter().collect::<Vec<_>>(), ["task.canceled clock", "task.settled clock"]);
}

#[tokio::test]
async fn nothing_known_is_forgotten_and_nothing_is_queued_or_sent() {
    let (_folder, old, new) = carried(&MIXED).await;
    let known = texts(
        &old,
        "SELECT DISTINCT canonical FROM task_urls WHERE state = 'indexed' AND (
           EXISTS (SELECT 1 FROM job_urls WHERE fixed = 'known' AND job_urls.task_id = task_urls.task_id
             AND task_position = task_urls.position)
           OR EXISTS (SELECT 1 FROM tasks WHERE tasks.id = task_id AND tasks.state = 'indexed')
           OR EXISTS (SELECT 1 FROM listings WHERE listings.task_id = task_urls.task_id
             AND listings.position = task_urls.position))",
    )
    .await;
    assert_eq!(known.len(), 5);
    let now = "SELECT DISTINCT canonical FROM posts JOIN rounds ON post = posts.number
         JOIN attempts ON round = rounds.number WHERE standing = 3";
    assert_eq!(texts(&new, now).await, known);

    // Two jobs want one short link, in different qualities: it waits once, in the better one.
    let waits: Vec<(String, i64, i64)> = all(
        &new,
        "SELECT posts.canonical, lines.quality, kind FROM rounds JOIN posts ON posts.number = post
           JOIN lines ON lines.number = line ORDER BY rounds.number",
    )
    .await;
    let waits: Vec<_> = waits.iter().map(|(url, quality, kind)| (url.as_str(), *quality, *kind)).collect();
    let expected = [
        ("https://h.example/1", 360, 1),
        ("https://www.tiktok.com/video/7123456789012345671", 360, 0),
        ("https://vm.tiktok.com/ZMabcd12", 720, 1),
        ("https://r.example/2", 360, 1),
        ("https://www.youtube.com/watch?v=AAAAAAAAAA1", 720, 0),
        ("https://p.example/1", 360, 1),
        ("https://p.example/1", 360, 1),
    ];
    assert_eq!(waits, expected);
    let bound = "SELECT canonical FROM attempts JOIN rounds ON rounds.number = round JOIN posts ON posts.number = post
         WHERE standing = 4 AND attempts.state = 1";
    let bound = texts(&new, bound).await;
    assert_eq!(bound.iter().collect::<Vec<_>>(), ["https://d.example/1", "https://d.example/2"]);
    let queued = "SELECT canonical FROM task_urls WHERE state = 'waiting' GROUP BY canonical";
    let now: BTreeSet<String> =
        waits.iter().map(|(url, ..)| (*url).to_owned()).chain(bound.iter().cloned()).collect();
    assert_eq!(now, texts(&old, queued).await);

    let submits =
        "SELECT concat_ws(' ', number, task_id, attempt, started_at, ended_at, outcome, code) FROM submits";
    assert_eq!(texts(&new, submits).await, texts(&old, submits).await);
    let tasks = "SELECT id FROM tasks";
    assert_eq!(texts(&new, tasks).await, texts(&old, tasks).await);
    let states = "SELECT concat_ws(' ', id, state, error_code, settled_at) FROM tasks";
    let changed: BTreeMap<_, _> = texts(&old, states)
        .await
        .difference(&texts(&new, states).await)
        .map(|task| task.split_once(' ').unwrap())
        .map(|(id, words)| (id.to_owned(), words.to_owned()))
        .collect();
    assert_eq!(changed.len(), 7);
    assert!(changed.values().all(|words| words == "queued"), "{changed:?}");
}

#[tokio::test]
async fn jobs_stand_where_they_stood_and_every_count_adds_up() {
    for sample in &SAMPLES {
        let (_folder, old, new) = carried(sample).await;
        assert_counts_add_up(&old, &new).await;
        let seen = texts(&new, "SELECT kind || seq FROM events").await;
        carry_over(&new).await;
        assert_eq!(texts(&new, "SELECT kind || seq FROM events").await, seen, "it happens once");
    }
}

async fn assert_counts_add_up(old: &Path, new: &Path) {
    let jobs = "SELECT concat_ws(' ', id, state, settled_at, urls, waiting, sent, downloaded, indexed, failed, known,
           canceled) FROM jobs";
    assert_eq!(texts(new, jobs).await, texts(old, jobs).await);
    for (is_right, question) in [
        ("whole", "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"),
        ("references", "SELECT count(*) FROM pragma_foreign_key_check"),
        ("lines", "SELECT count(*) FROM lines WHERE waiting <> (
           SELECT count(*) FROM rounds WHERE line = lines.number)"),
        ("counts", "SELECT count(*) FROM counts WHERE subject = 'tasks' AND count <> (
           SELECT count(*) FROM tasks WHERE tasks.state = counts.state)"),
        ("old tables", "SELECT count(*) FROM sqlite_master WHERE name IN
           ('task_urls', 'job_urls', 'listings', 'due_urls', 'old_due_cancels')"),
        ("places", "SELECT count(*) FROM tasks WHERE (destination IS NULL) <> (job_id IS NULL)
           OR (quality IS NULL) <> (job_id IS NULL)"),
        ("served", "SELECT count(*) FROM tasks WHERE job_id IS NOT NULL AND state <> 'canceled' AND replaced_by IS NULL
           AND NOT EXISTS (SELECT 1 FROM served WHERE task = number)"),
    ] {
        assert_eq!(all::<(i64,)>(new, question).await, [(0,)], "{is_right}");
    }
}

#[tokio::test]
async fn videos_and_places_are_found_again() {
    let (_folder, _old, new) = carried(&MIXED).await;
    assert_eq!(all::<(i64,)>(&new, "SELECT count(*) FROM joins").await, [(9,)]);
    assert_eq!(all::<(i64,)>(&new, "SELECT count(*) FROM entries WHERE url IS NULL").await, [(3,)]);
    let kinds: Vec<(i64, Option<String>, Option<i64>)> =
        all(&new, "SELECT kind, name, folder FROM destinations ORDER BY kind").await;
    assert_eq!(
        kinds,
        [(0, None, None), (1, None, None), (2, Some("clips".to_owned()), None), (3, None, Some(7))]
    );
}
