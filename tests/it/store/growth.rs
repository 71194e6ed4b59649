//! Nothing grows without a bound: what happens at each bound that has no test elsewhere, and that all is well again
//! afterwards. docs/operating.md lists them all.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, Response};
use scrapehook::callback_check::LastCheck;
use scrapehook::config::Live;
use scrapehook::domain::callback::Meaning;
use scrapehook::domain::id::TaskId;
use scrapehook::domain::token::{Claims, TokenKeys, callback_url};
use scrapehook::forward::{self, Sender};
use scrapehook::http::{self, ConnectionLimits, Credentials, Keys, Shared};
use scrapehook::problems::Monitored;
use scrapehook::store::{CallbackPage, EventFilter, LastBackup, ReceivedHint, WriteError};
use scrapehook::telemetry::{Metrics, Traces};
use scrapehook::upstream::Budget;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::support::file::{File, at, callback};
use crate::support::process::failed_commits;
use crate::support::raw;
use crate::support::{DEADLINE, Scene, Setup, mixed_urls};

/// As docs/operating.md has them.
const QUEUE: usize = 8_192;
const HINTS: usize = 64;
const QUARANTINED: usize = 1_000;
const QUARANTINED_BYTES: usize = 8 * 1024 * 1024;
const UNRECOGNIZED: usize = 1_000;
const PAGE: i64 = 500;

fn hint(number: usize, bytes: usize) -> ReceivedHint {
    let digits = number.to_string();
    let body = Bytes::from(format!("{}{digits}", "0".repeat(bytes - digits.len())));
    ReceivedHint { at: at(3), body_hash: Sha256::digest(&body).into(), body, upstream_id: None }
}

/// The numbers of the hints that are kept, oldest first, and how many bytes they have.
async fn quarantined(file: &File) -> (Vec<usize>, usize) {
    let mut hints = file.store.read().quarantine(None, i64::MAX).await.unwrap();
    hints.reverse();
    let bytes = hints.iter().map(|hint| hint.body.len()).sum();
    (hints.iter().map(|hint| hint.body.parse().unwrap()).collect(), bytes)
}

#[tokio::test]
async fn the_quarantine_keeps_the_newest_thousand_hints() {
    let file = File::started().await;
    for number in 0..QUARANTINED + 50 {
        file.store.receive_hint(hint(number, 8)).await.unwrap();
    }
    // One that is there already is counted, and pushes nothing out.
    file.store.receive_hint(hint(QUARANTINED, 8)).await.unwrap();
    assert_eq!(quarantined(&file).await.0, (50..QUARANTINED + 50).collect::<Vec<_>>());
    file.close().await;
}

#[tokio::test]
async fn the_quarantine_keeps_eight_mebibytes_and_its_file_stays_as_large() {
    const BYTES: usize = 65_536;
    const FIT: usize = QUARANTINED_BYTES / BYTES;
    let file = File::started().await;
    let path = file.folder.path().join("scrapehook.db");
    let fill = async |numbers: std::ops::Range<usize>| {
        for number in numbers {
            file.store.receive_hint(hint(number, BYTES)).await.unwrap();
        }
        assert_eq!(quarantined(&file).await.1, QUARANTINED_BYTES);
        let mut beside = crate::support::database::open(&path).await;
        // What is in the log is in the file afterwards.
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut beside).await.unwrap();
        std::fs::metadata(&path).unwrap().len()
    };
    let full = fill(0..FIT + 10).await;
    let later = fill(FIT + 10..4 * FIT).await;
    assert_eq!(quarantined(&file).await.0, (3 * FIT..4 * FIT).collect::<Vec<_>>(), "the oldest go");
    assert!(later <= full + 10 * BYTES as u64, "{full} bytes, then {later}");
    file.close().await;
}

#[tokio::test]
async fn a_log_that_grew_beside_a_long_read_shrinks_afterwards() {
    const STAYS: u64 = 64 * 1024 * 1024;
    let file = File::started().await;
    let task = file.job(&["a"]).await[0];
    let path = file.folder.path().join("scrapehook.db");
    let log = || std::fs::metadata(path.with_extension("db-wal")).unwrap().len();
    // A copy, or a stranger with the file open, keeps what it reads from being overwritten.
    let mut reader = crate::support::database::open(&path).await;
    sqlx::query("BEGIN").execute(&mut reader).await.unwrap();
    sqlx::query("SELECT count(*) FROM tasks").execute(&mut reader).await.unwrap();
    let mut writer = crate::support::database::open(&path).await;
    sqlx::query("CREATE TABLE much AS SELECT zeroblob(80000000)").execute(&mut writer).await.unwrap();
    assert!(log() > STAYS, "{} bytes", log());
    sqlx::query("COMMIT").execute(&mut reader).await.unwrap();
    // One has all of it copied, the next begins anew.
    for body in ["a", "b"] {
        file.store.receive_callback(callback(task, 10, Some(Meaning::Succeeded), body)).await.unwrap();
    }
    assert!(log() <= STAYS, "{} bytes", log());
    file.close().await;
}

#[tokio::test]
async fn a_thousand_bodies_that_nobody_understands_are_kept_and_more_are_counted() {
    let file = File::started().await;
    let [task, other] = file.job(&["a", "b"]).await[..] else { panic!("two tasks") };
    let send = async |task, number: usize| {
        file.store.receive_callback(callback(task, 10, None, &number.to_string())).await.unwrap();
    };
    for number in 0..UNRECOGNIZED + 30 {
        send(task, number).await;
    }
    // Known ones are still redeliveries, facts still count, and other tasks have room of their own.
    send(task, 0).await;
    send(other, 0).await;
    file.store.receive_callback(callback(task, 11, Some(Meaning::Succeeded), "t")).await.unwrap();
    let kept = async |task| {
        let page = CallbackPage { task, before: None, limit: 2_000 };
        file.store.read().callbacks(page).await.unwrap()
    };
    let callbacks = kept(task).await;
    assert_eq!((callbacks.len(), kept(other).await.len()), (UNRECOGNIZED + 1, 1));
    assert_eq!(callbacks.last().unwrap().deliveries, 2);
    let filter = EventFilter { task: Some(task), limit: 5_000, ..EventFilter::default() };
    let events = file.store.read().events(&filter).await.unwrap();
    let unrecognized = events.iter().filter(|event| event.kind.as_str() == "callback.unrecognized").count();
    assert_eq!(unrecognized, UNRECOGNIZED, "nor do events grow");
    let counted: i64 = sqlx::query_scalar("SELECT unrecognized FROM tasks WHERE id = ?1")
        .bind(task.to_string())
        .fetch_one(&mut crate::support::database::open(&file.folder.path().join("scrapehook.db")).await)
        .await
        .unwrap();
    assert_eq!(counted, UNRECOGNIZED as i64 + 30);
    file.close().await;
}

/// A service that answers, and whose writer writes nothing until it is let go.
struct Stuck {
    file: File,
    task: TaskId,
    base: String,
    callback_url: String,
    client: Client,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Stuck {
    async fn new() -> Self {
        let file = File::started().await;
        let task = file.job(&["a"]).await[0];
        let file = File::open(file.close().await).await;
        let config = Setup::new("http://upstream").config();
        let tokens = TokenKeys::new(["secret"]);
        let token = tokens.issue(Claims::of(task)).unwrap();
        let stop = CancellationToken::new();
        let monitored = Monitored {
            store_path: file.folder.path().join("scrapehook.db").into(),
            budget: Arc::new(Budget::new(Duration::from_secs(1))),
            outage: Arc::default(),
            has_callbacks: true,
            urls_per_day: None,
            backup_every: None,
            last_backup: Arc::new(Live::new(LastBackup::default())),
            callback_check: LastCheck::new(true),
        };
        let credentials = Credentials {
            keys: Arc::new(Live::new(Keys::new(&config.auth.api_keys))),
            tokens: Arc::new(Live::new(tokens)),
            forward: Arc::default(),
        };
        let forward =
            forward::Settings { allow_private: false, allow_http: false, timeout: Duration::from_secs(1) };
        let metrics: Arc<Metrics> = Arc::default();
        let shared = Shared {
            store: file.store.clone(),
            credentials,
            monitored,
            metrics: metrics.clone(),
            traces: Traces::default(),
            sender: Sender::new(forward).unwrap(),
            stop: stop.clone(),
        };
        let routes = http::routes(&config, shared);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let limits = ConnectionLimits { header_timeout: DEADLINE, connections: 64 };
        let serving = tokio::spawn(http::serve(listener, routes.main, limits, metrics, stop.clone()));
        let callback_url = callback_url(&base, &token);
        let client = crate::support::client();
        Self { file, task, base, callback_url, client, stop, serving }
    }

    /// Has so many operations wait.
    async fn fill(&self, facts: usize, hints: usize) -> JoinSet<Result<(), WriteError>> {
        let mut waiting = JoinSet::new();
        for number in 0..facts {
            let (store, id) = (self.file.store.clone(), number.to_string());
            let callback = callback(self.task, 10, Some(Meaning::Succeeded), &id);
            waiting.spawn(async move { store.receive_callback(callback).await });
        }
        for number in 0..hints {
            let store = self.file.store.clone();
            waiting.spawn(async move { store.receive_hint(hint(number, 8)).await });
        }
        self.until_waiting(facts, hints).await;
        waiting
    }

    async fn until_waiting(&self, facts: usize, hints: usize) {
        let there = async {
            loop {
                let backlog = self.file.store.backlog();
                if (backlog.facts, backlog.hints) == (facts, hints) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, there).await.expect("they wait");
    }

    async fn post(&self, url: String, body: serde_json::Value) -> Response {
        self.client.post(url).json(&body).send().await.unwrap()
    }

    /// Everything that needs a commit, each with its status once it is well.
    fn writes(&self) -> Vec<(String, serde_json::Value, u16)> {
        vec![
            (self.callback_url.clone(), json!({ "status": "SUCCEEDED" }), 200),
            (format!("{}/v1/jobs", self.base), json!({ "video_urls": mixed_urls(1) }), 202),
            (format!("{}/v1/pause", self.base), json!({}), 200),
        ]
    }

    async fn status_of(&self, path: &str) -> u16 {
        self.client.get(format!("{}{path}", self.base)).send().await.unwrap().status().as_u16()
    }

    async fn stop(self) {
        self.stop.cancel();
        self.serving.await.unwrap();
        self.file.close().await;
    }
}

fn assert_come_later(answer: &Response) {
    assert_eq!(answer.status(), 503, "{answer:?}");
    assert_eq!(answer.headers()["retry-after"], "5");
}

#[tokio::test]
async fn a_full_queue_is_503_at_once_for_whatever_writes_and_well_again_once_it_is_written() {
    let mut service = Stuck::new().await;
    let mut waiting = service.fill(QUEUE, 0).await;
    for (url, body, _) in service.writes() {
        assert_come_later(&service.post(url, body).await);
    }
    assert_eq!((service.status_of("/readyz").await, service.status_of("/v1/tasks").await), (503, 200));
    let status: serde_json::Value =
        service.client.get(format!("{}/v1/status", service.base)).send().await.unwrap().json().await.unwrap();
    let problem = &status["problems"][0];
    assert_eq!(problem["code"], "not_writable");
    assert!(problem["detail"].as_str().unwrap().contains("too many operations are waiting"), "{problem}");

    service.file.run();
    while let Some(written) = waiting.join_next().await {
        written.unwrap().expect("what was taken is written");
    }
    for (url, body, status) in service.writes() {
        assert_eq!(service.post(url.clone(), body).await.status(), status, "{url}");
    }
    assert_eq!(service.status_of("/readyz").await, 200);
    service.stop().await;
}

#[tokio::test]
async fn sixty_four_hints_wait_and_callbacks_go_past_them() {
    let mut service = Stuck::new().await;
    let mut waiting = service.fill(0, HINTS).await;
    assert_come_later(&service.post(format!("{}/callback", service.base), json!({})).await);
    let genuine = service.client.post(&service.callback_url).body(r#"{"status":"SUCCEEDED"}"#).send();
    let genuine = tokio::spawn(genuine);
    service.until_waiting(1, HINTS).await;
    service.file.run();
    assert_eq!(genuine.await.unwrap().unwrap().status(), 200);
    while let Some(written) = waiting.join_next().await {
        written.unwrap().expect("what was taken is written");
    }
    let hint = service.post(format!("{}/callback", service.base), json!({ "one": "more" })).await;
    assert_eq!(hint.status(), 202);
    service.stop().await;
}

#[tokio::test]
async fn a_follower_takes_no_more_than_a_page_at_a_time_and_misses_nothing() {
    let file = File::started().await;
    file.job(&["first"]).await;
    let after = file.store.read().last_seq().await.unwrap();
    let mut follower = file.store.follow(EventFilter { after, limit: PAGE, ..EventFilter::default() });
    let stop = CancellationToken::new();
    let feed = tokio::spawn({
        let (store, stop) = (file.store.clone(), stop.clone());
        async move { store.feed(stop).await }
    });
    follower.news().await;
    for job in 0..3 {
        let urls: Vec<_> = (0..1_000).map(|n| format!("https://host{n}.example/job{job}")).collect();
        file.job_of(&urls).await;
    }
    let last = file.store.read().last_seq().await.unwrap();
    let mut seen = Vec::new();
    while follower.cursor() < last {
        let events = follower.read().await.unwrap();
        if events.is_empty() {
            tokio::time::timeout(DEADLINE, follower.news()).await.expect("more in time");
        }
        assert!(events.len() <= PAGE as usize, "{} at a time", events.len());
        seen.extend(events.iter().map(|event| event.seq));
    }
    assert_eq!(seen, (after + 1..=last).collect::<Vec<_>>());
    stop.cancel();
    feed.await.unwrap();
    file.close().await;
}

#[tokio::test]
async fn at_the_cap_a_wait_and_a_stream_make_room_like_any_connection_and_can_come_back() {
    const CAP: usize = 8;
    let (_upstream, setup) = Scene::new().downloads_nothing().set_up().await;
    let setup = setup.set("SERVER__MAX_CONNECTIONS", "8").set("SERVER__HEADER_TIMEOUT", "1h");
    let service = setup.start().await;
    let job = service.submit(&mixed_urls(1)).await;
    // After that nothing happens that a stream could tell.
    service.until_task("accepted").await;
    let host = service.base.strip_prefix("http://").unwrap().to_owned();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes();
    let mut wait = raw::connect(&service).await;
    wait.write_all(&get(&format!("/v1/jobs/{job}?wait=2m"))).await.unwrap();
    let mut stream = raw::connect(&service).await;
    stream.write_all(&get("/v1/events/stream")).await.unwrap();
    assert_eq!(raw::answer(&mut stream).await.0, 200);
    // Who was answered later is not silent for as long as these two.
    let mut others = Vec::new();
    for _ in 0..CAP + 2 {
        let mut other = raw::connect(&service).await;
        other.write_all(&get("/healthz")).await.unwrap();
        assert_eq!(raw::answer(&mut other).await.0, 200);
        others.push(other);
    }
    assert!(raw::until_closed(&mut wait).await.is_empty(), "closed without an answer");
    raw::until_closed(&mut stream).await;
    assert_eq!(raw::post(&service, "/callback", "{}").await, 202, "there is room for senders");
    let mut again = raw::connect(&service).await;
    again.write_all(&get(&format!("/v1/jobs/{job}?wait=1ms"))).await.unwrap();
    assert_eq!(raw::answer(&mut again).await.0, 200);
    let from_the_first = "GET /v1/events/stream HTTP/1.1\r\nLast-Event-ID: 0\r\n";
    let mut again = raw::connect(&service).await;
    again.write_all(format!("{from_the_first}Host: {host}\r\n\r\n").as_bytes()).await.unwrap();
    assert_eq!(raw::answer(&mut again).await.0, 200);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_ask_whether_a_locked_file_can_be_written_wait_for_two_tries_at_most() {
    let (_upstream, service) = Scene::new().start().await;
    let mut other = crate::support::database::open(&service.setup.database()).await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let ask = (0..8).map(|_| service.request(reqwest::Method::GET, "/readyz").send());
    let answers = futures_util::future::join_all(ask).await;
    for answer in answers {
        assert_come_later(answer.as_ref().unwrap());
        let problem: serde_json::Value = answer.unwrap().json().await.unwrap();
        assert!(problem["detail"].as_str().unwrap().contains("another program has locked the database"));
    }
    // If each of them tried in turn, there would be eight, of five seconds each.
    let tries = failed_commits(&service.client, &service.base).await;
    assert!((1..=3).contains(&tries), "{tries}");
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    service.stop().await;
}
