//! Floods against the real process: its memory stays flat, genuine callbacks are answered 200 meanwhile.
//!
//! `SCRAPEHOOK_FORGED=100000 SCRAPEHOOK_IDLE=10000 cargo test --test it floods:: -- --nocapture` is the long form.

#![cfg(target_os = "linux")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::DEADLINE;
use crate::support::aftermath::number;
use crate::support::process::Process;

const MIB: u64 = 1024 * 1024;
/// Most that the resident memory may grow.
const GROWTH: u64 = 16 * MIB;
/// Connections that say nothing, or only half of a head.
const IDLE: u64 = 2_000;

/// The median time of one question after the other, as long as there are more.
async fn asked(base: &str, more: impl Fn(usize) -> bool) -> Duration {
    let client = crate::support::client();
    let mut times = Vec::new();
    while more(times.len()) {
        let started = Instant::now();
        let answer = client.get(format!("{base}/v1/tasks?limit=1")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        times.push(started.elapsed());
    }
    times.sort();
    times[times.len() / 2]
}

impl Process {
    fn address(&self) -> &str {
        self.serving.base.strip_prefix("http://").unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.client.get(format!("{}{path}", self.serving.base)).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn huge_bodies_are_refused_before_they_are_read() {
    let service = Process::start(3).await;
    let before = service.serving.memory();
    let chunk = [&b"10000\r\n"[..], &[b'x'; 65_536], b"\r\n"].concat();
    for head in ["Content-Length: 209715200", "Transfer-Encoding: chunked"] {
        let is_chunked = head.contains("chunked");
        let flood = (0..8).map(|_| async {
            let mut stream = TcpStream::connect(service.address()).await.unwrap();
            let head = format!("POST /callback HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            let (mut read, mut write) = stream.into_split();
            let mut sent = 0;
            // Up to 200 MiB, or until the other side has had enough.
            while sent < 200 * MIB {
                let part = if is_chunked { &chunk[..] } else { &chunk[7..65_543] };
                if write.write_all(part).await.is_err() {
                    break;
                }
                sent += 65_536;
            }
            let mut said = Vec::new();
            let _ = read.read_to_end(&mut said).await;
            (sent, String::from_utf8_lossy(&said).into_owned())
        });
        for (sent, said) in join_all(flood).await {
            assert!(sent < 200 * MIB, "{head}: it was read to the end");
            assert!(said.is_empty() || said.starts_with("HTTP/1.1 413 "), "{said}");
        }
    }
    let growth = service.serving.memory().saturating_sub(before);
    println!("memory grew by {} KiB under 16 bodies of 200 MiB", growth / 1024);
    assert!(growth < GROWTH, "{growth}");
    assert_eq!(service.serving.terminate().0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_callbacks_keep_no_genuine_one_out() {
    let count = usize::try_from(number("SCRAPEHOOK_FORGED", 3_000)).unwrap();
    let service = Process::start(3).await;
    let urls: Vec<_> =
        service.upstream.submits().into_iter().map(|submit| submit.body.callback_url.unwrap()).collect();
    let forge = async |n: usize| {
        let path = ["/callback", "/callback/forged", "/callback/../v1/jobs", "/callback/%2e%2e%2f"][n % 4];
        let body = json!({ "taskId": format!("made-up-{n}"), "status": "SUCCEEDED" }).to_string();
        let answer = service.client.post(format!("{}{path}", service.serving.base)).body(body).send().await;
        answer.unwrap().status().as_u16()
    };
    // What stays for good, such as buffers of connections, is there before the measurement.
    join_all((0..64).map(&forge)).await;
    let before = service.serving.memory();
    let mut statuses = std::collections::BTreeMap::new();
    let mut genuine = 0;
    let quiet = asked(&service.serving.base, |asked| asked < 32).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let meanwhile = tokio::spawn({
        let (base, is_over) = (service.serving.base.clone(), is_over.clone());
        async move { asked(&base, |_| !is_over.load(Ordering::Relaxed)).await }
    });
    for start in (64..count).step_by(256) {
        let flood = join_all((start..count.min(start + 256)).map(&forge));
        let said = urls.iter().map(|url| {
            let video = format!("VI{start}");
            let body = json!({ "taskId": "t", "videoId": video, "status": "INDEXING_SUCCEEDED" });
            service.client.post(url).body(body.to_string()).send()
        });
        let replay = service.client.post(&urls[0]).body(r#"{"status":"SUCCEEDED"}"#).send();
        let (flood, said, replay) = tokio::join!(flood, join_all(said), replay);
        for status in flood {
            *statuses.entry(status).or_insert(0) += 1;
        }
        for answer in said.into_iter().chain([replay]) {
            assert_eq!(answer.unwrap().status(), 200, "a genuine callback");
            genuine += 1;
        }
    }
    is_over.store(true, Ordering::Relaxed);
    let meanwhile = meanwhile.await.unwrap();
    let growth = service.serving.memory().saturating_sub(before);
    println!("{count} forged ({statuses:?}), {genuine} genuine, memory grew by {} KiB", growth / 1024);
    println!("the API answers in {quiet:?} before, {meanwhile:?} meanwhile (medians)");
    // Those with dots in their path are resolved by the client and meet the API, those without are hints.
    assert!(statuses.keys().all(|status| [202, 405, 415, 503].contains(status)), "{statuses:?}");
    assert!(growth < GROWTH, "{growth}");
    let mut hints = 0;
    let mut after = String::new();
    loop {
        let page = service.get(&format!("/v1/quarantine?limit=500{after}")).await;
        hints += page["items"].as_array().unwrap().len();
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert!(hints <= 1_000, "{hints}");
    let task = service.upstream.submits()[0].task_id.clone().unwrap();
    let callbacks = service.get(&format!("/v1/tasks/{task}/callbacks?limit=500")).await;
    let replays: Vec<_> = callbacks["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|callback| callback["understood"] == "succeeded")
        .map(|callback| callback["deliveries"].as_u64().unwrap())
        .collect();
    assert_eq!(replays, [genuine / 4], "a replay is one row with a count");
    let kept = service.get("/v1/tasks?state=indexed").await["items"].as_array().unwrap().len();
    assert_eq!(kept, 3);
    assert_eq!(service.serving.terminate().0, 0);
}

/// Opens so many connections, of which one in two says half of a head.
async fn idle(service: &Process, count: u64) -> Vec<TcpStream> {
    let mut idle = Vec::new();
    for n in 0..count {
        let mut stream = TcpStream::connect(service.address()).await.unwrap();
        if n % 2 == 0 {
            // It may be cut already.
            let _ = stream.write_all(b"POST /callback HTTP/1.1\r\nHost: x\r\nContent-Le").await;
        }
        idle.push(stream);
    }
    idle
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_cost_little_and_are_closed_in_time() {
    let wanted = number("SCRAPEHOOK_IDLE", IDLE);
    let allowed = scrapehook::network::raise_open_files(wanted + 512);
    let count = wanted.min(allowed.saturating_sub(512));
    let most = (count + 64).to_string();
    // With this timeout all of them stay open, even on a slow machine.
    let service = Process::start_as(1, |binary| {
        binary.set("SERVER__MAX_CONNECTIONS", &most).set("SERVER__HEADER_TIMEOUT", "1h")
    });
    let mut service = service.await;
    let (before, descriptors) = (service.serving.memory(), service.serving.descriptors());
    let started = Instant::now();
    let open = idle(&service, count).await;
    let url = service.upstream.submits()[0].body.callback_url.clone().unwrap();
    let said = service.client.post(url).body(r#"{"status":"SUCCEEDED"}"#).send().await.unwrap();
    assert_eq!(said.status(), 200);
    service.get("/v1/tasks").await;
    let held = service.serving.descriptors() - descriptors;
    // Other descriptors of the process come and go.
    assert!(held as u64 + 16 > count, "{held} of {count} are open");
    let each = service.serving.memory().saturating_sub(before) / count;
    println!("{count} idle connections open after {:?}, {each} bytes each", started.elapsed());
    assert!(each < 16 * 1024, "{each}");
    drop(open);
    assert!(service.serving.stopped().success());

    service.binary = service.binary.set("SERVER__HEADER_TIMEOUT", "1s");
    service.serving = service.binary.serve(&[]);
    let (started, descriptors) = (Instant::now(), service.serving.descriptors());
    for mut stream in idle(&service, count).await {
        let closed = tokio::time::timeout(2 * DEADLINE, stream.read_to_end(&mut Vec::new())).await;
        assert!(closed.is_ok(), "still open");
    }
    println!("all closed after {:?}", started.elapsed());
    let closed = async {
        while service.serving.descriptors() > descriptors + 8 {
            tokio::task::yield_now().await
        }
    };
    tokio::time::timeout(DEADLINE, closed).await.expect("their descriptors are given back");
    assert_eq!(service.serving.terminate().0, 0);
}
