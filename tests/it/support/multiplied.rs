//! A large database that a service could have written: a small real one, each of whose jobs is there many times, with
//! ids, times, URLs and bodies of their own.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::Client;
use scrapehook::domain::id::{JobId, TaskId};
use scrapehook::domain::time::Timestamp;
use scrapehook::domain::url::CanonicalUrl;
use scrapehook::simulator::{Settings, Simulator};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, QueryBuilder};

use crate::support::binary::{Binary, CALLBACK_SECRET};
use crate::support::file::{DAY, HOUR};
use crate::support::{NEVER, mixed_urls, simulator};

/// URLs of each job.
pub const URLS: usize = 60;
/// One job in so many has not settled.
const UNSETTLED: u64 = 25;
/// Of a hundred jobs, how many are old; the oldest come first.
const OLD: u64 = 94;
const OLDEST: Duration = DAY.saturating_mul(200);
const YOUNGEST_OF_THE_OLD: Duration = DAY.saturating_mul(100);
const OLDEST_OF_THE_YOUNG: Duration = DAY.saturating_mul(80);
/// Rows of one statement.
const ROWS: usize = 200;

/// The tables that are multiplied, in the order of what points to what; bodies have hashes, and come by themselves.
const TABLES: [&str; 13] = [
    "jobs", "tasks", "posts", "rounds", "wants", "attempts", "entries", "joins", "served", "submits",
    "facts", "videos", "events",
];
/// More than the small database has of anything that has a number.
const NUMBERS: i64 = 1_000;

/// A binary with its database, and the upstream that took what has not settled.
pub struct Multiplied {
    pub binary: Binary,
    /// Is there as long as this is.
    _upstream: Simulator,
    pub events: i64,
    pub callbacks: i64,
}

/// One copy of a job.
struct Copy {
    job: String,
    new_job: String,
    /// What its times are moved by, in milliseconds.
    shift: i64,
}

/// A database with about so many events: nine in ten old and settled, the others young or not settled.
pub async fn multiplied(events: u64, now: Timestamp) -> Multiplied {
    let (binary, upstream) = small().await;
    let database = binary.path("scrapehook.db");
    let options = SqliteConnectOptions::new().filename(&database).foreign_keys(false);
    // What is inserted in no order would be read again and again with SQLite's own two MiB.
    let options = options.pragma("cache_size", "-524288");
    let mut file = options.synchronous(SqliteSynchronous::Off).connect().await.unwrap();
    sqlx::query("BEGIN").execute(&mut file).await.unwrap();
    for table in TABLES.iter().chain(&["callbacks"]) {
        run(&mut file, format!("CREATE TEMP TABLE small_{table} AS SELECT * FROM main.{table}")).await;
    }
    for table in TABLES.iter().rev().chain(&["callbacks"]) {
        run(&mut file, format!("DELETE FROM main.{table}")).await;
    }
    let copies = plan(&mut file, events, now).await;
    for table in TABLES {
        multiply(&mut file, table, now).await;
    }
    hash_posts(&mut file).await;
    add_callbacks(&mut file, &copies).await;
    sqlx::query("COMMIT").execute(&mut file).await.unwrap();
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut file).await.unwrap();
    let broken: i64 = sqlx::query_scalar("SELECT count(*) FROM pragma_foreign_key_check")
        .fetch_one(&mut file)
        .await
        .unwrap();
    assert_eq!(broken, 0, "everything points to something");
    let (events, callbacks) =
        sqlx::query_as("SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM callbacks)")
            .fetch_one(&mut file)
            .await
            .unwrap();
    file.close().await.unwrap();
    Multiplied { binary, _upstream: upstream, events, callbacks }
}

async fn run(file: &mut SqliteConnection, sql: String) {
    sqlx::query(AssertSqlSafe(sql)).execute(file).await.unwrap();
}

/// Two jobs of a real service: one that has settled, and one of which only a part has come back.
async fn small() -> (Binary, Simulator) {
    let done = simulator(Settings::default()).await;
    let silent = simulator(Settings { download_delay: NEVER, ..Settings::default() }).await;
    let binary = Binary::with_upstream(&done.url()).set("CALLBACK__SECRET", CALLBACK_SECRET);
    let client = crate::support::client();
    let serving = binary.serve(&[]);
    let settled = submit(&client, &serving.base, &mixed_urls(URLS)).await;
    let job: Value = client.get(format!("{settled}?wait=30s")).send().await.unwrap().json().await.unwrap();
    assert_eq!(job["state"], "done");
    assert_eq!(serving.terminate().0, 0);
    // What waits goes on waiting, and is not polled while it is measured.
    let binary = binary
        .set("UPSTREAM__BASE_URL", &silent.url())
        .set("RECONCILE__AFTER", "12h")
        .set("RECONCILE__DEADLINE", "9000h");
    let serving = binary.serve(&["--accept-upstream-change"]);
    submit(&client, &serving.base, &mixed_urls(2 * URLS)[URLS..]).await;
    silent.until(|silent| silent.charged().len() == URLS).await;
    for submit in silent.submits() {
        let (url, id) = (submit.body.callback_url.unwrap(), submit.task_id.unwrap());
        for n in 0..6 {
            let said = match n {
                0 => json!({ "taskId": id, "status": "SUCCEEDED" }),
                _ => {
                    json!({ "taskId": id, "status": "INDEXING_SUCCEEDED", "videoId": format!("VI{id}{n}") })
                }
            };
            assert_eq!(client.post(&url).body(said.to_string()).send().await.unwrap().status(), 200);
        }
    }
    assert_eq!(serving.terminate().0, 0);
    (binary.set("DISPATCH__MIN_INTERVAL", "1h"), silent)
}

async fn submit(client: &Client, base: &str, urls: &[String]) -> String {
    let answer = client.post(format!("{base}/v1/jobs")).json(&json!({ "video_urls": urls }));
    let job: Value = answer.send().await.unwrap().json().await.unwrap();
    format!("{base}/v1/jobs/{}", job["id"].as_str().unwrap())
}

/// Makes up the copies with their ids, and puts them where [`multiply`] finds them.
async fn plan(file: &mut SqliteConnection, events: u64, now: Timestamp) -> Vec<Copy> {
    let jobs: Vec<(String, i64)> =
        sqlx::query_as("SELECT id, created_at FROM small_jobs ORDER BY created_at")
            .fetch_all(&mut *file)
            .await
            .unwrap();
    let [settled, unsettled] = &jobs[..] else { panic!("{jobs:?}") };
    let tasks: Vec<(String, String)> =
        sqlx::query_as("SELECT id, job_id FROM small_tasks ORDER BY id").fetch_all(&mut *file).await.unwrap();
    let of_a_job: i64 = sqlx::query_scalar("SELECT count(*) FROM small_events WHERE job_id = ?1")
        .bind(&settled.0)
        .fetch_one(&mut *file)
        .await
        .unwrap();
    let count = (events / u64::try_from(of_a_job).unwrap()).max(2 * UNSETTLED);
    let old = count * OLD / 100;
    let mut copies = Vec::new();
    run(
        file,
        "CREATE TEMP TABLE copies (n INTEGER PRIMARY KEY, job TEXT, new_job TEXT, shift INTEGER)".to_owned(),
    )
    .await;
    run(
        file,
        "CREATE TEMP TABLE task_copies (n INTEGER, task TEXT, new_task TEXT, PRIMARY KEY (task, n))"
            .to_owned(),
    )
    .await;
    let mut new_tasks = Vec::new();
    for n in 0..count {
        let age = match n < old {
            true => between(OLDEST, YOUNGEST_OF_THE_OLD, n, old),
            false => between(OLDEST_OF_THE_YOUNG, DAY, n - old, count - old),
        };
        let (job, created_at) = if n % UNSETTLED == UNSETTLED / 2 { unsettled } else { settled };
        let at = now.before(age);
        for (task, _) in tasks.iter().filter(|(_, of)| of == job) {
            new_tasks.push((n, task.clone(), TaskId::new(at).to_string()));
        }
        let shift = at.as_millis() - created_at;
        copies.push(Copy { job: job.clone(), new_job: JobId::new(at).to_string(), shift });
    }
    for (page, rows) in copies.chunks(ROWS).enumerate() {
        let mut insert = QueryBuilder::new("INSERT INTO copies ");
        insert.push_values(rows.iter().enumerate(), |mut row, (n, copy)| {
            let n = i64::try_from(page * ROWS + n).unwrap();
            row.push_bind(n).push_bind(&copy.job).push_bind(&copy.new_job).push_bind(copy.shift);
        });
        insert.build().execute(&mut *file).await.unwrap();
    }
    for rows in new_tasks.chunks(ROWS) {
        let mut insert = QueryBuilder::new("INSERT INTO task_copies ");
        insert.push_values(rows, |mut row, (n, task, new)| {
            row.push_bind(i64::try_from(*n).unwrap()).push_bind(task).push_bind(new);
        });
        insert.build().execute(&mut *file).await.unwrap();
    }
    copies
}

fn between(first: Duration, last: Duration, n: u64, of: u64) -> Duration {
    first - (first - last).mul_f64(n as f64 / of as f64)
}

/// How the ids of `mixed_urls` begin for TikTok.
const TIKTOK: &str = "73000000000";

/// Copies the rows of a table, each column according to what it means.
async fn multiply(file: &mut SqliteConnection, table: &str, now: Timestamp) {
    let columns: Vec<(String,)> = sqlx::query_as("SELECT name FROM pragma_table_info(?1)")
        .bind(table)
        .fetch_all(&mut *file)
        .await
        .unwrap();
    let is_own_number = |name: &str| match table {
        "events" => name == "seq",
        "videos" | "submits" => name == "number",
        _ => false,
    };
    let names: Vec<&str> =
        columns.iter().map(|(name,)| name.as_str()).filter(|name| !is_own_number(name)).collect();
    // A poll of what has not settled is not due while it is measured.
    let later = now.after(6 * HOUR).as_millis();
    let value = |name: &&str| {
        match (table, *name) {
        ("jobs", "number") | (_, "job") => "copies.n + 1".to_owned(),
        ("entries", "number") => "small.number".to_owned(),
        (_, "number" | "task" | "post" | "round") => format!("copies.n * {NUMBERS} + small.{name}"),
        (_, "video") => format!("small.{name} || '-' || copies.n"),
        ("served", "after") => "0".to_owned(),
        ("jobs", "id") | (_, "job_id") => "new_job".to_owned(),
        ("tasks", "id") | (_, "task_id") => "new_task".to_owned(),
        ("videos", "id") | (_, "video_id") => {
            format!("CASE small.{name} WHEN '' THEN '' ELSE small.{name} || '-' || copies.n END")
        }
        (_, "upstream_id") => format!("small.{name} || '-' || copies.n"),
        // As long as before where the platform's ids have one length.
        (_, "url" | "canonical") => format!(
            "iif(instr(small.{name}, '{TIKTOK}'), replace(small.{name}, '{TIKTOK}', '73' || printf('%09d', copies.n)),
               rtrim(small.{name}, '/') || printf('%06d', copies.n) || iif(small.{name} LIKE '%/', '/', ''))"
        ),
        (_, "next_poll_at") => format!("CASE WHEN small.{name} IS NOT NULL THEN {later} END"),
        (_, "at" | "quiet_since") => format!("small.{name} + shift"),
        (_, name) if name.ends_with("_at") => format!("small.{name} + shift"),
        (_, name) => format!("small.{name}"),
    }
    };
    let values: Vec<_> = names.iter().map(value).collect();
    let source = match table {
        "jobs" => "JOIN copies ON job = small.id",
        "tasks" => "JOIN task_copies ON task = small.id JOIN copies USING (n)",
        "events" => {
            "JOIN copies ON job = small.job_id
             LEFT JOIN task_copies ON task_copies.n = copies.n AND task = small.task_id"
        }
        "posts" => {
            "JOIN small_rounds ON small_rounds.post = small.number
             JOIN small_jobs ON small_jobs.number = small_rounds.job
             JOIN copies ON copies.job = small_jobs.id"
        }
        "rounds" | "wants" => {
            "JOIN small_jobs ON small_jobs.number = small.job JOIN copies ON copies.job = small_jobs.id"
        }
        "attempts" | "entries" | "joins" | "served" => {
            "JOIN small_tasks ON small_tasks.number = small.task
             JOIN task_copies ON task_copies.task = small_tasks.id JOIN copies USING (n)"
        }
        _ => "JOIN task_copies ON task_copies.task = small.task_id JOIN copies USING (n)",
    };
    // In the order in which they would have come.
    let order = match table {
        "events" => ", seq",
        "videos" | "posts" | "rounds" => ", small.number",
        _ => "",
    };
    let (names, values) = (names.join(", "), values.join(", "));
    let insert = format!(
        "INSERT INTO main.{table} ({names}) SELECT {values} FROM small_{table} AS small {source}
         ORDER BY copies.n{order}"
    );
    run(file, insert).await;
}

/// Computes the hashes of the posts again, by which the ledger finds them.
async fn hash_posts(file: &mut SqliteConnection) {
    let mut last = 0;
    loop {
        let posts: Vec<(i64, String)> = sqlx::query_as(
            "SELECT number, canonical FROM posts WHERE number > ?1 ORDER BY number LIMIT 5000",
        )
        .bind(last)
        .fetch_all(&mut *file)
        .await
        .unwrap();
        let Some((number, _)) = posts.last() else { return };
        last = *number;
        let rows: Vec<_> =
            posts.iter().map(|(number, url)| json!([number, CanonicalUrl::hash(url)])).collect();
        sqlx::query(
            "UPDATE posts SET hash = new.hash
             FROM (SELECT value->>0 AS number, value->>1 AS hash FROM json_each(?1)) AS new
             WHERE posts.number = new.number",
        )
        .bind(json!(rows).to_string())
        .execute(&mut *file)
        .await
        .unwrap();
    }
}

/// The bodies of the copies, as they could have come: 300 to 2,000 bytes each.
async fn add_callbacks(file: &mut SqliteConnection, copies: &[Copy]) {
    type Row = (String, Vec<u8>, i64, i64, i64, Option<String>, String);
    let small: Vec<Row> = sqlx::query_as(
        "SELECT task_id, body, first_received_at, last_received_at, deliveries, understood, job_id
         FROM small_callbacks JOIN small_tasks ON small_tasks.id = task_id ORDER BY small_callbacks.id",
    )
    .fetch_all(&mut *file)
    .await
    .unwrap();
    let new_tasks: Vec<(i64, String, String)> =
        sqlx::query_as("SELECT n, task, new_task FROM task_copies").fetch_all(&mut *file).await.unwrap();
    let new_tasks: HashMap<(i64, String), String> =
        new_tasks.into_iter().map(|(n, task, new)| ((n, task), new)).collect();
    let mut random = StdRng::seed_from_u64(17);
    for (n, copy) in (0..).zip(copies) {
        let rows: Vec<_> = small.iter().filter(|row| row.6 == copy.job).collect();
        for rows in rows.chunks(ROWS / 2) {
            let mut insert = QueryBuilder::new(
                "INSERT INTO callbacks (task_id, body_hash, body, first_received_at, last_received_at, deliveries,
                   understood) ",
            );
            insert.push_values(rows, |mut row, (task, body, first, last, deliveries, understood, _)| {
                let body = body_of(body, n, &mut random);
                let hash: [u8; 32] = Sha256::digest(&body).into();
                row.push_bind(&new_tasks[&(n, task.clone())]).push_bind(hash.to_vec()).push_bind(body);
                row.push_bind(first + copy.shift).push_bind(last + copy.shift);
                row.push_bind(*deliveries).push_bind(understood);
            });
            insert.build().execute(&mut *file).await.unwrap();
        }
    }
}

fn body_of(small: &[u8], n: i64, random: &mut StdRng) -> Vec<u8> {
    let mut body: Value = serde_json::from_slice(small).unwrap();
    for name in ["taskId", "videoId"] {
        if let Some(id) = body[name].as_str().map(|id| format!("{id}-{n}")) {
            body[name] = id.into();
        }
    }
    padded(body, random.random_range(300..2_000))
}

/// A body of about so many bytes.
pub fn padded(mut body: Value, bytes: usize) -> Vec<u8> {
    body["words"] = "what upstream says of it ".repeat(bytes / 25).into();
    body.to_string().into_bytes()
}

/// Bytes of the database and of its log.
pub fn sizes(database: &Path) -> (u64, u64) {
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    (length(database), length(&database.with_extension("db-wal")))
}
