//! What a client can make the real process hold in memory: half of a head, and an answer that is not read.

#![cfg(target_os = "linux")]

use futures_util::future::join_all;
use reqwest::Response;
use scrapehook::simulator::Settings;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::support::DEADLINE;
use crate::support::process::Process;

const KIB: u64 = 1024;
/// Most bytes of a head.
const HEAD: usize = 96 * 1024;
const CLIENTS: usize = 200;
/// What a connection and the growth of its buffers take besides.
const ROOM: u64 = 160 * KIB;

async fn connect(service: &Process) -> TcpStream {
    let address = service.serving.base.strip_prefix("http://").unwrap().parse().unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    // What the system itself keeps for a reader is not the process's.
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.connect(address).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_is_read_up_to_its_limit_and_no_further() {
    let service =
        Process::idle(Settings::default(), |binary| binary.set("SERVER__HEADER_TIMEOUT", "60s")).await;
    let before = service.serving.memory();
    let head = |bytes: usize| {
        let line = b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: ".to_vec();
        let rest = vec![b'x'; bytes - line.len()];
        [line, rest].concat()
    };
    let mut held = join_all((0..CLIENTS).map(|_| connect(&service))).await;
    join_all(held.iter_mut().map(async |stream| stream.write_all(&head(HEAD - KIB as usize)).await.unwrap()))
        .await;
    // Whoever sends on is refused; until then everybody before has been read.
    let mut long = connect(&service).await;
    let _ = long.write_all(&head(2 * HEAD)).await;
    let mut said = Vec::new();
    let _ = timeout(DEADLINE, long.read_to_end(&mut said)).await.expect("refused in time");
    assert!(
        String::from_utf8_lossy(&said).starts_with("HTTP/1.1 431 "),
        "{}",
        String::from_utf8_lossy(&said)
    );
    let each = service.serving.memory().saturating_sub(before) / CLIENTS as u64;
    println!("{CLIENTS} heads of {} KiB that never end hold {} KiB each", HEAD / 1024 - 1, each / KIB);
    assert!(each < HEAD as u64 + ROOM, "{each}");
    let answer = service.client.get(format!("{}/v1/tasks", service.serving.base)).send().await.unwrap();
    assert_eq!(answer.status(), 200, "nobody else is kept out");
    drop(held);
    assert_eq!(service.serving.terminate().0, 0);
}

/// Reads a stream to this event.
async fn read_to(mut stream: Response, last: i64) {
    let end = format!("id: {last}\n");
    let mut text = String::new();
    while !text.contains(&end) {
        let chunk = timeout(DEADLINE, stream.chunk()).await.expect("in time").unwrap().unwrap();
        text = text.split_off(text.len().saturating_sub(end.len()));
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_nobody_reads_hold_a_page_each_and_miss_nothing() {
    const STREAMS: usize = 50;
    const JOBS: i64 = 1_000;
    let service = Process::idle(Settings::default(), |binary| binary).await;
    let post = async |path: &str, body: Value| {
        let request = service.client.post(format!("{}{path}", service.serving.base));
        request.json(&body).send().await.unwrap()
    };
    assert_eq!(post("/v1/pause", json!({})).await.status(), 200);
    // Three events a job: it is created, canceled, and settles.
    let canceled = async |job: i64| {
        let url = format!("https://host.example/{job}");
        let job: Value = post("/v1/jobs", json!({ "video_urls": [url] })).await.json().await.unwrap();
        let cancel = format!("/v1/jobs/{}/cancel", job["id"].as_str().unwrap());
        assert_eq!(post(&cancel, json!({})).await.status(), 200);
    };
    for first in (0..JOBS).step_by(100) {
        join_all((first..first + 100).map(&canceled)).await;
    }
    let last = 1 + JOBS * 3;
    let from_the_first = || {
        service.client.get(format!("{}/v1/events/stream", service.serving.base)).header("last-event-id", 0)
    };
    let all = async || read_to(from_the_first().send().await.unwrap(), last).await;
    // What stays for good, such as what readers keep of the file, is there before the measurement.
    all().await;
    let before = service.serving.memory();
    let host = service.serving.base.strip_prefix("http://").unwrap();
    let request = format!("GET /v1/events/stream HTTP/1.1\r\nHost: {host}\r\nLast-Event-ID: 0\r\n\r\n");
    let mut silent = join_all((0..STREAMS).map(|_| connect(&service))).await;
    join_all(silent.iter_mut().map(async |stream| stream.write_all(request.as_bytes()).await.unwrap())).await;
    // Each has its head; after somebody has read all of it, the others have come as far as they come.
    join_all(silent.iter_mut().map(async |stream| {
        timeout(DEADLINE, stream.read_exact(&mut [0; 12])).await.expect("in time").unwrap();
    }))
    .await;
    all().await;
    let each = service.serving.memory().saturating_sub(before) / STREAMS as u64;
    println!("{STREAMS} streams that nobody reads hold {} KiB each", each / KIB);
    assert!(each < 400 * KIB, "{each}");
    // One of them reads on: it gets all, as long as it is there.
    let mut text = Vec::new();
    let mut stream = silent.pop().unwrap();
    let seen = |text: &[u8]| -> Vec<i64> {
        let text = String::from_utf8_lossy(text);
        let ids = text.split_inclusive('\n').filter_map(|line| line.strip_prefix("id: ")?.strip_suffix('\n'));
        ids.map(|id| id.parse().unwrap()).collect()
    };
    let end = format!("id: {last}\n").into_bytes();
    let mut seen_up_to = 0;
    while !text[seen_up_to..].windows(end.len()).any(|tail| tail == end) {
        seen_up_to = text.len().saturating_sub(end.len());
        if timeout(DEADLINE, stream.read_buf(&mut text)).await.expect("more in time").unwrap() == 0 {
            break;
        }
    }
    let seen = seen(&text);
    // The pause can last long enough to be announced as a problem, which is one event more.
    assert!(seen.last() >= Some(&last), "it was cut: {}", service.serving.terminate().1);
    assert!((1..).zip(&seen).all(|(seq, found)| *found == seq), "{seen:?}");
    drop(silent);
    assert_eq!(service.serving.terminate().0, 0);
}
