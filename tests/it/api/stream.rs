//! `/v1/events/stream`: every event once, in order, after its commit, whoever hangs up in between.

#[cfg(target_os = "linux")]
use std::time::Instant;

#[cfg(target_os = "linux")]
use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::Method;
use scrapehook::simulator::Settings;
use serde_json::{Value, json};

use crate::support::aftermath::number;
#[cfg(target_os = "linux")]
use crate::support::process::Process;
use crate::support::stream::Stream;
use crate::support::{Scene, mixed_urls};

#[tokio::test]
async fn a_stream_starts_at_now_or_after_the_last_event_seen() {
    let (upstream, service) = Scene::new().downloads_nothing().start().await;
    let get = |path: &str| service.request(Method::GET, path);
    let first = service.submit(&mixed_urls(1)).await;
    service.until_task("accepted").await;
    let listed = service.items("/v1/events").await;
    let mut now = Stream::open(get("/v1/events/stream"), None).await;
    let mut all = Stream::open(get("/v1/events/stream"), Some(0)).await;
    for event in &listed {
        let (seq, kind, data) = all.next().await.unwrap();
        assert_eq!((&json!(seq), &json!(kind), &data), (&event["seq"], &event["kind"], event));
    }
    let second = service.submit(&["https://youtu.be/second".to_owned()]).await;
    for stream in [&mut now, &mut all] {
        let (_, kind, data) = stream.next().await.unwrap();
        assert_eq!((kind.as_str(), &data["job_id"]), ("job.created", &json!(second)));
        // It is on disk: whoever is told can read it.
        assert_eq!(service.get(&format!("/v1/jobs/{second}")).await["id"], second);
    }
    let mut filtered =
        Stream::open(get(&format!("/v1/events/stream?job={first}&kind=task.accepted")), Some(0)).await;
    assert_eq!(filtered.next().await.unwrap().2["job_id"], first);
    let task = listed.iter().find(|event| event["task_id"].is_string()).unwrap();
    let upstream_id = upstream.submits()[0].task_id.clone().unwrap();
    let mut of_task = Stream::open(get(&format!("/v1/events/stream?task={upstream_id}")), Some(0)).await;
    assert_eq!(of_task.next().await.unwrap().2["task_id"], task["task_id"]);
    service.stop().await;
    for stream in [&mut now, &mut all, &mut filtered, &mut of_task] {
        while stream.next().await.is_some() {}
    }
}

#[tokio::test]
async fn a_last_event_id_that_is_none_is_said_so() {
    let (_upstream, service) = Scene::new().start().await;
    for (path, id, status, code) in [
        ("", "x", 400, "bad_cursor"),
        ("", "-1", 400, "bad_cursor"),
        ("", "99999999999999999999", 400, "bad_cursor"),
        ("", "4711", 400, "cursor_ahead"),
        ("?kind=nonsense", "0", 400, "bad_query"),
        ("?job=nonsense", "0", 400, "bad_query"),
        ("", "+1", 400, "bad_cursor"),
        ("?after=x", "0", 400, "bad_cursor"),
        ("?after=-1", "", 400, "bad_cursor"),
        ("?after=4711", "", 400, "cursor_ahead"),
        ("?after=0&after=0", "", 400, "bad_query"),
        ("?task=nonsense", "0", 404, "not_found"),
    ] {
        let request = service.request(Method::GET, &format!("/v1/events/stream{path}"));
        let answer = request.header("last-event-id", id).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path} {id}");
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], code, "{path} {id}");
    }
    service.stop().await;
}

#[tokio::test]
async fn a_stream_is_not_buffered_and_starts_where_a_client_that_sets_no_headers_says() {
    let (_upstream, service) = Scene::new().downloads_nothing().start().await;
    service.submit(&mixed_urls(1)).await;
    service.until_task("accepted").await;
    let last = service.items("/v1/events").await.len() as i64;
    assert!(last >= 3, "{last}");
    let get = |path: &str| service.request(Method::GET, &format!("/v1/events/stream{path}"));
    // The header is that of a reader that comes back: it wins over the URL that it began with.
    for (path, header, first) in [
        ("?after=0", None, 1),
        ("?after=2", None, 3),
        ("?after=0", Some("2"), 3),
        ("?after=2", Some(" 0 "), 1),
        ("?after=2", Some(""), 3),
        ("?after=99", Some("1"), 2),
        ("?after=", Some("1"), 2),
    ] {
        let mut request = get(path);
        if let Some(header) = header {
            request = request.header("last-event-id", header);
        }
        let mut stream = Stream::open(request, None).await;
        assert_eq!(stream.response.headers()["x-accel-buffering"], "no");
        assert_eq!(stream.response.headers()["cache-control"], "no-cache");
        assert_eq!(stream.next().await.unwrap().0, first, "{path} {header:?}");
    }
    // Blank is what an `EventSource` sends that has seen nothing: it starts now.
    let blank = ["", "  ", "\t"].map(|blank| get("").header("last-event-id", blank));
    for request in blank.into_iter().chain(["?after=", "?after=%20"].map(get)) {
        let mut stream = Stream::open(request, None).await;
        service.pause().await;
        let (seq, kind, _) = stream.next().await.unwrap();
        assert!(seq > last && kind == "sending.paused", "{seq} {kind}");
        service.resume().await;
    }
    let twice = get("").header("last-event-id", "1").header("last-event-id", "2").send().await.unwrap();
    assert_eq!(twice.status(), 400);
    let head = service.request(Method::HEAD, "/v1/events/stream").send().await.unwrap();
    assert_eq!(head.status(), 200);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_is_cut_again_and_again_sees_every_event_once() {
    let seed = number("SCRAPEHOOK_STREAM_SEED", 5);
    let mut random = StdRng::seed_from_u64(seed);
    let (_upstream, service) = Scene::new().start().await;
    service.pause().await;
    let write = async {
        // Three events a job: it is created, canceled, and settles.
        for job in 0..1_000 {
            let job = service.submit(&[format!("https://host.example/job{job}")]).await;
            assert_eq!(service.call(&format!("/v1/jobs/{job}/cancel"), Value::Null).await.0, 200);
        }
        service.get("/v1/events?limit=1&after=0").await;
    };
    let read = async {
        let (mut last, mut seen, mut cuts) = (0, Vec::new(), 0);
        while seen.len() < 3_000 {
            let mut stream =
                Stream::open(service.request(Method::GET, "/v1/events/stream"), Some(last)).await;
            // A hundred cuts at least; then it may read on to the end.
            for _ in 0..random.random_range(1..45) {
                if seen.len() >= 3_000 {
                    break;
                }
                let (seq, ..) = stream.next().await.unwrap();
                seen.push(seq);
                last = seq;
            }
            cuts += 1;
        }
        (seen, cuts)
    };
    let ((), (seen, cuts)) = tokio::join!(write, read);
    println!("seed {seed}: {} events, {cuts} cuts", seen.len());
    assert!(cuts >= 100, "{cuts}");
    assert!(
        seen.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "seed {seed}: one is missing, or there twice"
    );
    assert_eq!(seen[0], 1);
    service.stop().await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_streams_hear_of_everything() {
    const STREAMS: usize = 1_000;
    // The service has raised its own limit when it serves.
    let service = Process::idle(Settings::default(), |binary| binary).await;
    scrapehook::network::raise_open_files(STREAMS as u64 + 512);
    let before = service.serving.memory();
    let path = format!("{}/v1/events/stream", service.serving.base);
    let started = Instant::now();
    // Each reads the file as it opens. On a slow machine, a thousand at the same moment would wait longer than five
    // seconds for a reader, and be answered 503.
    let mut streams = Vec::with_capacity(STREAMS);
    while streams.len() < STREAMS {
        let more = (0..STREAMS / 10).map(|_| Stream::open(service.client.get(&path), None));
        streams.extend(join_all(more).await);
    }
    println!("{STREAMS} streams are open after {:?}", started.elapsed());
    // Each job has one URL more than the one before, and so one new task.
    for urls in 1..=3 {
        assert_eq!(service.submit(urls).await, 202);
        // The answer leaves after the commit.
        let committed = Instant::now();
        let first = join_all(streams.iter_mut().map(Stream::next)).await;
        println!("each has the event {:?} after the commit's answer", committed.elapsed());
        assert_eq!(first[0].as_ref().unwrap().1, "job.created");
        assert!(first.iter().all(|event| *event == first[0]), "{first:?}");
        let rest = join_all(streams.iter_mut().map(async |stream| {
            let mut events = vec![stream.next().await.unwrap()];
            while events.last().unwrap().1 != "task.accepted" {
                events.push(stream.next().await.unwrap());
            }
            events
        }))
        .await;
        assert!(rest.iter().all(|events| *events == rest[0]), "{rest:?}");
    }
    let each = service.serving.memory().saturating_sub(before) / STREAMS as u64;
    println!("a stream holds {each} bytes");
    assert_eq!(service.serving.terminate().0, 0);
    for stream in &mut streams {
        while stream.next().await.is_some() {}
    }
}
