//! Retention over a large database, while callbacks arrive and readers read: what it costs them, and what it may not.
//!
//! The long form is
//! `SCRAPEHOOK_RETENTION_EVENTS=1000000 cargo test --release --test it retention_load:: -- --nocapture`.

#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reqwest::Client;
use scrapehook::clock;
use scrapehook::domain::id::TaskId;
use scrapehook::domain::token::{Claims, TokenKeys, callback_url};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use crate::support::aftermath::number;
use crate::support::binary::{CALLBACK_SECRET, Serving};
use crate::support::database::read;
use crate::support::file::DAY;
use crate::support::multiplied::{multiplied, padded, sizes};
use crate::support::recompute::assert_states_follow_from_facts;

const MIB: f64 = 1024.0 * 1024.0;
/// Far from the age of any copy.
const KEPT: Duration = DAY.saturating_mul(90);
/// Between two callbacks, and between two reads.
const CALLBACK_EVERY: Duration = Duration::from_millis(10);
const READ_EVERY: Duration = Duration::from_millis(20);
/// Callbacks without retention, and as many once it has passed over the file.
const CALLBACKS: usize = 6_000;
const FEW_CALLBACKS: usize = 100;
/// Most callbacks that wait for an answer at a time. The service cuts connections beyond its limit.
const IN_FLIGHT: usize = 200;
/// Old bodies that are sent again, and old URLs that are submitted again.
const AGAIN: i64 = 200;
const DONE: &str = "removed bodies and events of jobs and tasks that settled long ago";

/// Callbacks with good tokens and reads, at a steady rate.
struct Load {
    client: Client,
    base: String,
    database: PathBuf,
    /// Callback URLs of what has not settled.
    open: Vec<String>,
    /// The pages that are read in turn.
    pages: [String; 3],
    /// How many callbacks were sent so far.
    sent: usize,
}

/// How long the answers took, and the most that the log had.
#[derive(Default)]
struct Times {
    callbacks: Vec<Duration>,
    reads: Vec<Duration>,
    log: u64,
}

impl Load {
    /// So many callbacks at the most, until `stop`. Each is sent when its time has come, however long others take; on a
    /// slow machine it waits for a place, and that counts.
    async fn run(&mut self, most: usize, stop: CancellationToken) -> Times {
        let mut times = Times::default();
        let reads = tokio::spawn(read_on(self.client.clone(), self.pages.clone(), stop.clone()));
        let mut ticks = interval(CALLBACK_EVERY);
        let mut answers = JoinSet::new();
        for _ in 0..most {
            // A tick that is late counts from when it was due.
            let due = ticks.tick().await.into_std();
            if stop.is_cancelled() {
                break;
            }
            if answers.len() == IN_FLIGHT {
                times.callbacks.extend(answers.join_next().await.unwrap());
            }
            let said = json!({ "status": "INDEXING_SUCCEEDED", "videoId": format!("VI-load-{}", self.sent) });
            let body = padded(said, 300 + self.sent * 37 % 1_700);
            let request = self.client.post(&self.open[self.sent % self.open.len()]).body(body);
            answers.spawn(async move {
                assert_eq!(request.send().await.unwrap().status(), 200, "no callback is refused");
                due.elapsed()
            });
            self.sent += 1;
            if self.sent.is_multiple_of(100) {
                times.log = times.log.max(sizes(&self.database).1);
            }
        }
        stop.cancel();
        times.callbacks.extend(answers.join_all().await);
        times.reads = reads.await.unwrap();
        times
    }

    /// Sends it again; it has to be kept.
    async fn send_again(&self, task: TaskId, body: Vec<u8>) {
        let answer = self.client.post(url_of(&self.base, task)).body(body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
}

fn url_of(base: &str, task: TaskId) -> String {
    callback_url(base, &TokenKeys::new([CALLBACK_SECRET]).issue(Claims::of(task)).unwrap())
}

/// Reads one page after the other; each has to be answered.
async fn read_on(client: Client, pages: [String; 3], stop: CancellationToken) -> Vec<Duration> {
    let mut ticks = interval(READ_EVERY);
    let mut times = Vec::new();
    for page in pages.iter().cycle() {
        ticks.tick().await;
        let began = Instant::now();
        let answer = client.get(page).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{page}");
        assert!(!answer.json::<Value>().await.unwrap()["items"].as_array().unwrap().is_empty(), "{page}");
        times.push(began.elapsed());
        // After one read at least: on a slow machine all callbacks may be sent before it.
        if stop.is_cancelled() {
            break;
        }
    }
    times
}

/// Median, 99 % and the longest, in milliseconds.
fn summary(mut times: Vec<Duration>) -> [f64; 3] {
    times.sort_unstable();
    [0.5, 0.99, 1.0].map(|share| {
        let place = ((times.len() - 1) as f64 * share).round() as usize;
        times[place].as_secs_f64() * 1_000.0
    })
}

/// Says how long answers took without retention, while it passes over the file, and afterwards.
fn print(what: &str, times: [Vec<Duration>; 3]) {
    let counts = times.each_ref().map(Vec::len);
    let [off, pass, after] = times.map(summary);
    println!("{what}: {counts:?} without retention, during its pass, after it");
    for (place, name) in ["median", "p99", "most"].iter().enumerate() {
        let (off, pass, after) = (off[place], pass[place], after[place]);
        println!("  {name}: {off:.1} ms, {pass:.1} ms ({:.2} times as long), {after:.1} ms", pass / off);
    }
}

/// What must not be removed, as the file has it up to these numbers: callbacks with a body, and events, of what has not
/// settled or is young.
async fn protected(database: &Path, before: i64, newest: (i64, i64)) -> (i64, i64) {
    sqlx::query_as(
        "SELECT
           (SELECT count(body) FROM callbacks JOIN tasks ON tasks.id = task_id
              WHERE callbacks.id <= ?2 AND (settled_at IS NULL OR settled_at >= ?1)),
           (SELECT count(*) FROM events JOIN jobs ON jobs.id = events.job_id LEFT JOIN tasks ON tasks.id = task_id
              WHERE seq <= ?3 AND (
                jobs.settled_at IS NULL OR jobs.settled_at >= ?1
                OR task_id IS NOT NULL AND (tasks.settled_at IS NULL OR tasks.settled_at >= ?1)))",
    )
    .bind(before)
    .bind(newest.0)
    .bind(newest.1)
    .fetch_one(&mut read(database).await)
    .await
    .unwrap()
}

async fn ask<T>(database: &Path, question: &'static str) -> Vec<T>
where
    T: for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> + Send + Unpin,
{
    sqlx::query_as(question).fetch_all(&mut read(database).await).await.unwrap()
}

/// Hears when the pruner has passed over the whole file; gives how many bodies and events it removed.
async fn passed_over(serving: Serving) -> (Serving, u64) {
    let hear = move || {
        let mut serving = serving;
        loop {
            // Nobody says anything for minutes.
            if let Some(line) = serving.hear(DONE) {
                return (serving, line["removed"].as_u64().unwrap());
            }
            assert!(serving.has_ended().is_none());
        }
    };
    tokio::task::spawn_blocking(hear).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_file_loses_what_is_old_under_load_and_nothing_else() {
    let events = number("SCRAPEHOOK_RETENTION_EVENTS", 8_000);
    let calls = if events >= 100_000 { CALLBACKS } else { FEW_CALLBACKS };
    let (now, began) = (clock::now(), Instant::now());
    let made = multiplied(events, now).await;
    let database = made.binary.path("scrapehook.db");
    println!("{} events, {} callbacks: made within {:?}", made.events, made.callbacks, began.elapsed());
    let before = now.before(KEPT).as_millis();

    let open: Vec<(String,)> =
        ask(&database, "SELECT id FROM tasks WHERE settled_at IS NULL ORDER BY id").await;
    let base = made.binary.value("SERVER__PUBLIC_URL").to_owned();
    let newest: Vec<(i64, i64)> =
        ask(&database, "SELECT (SELECT max(id) FROM callbacks), (SELECT max(seq) FROM events)").await;
    let newest = newest[0];
    let page = |path: &str| format!("{base}/v1/{path}");
    let mut load = Load {
        // The service closes a connection after ten silent seconds. A request must not be sent into that close.
        client: scrapehook::tls::client()
            .no_proxy()
            .pool_idle_timeout(Duration::from_secs(2))
            .build()
            .unwrap(),
        open: open.iter().map(|(task,)| url_of(&base, task.parse().unwrap())).collect(),
        pages: [page("tasks"), page(&format!("events?after={}", newest.1 - 50)), page("jobs")],
        base,
        database: database.clone(),
        sent: 0,
    };
    let old: Vec<(String, Vec<u8>)> = sqlx::query_as(
        "SELECT task_id, body FROM callbacks JOIN tasks ON tasks.id = task_id
         WHERE settled_at < ?1 AND callbacks.id % max(1, (SELECT count(*) FROM callbacks) / (2 * ?2)) = 0 LIMIT ?2",
    )
    .bind(before)
    .bind(AGAIN)
    .fetch_all(&mut read(&database).await)
    .await
    .unwrap();
    assert_eq!(old.len() as i64, AGAIN);
    let urls: Vec<(String,)> = sqlx::query_as(
        "SELECT posts.url FROM tasks JOIN attempts ON attempts.task = tasks.number
           JOIN rounds ON rounds.number = round JOIN posts ON posts.number = post
         WHERE settled_at < ?1 ORDER BY substr(tasks.id, -4), position LIMIT ?2",
    )
    .bind(before)
    .bind(AGAIN)
    .fetch_all(&mut read(&database).await)
    .await
    .unwrap();
    let protected_before = protected(&database, before, newest).await;
    let size = sizes(&database).0;

    // Without it.
    let binary = made.binary.set("RETENTION__AFTER", "0s");
    let serving = binary.serve(&[]);
    let off = load.run(calls, CancellationToken::new()).await;
    assert_eq!(serving.terminate().0, 0);

    // While it passes over the file.
    let binary = binary.set("RETENTION__AFTER", "90d");
    let serving = binary.serve(&[]);
    let (began, stop) = (Instant::now(), CancellationToken::new());
    let pass = async {
        let (serving, removed) = passed_over(serving).await;
        stop.cancel();
        (serving, removed, began.elapsed())
    };
    let ((serving, removed, took), during) = tokio::join!(pass, load.run(usize::MAX, stop.clone()));
    println!("{removed} bodies and events were removed within {took:?}");

    // Once it has.
    let after = load.run(calls, CancellationToken::new()).await;
    println!(
        "database {:.1} MiB, then {:.1} MiB; log at most {:.1} MiB without retention, {:.1} MiB during its pass",
        size as f64 / MIB,
        sizes(&database).0 as f64 / MIB,
        off.log as f64 / MIB,
        during.log as f64 / MIB,
    );
    print("callbacks", [off.callbacks, during.callbacks, after.callbacks]);
    print("reads", [off.reads, during.reads, after.reads]);

    let load_kept: Vec<(i64,)> =
        ask(&database, "SELECT count(*) FROM callbacks WHERE body LIKE '%VI-load-%'").await;
    assert_eq!(load_kept[0].0, load.sent as i64, "each callback that was answered 200 is there");
    assert_eq!(protected(&database, before, newest).await, protected_before);
    let gone = load.client.get(format!("{}/v1/events?after=1", load.base)).send().await.unwrap();
    assert_eq!(gone.status(), 410);
    assert_eq!(gone.json::<Value>().await.unwrap()["code"], "cursor_gone");
    nothing_old_is_new(&load, old, urls).await;
    assert_eq!(serving.terminate().0, 0);
    nothing_old_is_left(&database, before).await;
    let left = sizes(&database).0;
    println!("{:.1} MiB are left after the stop", left as f64 / MIB);
    // How much that is depends on how much came during the pass; that nothing in it is empty does not.
    let [(free, pages)] = ask::<(i64, i64)>(
        &database,
        "SELECT freelist_count, page_count FROM pragma_freelist_count, pragma_page_count",
    )
    .await
    .try_into()
    .unwrap();
    assert!(free * 50 < pages, "{free} of {pages} pages are empty");
    assert_states_follow_from_facts(&database).await;
}

/// Old bodies are redeliveries, and old URLs are known.
async fn nothing_old_is_new(load: &Load, old: Vec<(String, Vec<u8>)>, urls: Vec<(String,)>) {
    const COUNTS: &str = "SELECT (SELECT count(*) FROM callbacks), (SELECT max(seq) FROM events),
        (SELECT sum(deliveries) FROM callbacks), (SELECT count(*) FROM tasks)";
    let [before]: [(i64, i64, i64, i64); 1] = ask(&load.database, COUNTS).await.try_into().unwrap();
    for (task, body) in old {
        load.send_again(task.parse().unwrap(), body).await;
    }
    let [after]: [(i64, i64, i64, i64); 1] = ask(&load.database, COUNTS).await.try_into().unwrap();
    assert_eq!(after, (before.0, before.1, before.2 + AGAIN, before.3), "each is a redelivery");
    let urls: Vec<_> = urls.into_iter().map(|(url,)| url).collect();
    let job = load.client.post(format!("{}/v1/jobs", load.base)).json(&json!({ "video_urls": urls }));
    let job: Value = job.send().await.unwrap().json().await.unwrap();
    assert_eq!((&job["state"], &job["progress"]["known"]), (&json!("done"), &json!(urls.len())), "{job}");
}

async fn nothing_old_is_left(database: &Path, before: i64) {
    let left: (i64, i64) = sqlx::query_as(
        "SELECT
           (SELECT count(body) FROM callbacks JOIN tasks ON tasks.id = task_id
              WHERE settled_at < ?1 AND last_received_at < ?1),
           (SELECT count(*) FROM events JOIN jobs ON jobs.id = events.job_id LEFT JOIN tasks ON tasks.id = task_id
              WHERE at < ?1 AND jobs.settled_at < ?1 AND (task_id IS NULL OR tasks.settled_at < ?1))",
    )
    .bind(before)
    .fetch_one(&mut read(database).await)
    .await
    .unwrap();
    assert_eq!(left, (0, 0), "bodies and events of jobs and tasks that settled long ago");
}
